// The keys of the app's JWTs, fetched from a URI of this server by subrequest:
// once for all requests that wait for them, when core/identity/key_refresh.h
// says so. The answer's collection and bounds are those of re-authentication.
//
// Keys that were fetched stay in use while newer ones cannot be had.

#include <algorithm>

#include "ngx_module/gate/jwt.h"

namespace entitle::ngx {

namespace {

constexpr std::size_t kMostLines = 8;  // said about one set of keys

// Why this answer has no keys; null: it may.
const char*
wrong_with(const Gate* gate) {
    const ngx_http_request_t* sr = gate->subrequest;
    if (gate->subrequest_broken || sr->headers_out.status == 0) {
        return "no answer";
    }
    if (sr->headers_out.status != NGX_HTTP_OK) {
        return "an error";
    }
    if (sr->headers_out.content_encoding != nullptr &&
        sr->headers_out.content_encoding->value.len != 0) {
        return "an answer in an encoding nobody asked for";
    }
    if (gate->body.size() > kMaxAnswerBody ||
        sr->headers_out.content_length_n > static_cast<off_t>(kMaxAnswerBody)) {
        return "more than 64k";
    }
    return gate->body_complete ? nullptr : "an answer that broke off";
}

void
log_failure(ngx_http_request_t* r, const Gate* gate, const char* wrong,
            bool have_others) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "entitle: no keys from \"%V\": %s (status %ui)%s",
                  &location_conf(r)->jwt->key_request, wrong,
                  gate->subrequest->headers_out.status,
                  have_others ? ", those of before stay in use" : "");
}

void
log_lines(ngx_http_request_t* r, const std::vector<std::string>& lines) {
    const std::size_t count = std::min(lines.size(), kMostLines);
    for (std::size_t i = 0; i < count; i++) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "entitle: of the keys from \"%V\" one is not used: %s",
                      &location_conf(r)->jwt->key_request, lines[i].c_str());
    }
}

}  // namespace

FetchedKeys::FetchedKeys() {
    late_.data = this;
    late_.handler = on_late;
    late_.log = ngx_cycle->log;
    late_.cancelable = 1;
}

FetchedKeys::~FetchedKeys() {
    if (late_.timer_set) {
        ngx_del_timer(&late_);
    }
}

KeyNeed
FetchedKeys::by_age() const {
    return refresh_.by_age(mono_now());
}

// The leader goes on waiting for its subrequest, alone.
void
FetchedKeys::on_late(ngx_event_t* event) noexcept {
    static_cast<FetchedKeys*>(event->data)->wake_all(false);
}

void
FetchedKeys::wake_all(bool with_keys) noexcept {
    for (Gate* gate : waiting_) {
        gate->key_flight = nullptr;
        gate->keys_asked = true;
        gate->keys_fresh = with_keys;
        gate_wake(gate);
    }
    waiting_.clear();
}

void
FetchedKeys::end_flight(bool with_keys) noexcept {
    refresh_.answered(with_keys, mono_now());
    leader_ = nullptr;
    if (late_.timer_set) {
        ngx_del_timer(&late_);
    }
    wake_all(with_keys);
}

// False: there are none in it.
bool
FetchedKeys::take(ngx_http_request_t* r, const Gate* gate) {
    if (const char* wrong = wrong_with(gate)) {
        log_failure(r, gate, wrong, keys_.has_value());
        return false;
    }
    if (keys_ && gate->body == text_) {
        return true;
    }
    JwtKeyReading reading = read_jwt_keys(gate->body);
    if (reading.keys.empty()) {
        const std::string why =
            "nothing usable in it: " +
            (reading.refused.empty() ? reading.skipped : reading.refused)
                .front();
        log_failure(r, gate, why.c_str(), keys_.has_value());
        return false;
    }
    log_lines(r, reading.refused);
    log_lines(r, reading.skipped);
    static std::uint64_t last_generation = 0;
    text_ = gate->body;
    keys_ = std::move(reading.keys);
    generation_ = ++last_generation;
    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "entitle: %uz keys from \"%V\"", keys_->all().size(),
                  &location_conf(r)->jwt->key_request);
    return true;
}

ngx_int_t
FetchedKeys::lead(ngx_http_request_t* r, Gate* gate) {
    if (gate->subrequest == nullptr) {
        if (!late_.timer_set) {
            ngx_add_timer(&late_, KeyRefresh::kAskEvery.count());
        }
        return ask(r, gate, {location_conf(r)->jwt->key_request, true, true});
    }
    if (!gate->subrequest->done) {
        return NGX_AGAIN;
    }
    const bool with_keys = take(r, gate);
    gate->subrequest = nullptr;
    gate->key_flight = nullptr;
    gate->keys_asked = true;
    gate->keys_fresh = with_keys;
    end_flight(with_keys);
    return keys_ ? NGX_OK : NGX_DECLINED;
}

ngx_int_t
FetchedKeys::fetch(ngx_http_request_t* r, Gate* gate) {
    if (gate->key_flight == nullptr && !gate->keys_asked &&
        gate->keys_seen == generation_) {
        switch (refresh_.step(gate->key_need, mono_now())) {
            case KeyRefresh::Step::ask:
                refresh_.asked(mono_now());
                leader_ = gate;
                gate->key_flight = this;
                break;
            case KeyRefresh::Step::wait:
                waiting_.push_back(gate);
                gate->key_flight = this;
                break;
            case KeyRefresh::Step::go_on:
                gate->keys_asked = true;
                break;
        }
    }
    if (gate->key_flight == nullptr) {
        gate->keys_asked = true;
        return keys_ ? NGX_OK : NGX_DECLINED;
    }
    return leader_ == gate ? lead(r, gate) : NGX_AGAIN;
}

void
FetchedKeys::leave(Gate* gate) noexcept {
    gate->key_flight = nullptr;
    if (leader_ != gate) {
        waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), gate),
                       waiting_.end());
        return;
    }
    leader_ = nullptr;
    const bool another = refresh_.asker_left(mono_now());
    if (another && !waiting_.empty()) {
        refresh_.asked(mono_now());
        leader_ = waiting_.front();
        waiting_.erase(waiting_.begin());
        gate_wake(leader_);
        return;
    }
    if (late_.timer_set) {
        ngx_del_timer(&late_);
    }
    wake_all(false);
}

ngx_int_t
jwt_keys_fetch(ngx_http_request_t* r, Gate* gate) {
    FetchedKeys& keys = *fetched_keys(r);
    const std::uint64_t seen = gate->keys_seen;
    const ngx_int_t rc = keys.fetch(r, gate);
    if (rc == NGX_OK && keys.generation() != seen) {
        gate->settings.reset();  // other keys may say something else
    }
    return rc;
}

void
jwt_keys_leave(Gate* gate) noexcept {
    if (gate->key_flight != nullptr) {
        gate->key_flight->leave(gate);
    }
}

}  // namespace entitle::ngx
