// The webhook location: body, signature, event, facts, answer. Storing the
// facts is the next file's: ngx_module/webhook/delivery.cc.

#include "ngx_module/webhook/webhook.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/delivery/response.h"
#include "core/report/words.h"
#include "core/stripe/event.h"
#include "core/stripe/signature.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"
#include "ngx_module/http/body.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/webhook/handlers.h"

namespace entitle::ngx {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kSignatureHeader = "Stripe-Signature";

// When this worker last wrote what it noted, by mode and WebhookNote.
struct Noted {
    time_t at[2][3] = {};
};

// For the log: no control bytes, not endless.
std::string
printable(std::string_view text) {
    constexpr std::size_t kMost = 1024;
    std::string result(text.substr(0, kMost));
    for (char& c : result) {
        if (is_control_byte(c)) {
            c = '?';
        }
    }
    return result;
}

void body_handler(ngx_http_request_t* r) noexcept;
void destroy(void* data) noexcept;

// The pool's cleanup list is where an internal redirect does not forget it
// and the log phase still finds it.
Webhook*
find(ngx_http_request_t* r) noexcept {
    for (ngx_pool_cleanup_t* cleanup = r->main->pool->cleanup;
         cleanup != nullptr; cleanup = cleanup->next) {
        if (cleanup->handler == destroy) {
            return static_cast<Webhook*>(cleanup->data);
        }
    }
    return nullptr;
}

Webhook*
make(ngx_http_request_t* r) {
    ngx_pool_cleanup_t* cleanup =
        ngx_pool_cleanup_add(r->pool, sizeof(Webhook));
    if (cleanup == nullptr) {
        return nullptr;
    }
    auto* webhook = new (cleanup->data) Webhook(r);
    cleanup->handler = destroy;

    ngx_http_cleanup_t* end = ngx_http_cleanup_add(r, 0);
    if (end == nullptr) {
        return nullptr;
    }
    end->handler = [](void* data) noexcept {
        static_cast<Webhook*>(data)->abandon();
    };
    end->data = webhook;
    return webhook;
}

void
destroy(void* data) noexcept {
    static_cast<Webhook*>(data)->~Webhook();
}

ngx_int_t
refuse_method(ngx_http_request_t* r) {
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "entitle: webhook refused: method is not POST");
    if (add_header(r, "Allow", "POST") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return send_json(r, NGX_HTTP_NOT_ALLOWED, kJson,
                     error_body("method_not_allowed"));
}

// How often the signature header stands there; `value` is the last one's.
std::size_t
count_signatures(ngx_http_request_t* r, std::string_view* value) {
    std::size_t count = 0;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        if (is_named(header, kSignatureHeader)) {
            *value = view(header.value);
            count++;
        }
    });
    return count;
}

Mode
mode_of(ngx_http_request_t* r) {
    return location_conf(r)->webhook == 2 ? Mode::live : Mode::test;
}

void
count_refusal(ngx_http_request_t* r, std::string_view error) {
    constexpr auto kLast = static_cast<std::size_t>(Refusal::body_too_large);
    static_assert(kLast + 1 == kRefusals);
    for (std::size_t i = 0; i <= kLast; i++) {
        if (name(static_cast<Refusal>(i)) == error) {
            count(tally(r), mode_of(r), static_cast<Refusal>(i));
        }
    }
}

bool
is_stored_first(Outcome outcome) {
    return outcome == Outcome::applied || outcome == Outcome::superseded ||
           outcome == Outcome::parked || outcome == Outcome::unmatched;
}

void
count_outcome(ngx_http_request_t* r, Outcome outcome, const EventHead& head) {
    const Mode mode = mode_of(r);
    SharedTally& counts = tally(r);
    count(counts, mode, outcome);
    if (is_stored_first(outcome)) {
        const Milliseconds delay = wall_clock() - head.created;
        counts.delays[static_cast<std::size_t>(mode)].add(
            kDelays, std::max<std::int64_t>(delay.count(), 0));
    }
}

