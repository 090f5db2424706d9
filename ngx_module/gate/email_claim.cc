// entitle_claim_email: what waits under the e-mail the app has just vouched for
// becomes the user's, before anybody of the flight is decided about. Whatever
// goes wrong, the login goes on; the next re-authentication tries again.

#include "core/delivery/email_claim.h"

#include "core/json/document.h"
#include "core/json/pointer.h"
#include "ngx_module/gate/reauth.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/seldom.h"

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
email_in_json(const Asked& asked, std::string_view pointer_text) {
    if (!asked.body_complete() || asked.body().size() > kMaxAnswerBody) {
        return {};
    }
    std::string error;
    const auto pointer = JsonPointer::parse(pointer_text, error);
    const JsonDocument document = parse_json(asked.body(), kMaxDepth);
    if (!pointer || document == nullptr) {
        return {};
    }
    const auto text = string_of(pointer->find(document.get()));
    return text ? claimable_email(*text) : std::string();
}

class EmailClaim {
  public:
    EmailClaim(ngx_http_request_t* r, Gate* gate, const User& user,
               std::string email)
        : user_(user.str()),
          talk_(
              main_conf(r),
              [](void* data) noexcept { gate_wake(static_cast<Gate*>(data)); },
              gate) {
        talk_.start(
            claim_by_email(std::move(email), user,
                           DeliveryOptions{.keys = *server_conf(r)->keys,
                                           .policy = *server_conf(r)->policy,
                                           .grants = server_conf(r)->grants,
                                           .now = wall_clock(),
                                           .jitter_seed = random_bits(),
                                           .wait = replica_wait(main_conf(r))}),
            kPatience);
    }

    bool
    done() const {
        return talk_.done();
    }
    // Only once done(). Empty: nothing went wrong.
    std::string_view
    error() {
        return talk_.error().empty() ? talk_.result().error : talk_.error();
    }
    // Null: error() came before there was any.
    const EmailClaimed*
    claimed() {
        return talk_.error().empty() ? &talk_.result() : nullptr;
    }
    const std::string&
    user() const {
        return user_;
    }

  private:
    std::string user_;
    RedisTalk<EmailClaimed> talk_;
};

// A part of the gate: an answer's claim, until it has been read.
struct UnderWay {
    std::optional<EmailClaim> claim;
};

}  // namespace

std::string
email_in_answer(ngx_http_request_t* r, const Asked& asked) {
    const ClaimEmail* from = location_conf(r)->claim_email;
    if (from == nullptr || from->name.len == 0) {
        return {};
    }
    return from->json ? email_in_json(asked, view(from->name))
                      : email_in_header(asked.request(), view(from->name));
}

bool
claim_email(ngx_http_request_t* r, Gate* gate, ReauthAnswer& answer) {
    if (answer.kind != ReauthAnswer::Kind::user || answer.email.empty()) {
        return true;
    }
    auto& under_way = gate->part<UnderWay>().claim;
    if (!under_way) {
        under_way.emplace(r, gate, *answer.user, answer.email);
    }
    EmailClaim& claim = *under_way;
    if (!claim.done()) {
        return false;
    }
    ngx_str_t user = str(claim.user());
    if (const EmailClaimed* claimed = claim.claimed()) {
        for (const std::string& place : claimed->places) {
            ngx_str_t id = str(place);
            ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                          "entitle: \"%V\" is user \"%V\"'s, by e-mail", &id,
                          &user);
        }
        answer.raised = claimed->raised;
    }
    if (!claim.error().empty()) {
        ngx_str_t error = str(claim.error());
        static Seldom seldom;
        seldom.error(r->connection->log,
                     "entitle: what was bought under the e-mail of \"%V\" is "
                     "not claimed, until the next time: %V",
                     &user, &error);
    }
    under_way.reset();
    return true;
}

}  // namespace entitle::ngx
