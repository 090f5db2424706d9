// The keys of the app's JWTs, fetched from a URI of this server when
// core/identity/key_refresh.h says so, for all requests that wait for them. The
// worker fetches, not one of the clients: whoever goes away, the others get
// their keys.
//
// Keys that were fetched stay in use while newer ones cannot be had.

#include <algorithm>

#include "ngx_module/edge.h"
#include "ngx_module/gate/jwt.h"
#include "ngx_module/redis_client/node.h"

namespace entitle::ngx {

namespace {

constexpr std::size_t kMostLines = 8;  // said about one set of keys
constexpr std::size_t kMostBytes = 65536;
// Whoever waits has gone on by then.
constexpr Milliseconds kPatience{30'000};
constexpr std::string_view kAccept =
    "application/json, application/jwk-set+json";

// Why this response has no keys; null: it may.
const char*
wrong_with(const OwnRequest::Response& response) {
    if (response.too_long) {
        return "more than 64k";
    }
    if (response.status == 0) {
        return "no answer";
    }
    if (response.status != NGX_HTTP_OK) {
        return "an error";
    }
    if (response.encoded) {
        return "an answer in an encoding nobody asked for";
    }
    return response.complete ? nullptr : "an answer that broke off";
}

}  // namespace

FetchedKeys::FetchedKeys(const ngx_http_core_srv_conf_t& server,
                         const ngx_str_t& uri)
    : server_(server), uri_(uri), request_(kMostBytes, on_fetched, this) {
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

// --- the fetch ---------------------------------------------------------------

void
FetchedKeys::begin() noexcept {
    refresh_.asked(mono_now());
    ngx_add_timer(&late_, KeyRefresh::kAskEvery.count());
    request_.start(server_, uri_, kAccept, kPatience);
}

// Keys may still come, for those who ask later. A worker that quits has none.
void
FetchedKeys::on_late(ngx_event_t* event) noexcept {
    auto* self = static_cast<FetchedKeys*>(event->data);
    self->wake_all(false);
    if (worker_quits()) {
        self->request_.stop();
        self->refresh_.answered(false, mono_now());
    } else {
        ngx_add_timer(event, KeyRefresh::kAskEvery.count());
    }
}

void
FetchedKeys::on_fetched(void* data) noexcept {
    auto* self = static_cast<FetchedKeys*>(data);
    bool with_keys = false;
    edge::event("keys of JWTs", [&] { with_keys = self->take(); });
    self->refresh_.answered(with_keys, mono_now());
    if (self->late_.timer_set) {
        ngx_del_timer(&self->late_);
    }
    self->wake_all(with_keys);
}

void
FetchedKeys::wake_all(bool with_keys) noexcept {
    for (KeySeeker* seeker : waiting_) {
        seeker->waits_for = nullptr;
        seeker->asked = true;
        seeker->fresh = with_keys;
        gate_wake(seeker->gate);
    }
    waiting_.clear();
}

// --- what it brought ---------------------------------------------------------

void
FetchedKeys::say_failed(const char* wrong) const {
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "entitle: no keys from \"%V\": %s (status %ui)%s", &uri_,
                  wrong, request_.response().status,
                  keys_ ? ", those of before stay in use" : "");
}

void
FetchedKeys::say_unused(const std::vector<std::string>& lines) const {
    const std::size_t count = std::min(lines.size(), kMostLines);
    for (std::size_t i = 0; i < count; i++) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: of the keys from \"%V\" one is not used: %s",
                      &uri_, lines[i].c_str());
    }
}

// False: there are none in it.
bool
FetchedKeys::take() {
    const OwnRequest::Response& response = request_.response();
    if (const char* wrong = wrong_with(response)) {
        say_failed(wrong);
        return false;
    }
    if (keys_ && response.body == text_) {
        return true;
    }
    JwtKeyReading reading = read_jwt_keys(response.body);
    if (reading.keys.empty()) {
        const std::string why =
            "nothing usable in it: " +
            (reading.refused.empty() ? reading.skipped : reading.refused)
                .front();
        say_failed(why.c_str());
        return false;
    }
    say_unused(reading.refused);
    say_unused(reading.skipped);
    static std::uint64_t last_generation = 0;
    text_ = response.body;
    keys_ = std::move(reading.keys);
    generation_ = ++last_generation;
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "entitle: %uz keys from \"%V\"", keys_->all().size(), &uri_);
    return true;
}

// --- who waits for it --------------------------------------------------------

ngx_int_t
FetchedKeys::fetch(KeySeeker& seeker) {
    if (seeker.waits_for != nullptr) {
        return NGX_AGAIN;
    }
    if (!seeker.asked && seeker.seen == generation_) {
        const MonoTime now = mono_now();
        if (refresh_.step(seeker.need, now) == KeyRefresh::Step::ask) {
            begin();
        }
        if (refresh_.step(seeker.need, now) == KeyRefresh::Step::wait) {
            waiting_.push_back(&seeker);
            seeker.waits_for = this;
            return NGX_AGAIN;
        }
    }
    seeker.asked = true;
    return keys_ ? NGX_OK : NGX_DECLINED;
}

void
FetchedKeys::leave(KeySeeker& seeker) noexcept {
    seeker.waits_for = nullptr;
    std::erase(waiting_, &seeker);
}

KeySeeker::~KeySeeker() {
    if (waits_for != nullptr) {
        waits_for->leave(*this);
    }
}

ngx_int_t
jwt_keys_fetch(ngx_http_request_t* r, Gate* gate, bool& changed) {
    FetchedKeys& keys = *fetched_keys(r);
    auto& seeker = gate->part<KeySeeker>();
    const std::uint64_t seen = seeker.seen;
    const ngx_int_t rc = keys.fetch(seeker);
    changed = keys.generation() != seen;
    return rc;
}

void
jwt_keys_forget(Gate* gate) {
    if (auto* seeker = gate->find<KeySeeker>()) {
        seeker->asked = false;
        seeker->fresh = false;
    }
}

}  // namespace entitle::ngx
