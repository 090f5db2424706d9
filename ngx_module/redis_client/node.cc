#include "ngx_module/redis_client/node.h"

#include "core/redis/error.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

NodePolicy
policy_of(const MainConf& conf) {
    NodePolicy policy;
    policy.patience = Milliseconds{static_cast<std::int64_t>(
        conf.redis_connect_timeout + conf.redis_timeout)};
    return policy;
}

// Null: none. A slot that moved is none either.
std::optional<RedisTrouble>
trouble_of(const Reply& reply) {
    switch (meaning_of(reply)) {
        case ErrorMeaning::none:
        case ErrorMeaning::redirected:
            break;
        case ErrorMeaning::elsewhere:
            return RedisTrouble::not_primary;
        case ErrorMeaning::later:
            return RedisTrouble::busy;
        case ErrorMeaning::refused:
            return RedisTrouble::not_allowed;
        case ErrorMeaning::wrong:
            return RedisTrouble::wrong;
    }
    return std::nullopt;
}

void
count_trouble(const MainConf* conf, const PendingExchange& done) {
    if (done.status != RedisStatus::ok) {
        count(tally(conf), done.status == RedisStatus::timed_out
                               ? RedisTrouble::timed_out
                               : RedisTrouble::unavailable);
        return;
    }
    for (const Reply& reply : done.replies) {
        if (const auto trouble = trouble_of(reply)) {
            count(tally(conf), *trouble);
        }
    }
}

// Nobody is called back for what was not taken.
struct NotTaken {
    ~NotTaken() {
        if (exchange != nullptr) {
            redis_cancel(exchange);
        }
    }
    RedisExchange* exchange;
};

}  // namespace

MonoTime
mono_now() {
    return mono_time(static_cast<std::int64_t>(ngx_current_msec));
}

void
forget(ngx_event_t& event) {
    if (event.timer_set) {
        ngx_del_timer(&event);
    }
    if (event.posted) {
        ngx_delete_posted_event(&event);
    }
}

// --- what the rules are driven with ------------------------------------------

RedisNode::Client::Client(const MainConf* conf, RedisNode* node)
    : conf_(conf),
      node_(node),
      node_timer_(
          [](void* data) { static_cast<RedisNode*>(data)->rules_.on_timer(); },
          node),
      pool_timer_(
          [](void* data) {
              static_cast<RedisNode*>(data)->rules_.on_pool_timer();
          },
          node) {}

MonoTime
RedisNode::Client::now() const {
    return mono_now();
}

std::uint64_t
RedisNode::Client::random() const {
    return random_bits();
}

bool
RedisNode::Client::quits() const {
    return worker_is_done();
}

void
RedisNode::Client::turn_soon() noexcept {
    ngx_post_event(&node_->turn_, &ngx_posted_events);
}

std::unique_ptr<RedisConnection>
RedisNode::Client::make_connection() const {
    RedisConnection::Owner* owner = node_;
    auto connection = std::make_unique<RedisConnection>(conf_, owner);
    connection->prove_transactions();
    return connection;
}

void
RedisNode::Client::open_connection(RedisConnection& connection,
                                   bool quiet) const {
    connection.set_endpoint(node_->endpoint_);
    connection.open(quiet);
}

Pending
RedisNode::Client::unwatch() const {
    const Command unwatch{"UNWATCH"};
    return make_pending({&unwatch, 1});
}

bool
RedisNode::Client::said_down(std::string_view why) {
    ngx_str_t name = str(node_->name_);
    ngx_str_t reason = str(why);
    return down_.say(NGX_LOG_ERR, ngx_cycle->log,
                     "entitle: redis \"%V\" is unreachable: %V", &name,
                     &reason);
}

void
RedisNode::Client::said_back() const {
    ngx_str_t name = str(node_->name_);
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "entitle: redis \"%V\" is reachable again", &name);
}

void
RedisNode::Client::said_refused(std::string_view why) {
    ngx_str_t name = str(node_->name_);
    ngx_str_t reason = str(why);
    refused_.error(ngx_cycle->log,
                   "entitle: redis \"%V\" gives no more connections: %V", &name,
                   &reason);
}

