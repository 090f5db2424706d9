// entitle_claim_email: what waits under the e-mail the app has just vouched for
// becomes the user's, before anybody of the flight is decided about. Whatever
// goes wrong, the login goes on; the next re-authentication tries again.

#include "core/delivery/email_claim.h"

#include "core/json/document.h"
#include "core/json/pointer.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/redis_client/talk.h"

namespace entitle::ngx {

namespace {

constexpr ngx_msec_t kPatience = 2000;
constexpr std::size_t kMaxDepth = 64;

std::string
email_in_header(ngx_http_request_t* sr, std::string_view name) {
    std::string_view value;
    int count = 0;
    each_answer_header(sr, [&](const ngx_table_elt_t& header) {
        if (is_named(header, name)) {
            value = view(header.value);
            count++;
        }
    });
    return count == 1 ? claimable_email(value) : std::string();
}

std::string
email_in_json(const Gate* gate, std::string_view pointer_text) {
    if (!gate->body_complete || gate->body.size() > kMaxAnswerBody) {
        return {};
    }
    std::string error;
    const auto pointer = JsonPointer::parse(pointer_text, error);
    const JsonDocument document = parse_json(gate->body, kMaxDepth);
    if (!pointer || document == nullptr) {
        return {};
    }
    const auto text = string_of(pointer->find(document.get()));
    return text ? claimable_email(*text) : std::string();
}

}  // namespace

class EmailClaim {
  public:
    EmailClaim(ngx_http_request_t* r, Gate* gate, const User& user,
               std::string email)
        : gate_(gate),
          user_(user.str()),
          conversation_(
              claim_by_email(std::move(email), user,
                             DeliveryOptions{.keys = *server_conf(r)->keys,
                                             .policy = *server_conf(r)->policy,
                                             .grants = server_conf(r)->grants,
                                             .now = wall_clock(),
                                             .jitter_seed = random_bits()})),
          talk_(main_conf(r), on_ended, this) {
        patience_.arm(kPatience, on_late, this);
        if (!talk_.start(&conversation_)) {
            end(word(RedisStatus::unavailable));  // nobody waits yet
        }
    }
    EmailClaim(const EmailClaim&) = delete;
    EmailClaim& operator=(const EmailClaim&) = delete;

    bool
    done() const {
        return done_;
    }
    const EmailClaimed&
    claimed() const {
        return claimed_;
    }
    // Empty: nothing went wrong.
    std::string_view
    error() const {
        return failed_.empty() ? claimed_.error : failed_;
    }
    const std::string&
    user() const {
        return user_;
    }

  private:
    // `failed` is a literal: nothing here may want memory.
    void
    end(std::string_view failed) noexcept {
        talk_.stop();
        patience_.disarm();
        failed_ = failed;
        done_ = true;
    }

    static void
    on_ended(void* data, RedisStatus status,
             const std::exception* thrown) noexcept {
        auto* self = static_cast<EmailClaim*>(data);
        std::string_view failed;
        if (thrown != nullptr) {
            failed = "no memory";
        } else if (status != RedisStatus::ok) {
            failed = word(status);
        } else {
            failed = edge::guard(
                [=]() -> std::string_view {
                    self->claimed_ = std::move(self->conversation_.result());
                    return {};
                },
                [](const std::exception&) noexcept -> std::string_view {
                    return "no memory";
                });
        }
        self->end(failed);
        gate_wake(self->gate_);
    }
    static void
    on_late(void* data) noexcept {
        auto* self = static_cast<EmailClaim*>(data);
        self->end("redis took too long");
        gate_wake(self->gate_);
    }

    Gate* gate_;
    std::string user_;
    Conversation<EmailClaimed> conversation_;
    RedisTalk talk_;
    RedisDeadline patience_;
    bool done_ = false;
    EmailClaimed claimed_;
    std::string_view failed_;
};

std::string
email_in_answer(ngx_http_request_t* r, const Gate* gate) {
    const ClaimEmail* from = location_conf(r)->claim_email;
    if (from == nullptr || from->name.len == 0) {
        return {};
    }
    return from->json ? email_in_json(gate, view(from->name))
                      : email_in_header(gate->subrequest, view(from->name));
}

bool
claim_email(ngx_http_request_t* r, Gate* gate, ReauthAnswer& answer) {
    if (answer.kind != ReauthAnswer::Kind::user || answer.email.empty()) {
        return true;
    }
    if (gate->email_claim == nullptr) {
        gate->email_claim =
            std::make_shared<EmailClaim>(r, gate, *answer.user, answer.email);
    }
    const EmailClaim& claim = *gate->email_claim;
    if (!claim.done()) {
        return false;
    }
    ngx_str_t user = str(claim.user());
    for (const std::string& place : claim.claimed().places) {
        ngx_str_t id = str(place);
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "entitle: \"%V\" is user \"%V\"'s, by e-mail", &id,
                      &user);
    }
    if (!claim.error().empty()) {
        ngx_str_t error = str(claim.error());
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "entitle: what was bought under the e-mail of \"%V\" is "
                      "not claimed, until the next time: %V",
                      &user, &error);
    }
    answer.raised = claim.claimed().raised;
    gate->email_claim.reset();
    return true;
}

}  // namespace entitle::ngx