SignatureVerdict
check_signature(ngx_http_request_t* r, std::string_view body) {
    const LocationConf* conf = location_conf(r);
    std::string_view header;
    std::size_t count = count_signatures(r, &header);
    if (count > 1) {
        SignatureVerdict verdict;
        verdict.error = SignatureError::signature_malformed;
        return verdict;
    }
    return verify_signature(count == 1 ? std::optional(header) : std::nullopt,
                            body, *conf->webhook_secrets, unix_time(ngx_time()),
                            Seconds{conf->webhook_tolerance});
}

void
body_handler(ngx_http_request_t* r) noexcept {
    Webhook* webhook = find(r);
    edge::guard(
        [=] { webhook->receive(); },
        [=](const std::exception& error) noexcept { webhook->fail(error); });
}

}  // namespace

const Webhook*
webhook_of(ngx_http_request_t* r) noexcept {
    return find(r);
}

ngx_int_t
webhook_handler(ngx_http_request_t* r) noexcept {
    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }
    return edge::request(r, "the webhook failed", [=]() -> ngx_int_t {
        if (r->method != NGX_HTTP_POST) {
            return refuse_method(r);
        }
        if (make(r) == nullptr) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
        r->request_body_in_single_buf = 1;
        ngx_int_t rc = ngx_http_read_client_request_body(r, body_handler);
        return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
    });
}

