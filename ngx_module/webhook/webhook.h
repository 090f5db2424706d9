// One webhook request, from its body to its answer.
//
// It waits for Stripe and Redis with timers of its own and may be cut off
// anywhere: when the client goes away nginx runs abandon(), which gives the
// connection back and forgets the conversation. What Redis was told by then
// stays told; the next delivery of the event finishes it
// (core/delivery/delivery.h).
#pragma once

#include "core/delivery/ignored.h"
#include "core/delivery/lookup.h"
#include "core/delivery/response.h"
#include "core/redis/backoff.h"
#include "core/stripe/asking.h"
#include "core/stripe/event.h"
#include "core/stripe/lost_event.h"
#include "ngx_module/edge.h"
#include "ngx_module/http/own_request.h"
#include "ngx_module/redis_client/talk.h"

namespace entitle::ngx {

// Of variables; no data where nothing is known.
struct WebhookVars {
    ngx_str_t event_id, event_type, customer, outcome;
};

class Webhook {
  public:
    explicit Webhook(ngx_http_request_t* r);
    Webhook(const Webhook&) = delete;
    Webhook& operator=(const Webhook&) = delete;
    ~Webhook() {
        abandon();
    }

    // With the body read. Answers now, or once Redis has.
    void receive();
    // Answers 500.
    void fail(const std::exception& error) noexcept;
    // Lets go of everything outside the request. Again is harmless.
    void abandon() noexcept;

    WebhookVars vars{};

  private:
    // ngx_module/webhook/webhook.cc
    void take(Event event);
    void tell_of_lost(const LostEvent& lost);
    bool read_facts(const StripeList* asked);
    bool account_allowed() const;
    void note(WebhookNote kind, std::string_view detail);
    void refuse(ngx_uint_t status, std::string_view error,
                std::string_view detail);
    void respond(Outcome outcome, ngx_uint_t level, std::string_view detail,
                 const std::vector<std::string>& unlocks = {},
                 const std::vector<Identifier>& carries = {},
                 std::string_view awaits = {});
    void finish(ngx_int_t rc) noexcept;
    ngx_str_t keep(std::string_view text);

    // ngx_module/webhook/asking.cc
    bool ask_stripe();
    void note_unasked();
    void look_whether_ignored();
    void begin_to_ask();
    void ask();
    void take_told();
    static void on_looked(void* data) noexcept;
    // For who wonders why nothing is known of a purchase.
    const char* what_was_asked() const;
    static void on_told(void* data) noexcept;

    // ngx_module/webhook/delivery.cc
    void store();
    DeliveryOptions options() const;
    void attempt();
    void conclude(DeliveryResult result);
    void attempt_failed(std::string_view why);
    static void on_done(void* data) noexcept;
    static void on_timer(ngx_event_t* event) noexcept;
    // Runs `f` for what nginx called outside of the request.
    template <class F>
    void
    from_event(F f) noexcept {
        ngx_connection_t* c = request_->connection;
        ngx_http_set_log_request(c->log, request_);
        edge::guard(
            f, [this](const std::exception& error) noexcept { fail(error); });
        ngx_http_run_posted_requests(c);
    }

    ngx_http_request_t* request_;
    EventHead head_;
    std::optional<Event> event_;
    Facts facts_;

    std::optional<StripeQuestion> question_;
    std::string question_uri_;
    ngx_msec_t ask_until_ = 0;
    OwnRequest stripe_;
    RedisTalk<bool> looking_;  // whether an operator ignores what it is about

    RedisTalk<DeliveryResult> talk_;
    ngx_event_t timer_{};  // until the next attempt
    ngx_msec_t give_up_ = 0;
    Backoff backoff_;
};

// Of this request, also while it is logged; null where webhook_handler never
// ran.
const Webhook* webhook_of(ngx_http_request_t* r) noexcept;

}  // namespace entitle::ngx