void
RedisNode::Client::said_lost(std::string_view why) {
    ngx_str_t name = str(node_->name_);
    ngx_str_t reason = str(why);
    lost_.say(NGX_LOG_WARN, ngx_cycle->log,
              "entitle: redis \"%V\" left requests without an answer: %V",
              &name, &reason);
}

RedisNode::RedisNode(const MainConf* conf, Kind kind, Endpoint endpoint,
                     std::string name, Host* host)
    : conf_(conf),
      endpoint_(std::move(endpoint)),
      name_(std::move(name)),
      host_(host),
      shared_(conf, this),
      client_(conf, this),
      rules_(policy_of(*conf), kind, client_, shared_) {
    shared_.mark_writes();
    turn_.handler = on_turn;
    turn_.data = this;
    turn_.log = ngx_cycle->log;
}

// --- what callers and the host ask for ---------------------------------------

ngx_int_t
RedisNode::send(Pending&& pending) {
    NotTaken undo{pending->exchange};
    const bool taken = rules_.send(std::move(pending));
    undo.exchange = nullptr;  // under way, or still the caller's
    if (!taken) {
        count(tally(conf_), RedisTrouble::unavailable);
    }
    return taken ? NGX_OK : NGX_ERROR;
}

ngx_int_t
RedisNode::acquire(PoolHold* hold) {
    return rules_.acquire(hold) ? NGX_OK : NGX_ERROR;
}

ngx_int_t
RedisNode::hold_send(PoolHold* hold, Pending pending) {
    NotTaken undo{pending->exchange};
    if (!rules_.hold_send(hold, std::move(pending))) {
        return NGX_ERROR;
    }
    undo.exchange = nullptr;
    return NGX_OK;
}

ngx_int_t
RedisNode::ask(RedisExchange* exchange) {
    NotTaken undo{exchange};
    if (!rules_.ask(make_pending(*conf_, exchange, exchange->commands))) {
        return NGX_ERROR;
    }
    undo.exchange = nullptr;
    return NGX_OK;
}

void
RedisNode::move_to(Endpoint endpoint) {
    rules_.trust();
    if (endpoint == endpoint_) {
        return;
    }
    endpoint_ = std::move(endpoint);
    rules_.move();
    forget("it is another server now");
}

void
RedisNode::forget(std::string_view why) {
    if (listener_ != nullptr) {
        listener_->moved(this, why);
    }
}

void
RedisNode::shut() {
    entitle::ngx::forget(turn_);
    rules_.shut();
}

// --- what the connections report ---------------------------------------------

void
RedisNode::connected(RedisConnection* connection) {
    rules_.connected(connection);
}

void
RedisNode::completed(Pending pending) {
    rules_.completed(std::move(pending));
}

void
RedisNode::closed(RedisConnection* connection, std::deque<Pending>& unanswered,
                  RedisStatus status, Ending ending, std::string_view why) {
    rules_.closed(connection, unanswered, status, ending, why);
}

// --- calling back ------------------------------------------------------------

void
RedisNode::on_turn(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisNode*>(event->data);
    edge::event("redis client", [=] {
        if (self->rules_.take_lost() && self->host_ != nullptr) {
            self->host_->lost(self);
        }
        self->rules_.open_what_is_needed();
    });
    self->call_back();
}

bool
RedisNode::taken_by_host(Pending& pending) noexcept {
    if (host_ == nullptr || pending->status != RedisStatus::ok) {
        return false;
    }
    return edge::guard([&] { return host_->answered(this, pending); },
                       [&](const std::exception& error) noexcept {
                           edge::say(ngx_cycle->log, "redis client", error);
                           return pending == nullptr;
                       });
}

void
RedisNode::call_back() {
    do {
        while (Pending pending = rules_.next_finished()) {
            count_trouble(conf_, *pending);
            if (!taken_by_host(pending)) {
                if (pending->exchange != nullptr) {
                    pending->exchange->replied_by = this;
                }
                deliver(std::move(pending));
            }
        }
    } while (rules_.call_back_one());
}

}  // namespace entitle::ngx