void
Webhook::receive() {
    std::string_view body;
    ngx_int_t rc = collect_body(request_, kMaxEventBytes, &body);
    if (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        refuse(NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "body_too_large",
               "the body exceeds 1m");
        return;
    }
    if (rc != NGX_OK) {
        finish(NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    SignatureVerdict verdict = check_signature(request_, body);
    if (!verdict.payload) {
        std::string detail = std::to_string(body.size()) + " bytes";
        if (verdict.error == SignatureError::timestamp_out_of_tolerance) {
            detail = "signed " + std::to_string(verdict.skew.count()) +
                     " seconds ago by this machine's clock";
        }
        refuse(NGX_HTTP_BAD_REQUEST, name(verdict.error), detail);
        return;
    }
    ParsedEvent parsed = parse_event(*verdict.payload);
    if (!parsed.event) {
        refuse(NGX_HTTP_BAD_REQUEST, name(parsed.error), parsed.detail);
        return;
    }
    take(*std::move(parsed.event));
}

void
Webhook::take(Event taken) {
    const Event& event = event_.emplace(std::move(taken));
    head_ = event.head;
    vars.event_id = keep(head_.id);
    vars.event_type = keep(head_.type);

    note(WebhookNote::received, head_.id);

    const LocationConf* conf = location_conf(request_);
    if (const auto lost = lost_event(event)) {
        tell_of_lost(*lost);
        return;
    }
    if (event.thin) {
        respond(Outcome::ignored, NGX_LOG_WARN,
                "a thin event says nothing about who bought what: at Stripe, "
                "give this endpoint the payload style \"snapshot\"");
        return;
    }
    if (head_.livemode != (conf->webhook == 2)) {
        respond(Outcome::mode_mismatch, NGX_LOG_ERR,
                head_.livemode
                    ? "a live event at \"entitle_webhook test\": Stripe's live "
                      "endpoint and its secret are set to this location"
                    : "a test event at \"entitle_webhook live\": Stripe's test "
                      "endpoint and its secret are set to this location");
        return;
    }
    if (!head_.account.is_own() && !account_allowed()) {
        respond(Outcome::account_not_allowed, NGX_LOG_ERR,
                "account \"" + head_.account.str() +
                    "\" is not named by \"entitle_webhook_account\"");
        return;
    }

    if (!read_facts(nullptr)) {
        respond(Outcome::ignored, facts_.warns ? NGX_LOG_WARN : NGX_LOG_INFO,
                facts_.note);
        return;
    }
    if (!ask_stripe()) {
        store();
    }
}

// Nobody will ever send it: somebody has to look.
void
Webhook::tell_of_lost(const LostEvent& lost) {
    const Keys& keys = *location_conf(request_)->webhook_keys;
    const std::string command =
        command_words("why", lost.object, view(server_conf(request_)->prefix),
                      mode_of(request_));
    if (head_.livemode == (mode_of(request_) == Mode::live)) {
        redis_tell(
            main_conf(request_),
            {"ZADD", keys.lost(), std::to_string(ngx_time()), lost.object});
    }
    respond(Outcome::ignored, NGX_LOG_ERR,
            "Stripe could not make " +
                (lost.type.empty() ? std::string("an event")
                                   : "the event \"" + lost.type + "\"") +
                " of \"" + lost.object +
                "\", and nobody will send it: " + command);
}

// False: the event changes nothing.
bool
Webhook::read_facts(const StripeList* asked) {
    const ServerConf* server = server_conf(request_);
    facts_ = facts_of(
        *event_, FactsOptions{*server->user_from, server->reference, asked});
    vars.customer = keep(facts_.customer);
    return !facts_.places.empty();
}

bool
Webhook::account_allowed() const {
    const auto* accounts = location_conf(request_)->webhook_accounts;
    return accounts != nullptr && std::find(accounts->begin(), accounts->end(),
                                            head_.account) != accounts->end();
}

// For people who ask whether Stripe still talks to us: at most once a second,
// kind and worker.
void
Webhook::note(WebhookNote kind, std::string_view detail) {
    const MainConf* main = main_conf(request_);
    const LocationConf* conf = location_conf(request_);
    time_t& noted = main->worker->part<Noted>()
                        .at[conf->webhook - 1][static_cast<int>(kind)];
    if (noted == ngx_time()) {
        return;
    }
    noted = ngx_time();
    redis_tell(main, webhook_note(*conf->webhook_keys, kind,
                                  unix_time(ngx_time()), detail));
}

// --- answers -----------------------------------------------------------------

void
Webhook::refuse(ngx_uint_t status, std::string_view error,
                std::string_view detail) {
    std::string line = printable(detail);
    std::string word(error);
    ngx_log_error(NGX_LOG_WARN, request_->connection->log, 0,
                  "entitle: webhook refused: %s%s%s", word.c_str(),
                  line.empty() ? "" : ": ", line.c_str());
    count_refusal(request_, error);
    finish(send_json(request_, status, kJson, error_body(error)));
}

void
Webhook::respond(Outcome outcome, ngx_uint_t level, std::string_view detail,
                 const std::vector<std::string>& unlocks,
                 const std::vector<Identifier>& carries,
                 std::string_view awaits) {
    vars.outcome = keep(name(outcome));
    count_outcome(request_, outcome, head_);
    if (outcome == Outcome::applied) {
        note(WebhookNote::applied, head_.id);
    } else if (outcome == Outcome::mode_mismatch ||
               outcome == Outcome::account_not_allowed) {
        note(WebhookNote::refused, name(outcome));
    }
    std::string line = "event \"" + printable(head_.id) + "\" of type \"" +
                       printable(head_.type) + "\" " +
                       std::string(name(outcome));
    if (!detail.empty()) {
        line += ": " + printable(detail);
    }
    ngx_log_error(level, request_->connection->log, 0, "entitle: %s",
                  line.c_str());

    Response to_stripe = response_to(outcome, unlocks, carries, awaits);
    if (to_stripe.status == NGX_HTTP_SERVICE_UNAVAILABLE &&
        add_header(request_, "Retry-After", "10") != NGX_OK) {
        finish(NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }
    finish(send_json(request_, static_cast<ngx_uint_t>(to_stripe.status), kJson,
                     to_stripe.body));
}

void
Webhook::fail(const std::exception& error) noexcept {
    ngx_log_error(NGX_LOG_CRIT, request_->connection->log, 0,
                  "entitle: the webhook failed: %s", error.what());
    finish(NGX_HTTP_INTERNAL_SERVER_ERROR);
}

// The request, and this object with it, may be gone afterwards.
void
Webhook::finish(ngx_int_t rc) noexcept {
    abandon();
    ngx_http_finalize_request(request_, rc);
}

ngx_str_t
Webhook::keep(std::string_view text) {
    auto* copy = static_cast<u_char*>(ngx_pnalloc(request_->pool, text.size()));
    if (copy == nullptr) {
        throw std::bad_alloc();
    }
    ngx_memcpy(copy, text.data(), text.size());
    return {text.size(), copy};
}

}  // namespace entitle::ngx
