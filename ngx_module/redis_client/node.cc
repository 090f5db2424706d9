#include "ngx_module/redis_client/node.h"

#include <iterator>

#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kMaxOutstanding = 16384;

// One failure opens it: a command that was late has already cost somebody a
// whole time-out, and the probe is back within a tenth of a second.
const BreakerPolicy kBreaker{
    .failures = 1,
    .backoff = {.first = Milliseconds{100}, .most = Milliseconds{1000}},
    .probe_timeout = Milliseconds{10000},
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

RedisNode::RedisNode(const MainConf* conf, Kind kind, Endpoint endpoint,
                     std::string name, Host* host)
    : conf_(conf),
      kind_(kind),
      endpoint_(std::move(endpoint)),
      name_(std::move(name)),
      host_(host),
      breaker_(kBreaker),
      shared_(conf, this),
      pool_(conf, this, this) {
    turn_.handler = on_turn;
    timer_.handler = on_timer;
    for (ngx_event_t* event : {&turn_, &timer_}) {
        event->data = this;
        event->log = ngx_cycle->log;
    }
}

// --- what callers ask for ----------------------------------------------------

ngx_int_t
RedisNode::send(Pending&& pending) {
    if (!up()) {
        return NGX_ERROR;
    }
    if (place_ == Place::placed) {
        return send_shared(std::move(pending));
    }
    if (held_.size() >= kMaxOutstanding) {
        return NGX_ERROR;
    }
    held_.push_back(std::move(pending));
    timer_.cancelable = 0;
    return NGX_OK;
}

ngx_int_t
RedisNode::send_shared(Pending&& pending) {
    if (shared_.outstanding() >= kMaxOutstanding) {
        return NGX_ERROR;
    }
    shared_.send(std::move(pending));
    open_shared();
    return NGX_OK;
}

// Nobody is left on a connection that is not being opened.
void
RedisNode::open_shared() {
    if (!shared_.is_closed() || open(shared_)) {
        return;
    }
    for (Pending& pending : shared_.take_queue()) {
        fail(std::move(pending), RedisStatus::unavailable);
    }
    if (kind_ == Kind::fixed && !timer_.timer_set) {
        probe_soon();
    }
}

ngx_int_t
RedisNode::acquire(PoolHold* hold) {
    return up() ? pool_.acquire(hold) : NGX_ERROR;
}

ngx_int_t
RedisNode::hold_send(PoolHold* hold, Pending pending) {
    return pool_.send(hold, std::move(pending));
}

void
RedisNode::release(PoolHold* hold, bool watching) noexcept {
    pool_.release(hold, watching);
}

bool
RedisNode::open(RedisConnection& connection) {
    bool quiet = breaker_.state() != Breaker::State::closed || said_down_;
    std::optional<Breaker::Ticket> ticket = breaker_.pass(mono_now());
    if (!ticket) {
        return false;
    }
    connection.set_endpoint(endpoint_);
    connection.open(*ticket, quiet);
    return true;
}

// --- where it is -------------------------------------------------------------

void
RedisNode::search() {
    if (place_ != Place::placed) {
        return;
    }
    place_ = Place::searching;
    if (shared_.is_closed()) {
        for (Pending& pending : shared_.take_queue()) {
            held_.push_back(std::move(pending));
        }
    }
    entitle::ngx::forget(timer_);
    timer_.cancelable = held_.empty();
    ngx_add_timer(&timer_, conf_->redis_connect_timeout + conf_->redis_timeout);
}

void
RedisNode::move_to(Endpoint endpoint) {
    breaker_ = Breaker(kBreaker);
    if (endpoint == endpoint_) {
        return;
    }
    std::deque<Pending> unanswered = shared_.take_queue();
    shared_.shut();
    generation_++;
    endpoint_ = std::move(endpoint);
    queue_again(std::move(unanswered), RedisStatus::unavailable);
    for (Pending& pending : pool_.cut()) {
        fail(std::move(pending), RedisStatus::unavailable);
    }
    call_back_soon();
    forget("it is another server now");
}

void
RedisNode::forget(std::string_view why) {
    if (listener_ != nullptr) {
        listener_->moved(this, why);
    }
}

void
RedisNode::place() {
    if (place_ == Place::placed) {
        return;
    }
    place_ = Place::placed;
    entitle::ngx::forget(timer_);
    came_up();
    for (Pending& pending : std::exchange(held_, {})) {
        shared_.send(std::move(pending));
        open_shared();
    }
    pool_.connected();
    call_back_soon();
}

ngx_int_t
RedisNode::ask(RedisExchange* exchange) {
    if (kind_ == Kind::fixed && !up()) {
        return NGX_ERROR;
    }
    Pending pending = make_pending(*conf_, exchange, exchange->commands);
    pending->pinned = true;
    return send_shared(std::move(pending));
}

// --- what the connections report ---------------------------------------------

bool
RedisNode::serves() const {
    return place_ == Place::placed &&
           breaker_.state() == Breaker::State::closed;
}

void
RedisNode::connected(RedisConnection* connection) {
    if (connection == &shared_) {
        generation_++;
    }
    breaker_.succeeded(connection->ticket());
    if (serves()) {
        came_up();
        pool_.connected();
    }
}

void
RedisNode::came_up() {
    entitle::ngx::forget(timer_);
    if (std::exchange(said_down_, false)) {
        ngx_str_t name = str(name_);
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "redis \"%V\" is reachable again", &name);
    }
}

void
RedisNode::completed(Pending pending) {
    finished_.push_back(std::move(pending));
    call_back_soon();
}

void
RedisNode::closed(RedisConnection* connection, std::deque<Pending> unanswered,
                  RedisStatus status, bool failed, std::string_view why) {
    lost_ = true;
    if (kind_ == Kind::searched) {
        why_lost_ = why;
    } else if (failed) {
        bool was_up = serves();
        breaker_.failed(connection->ticket(), mono_now(), random_bits());
        if (was_up && !serves()) {
            went_down(why);
        } else if (!serves()) {
            probe_soon();
        }
    }
    if (connection == &shared_) {
        generation_++;
        queue_again(std::move(unanswered), status);
    } else {
        for (Pending& pending : unanswered) {
            fail(std::move(pending), status);
        }
        pool_.closed(connection);
    }
    call_back_soon();
}

// A connection that was merely lost (Redis restarted, or closes idle clients)
// is no news for a reader: once more, on a new one.
void
RedisNode::queue_again(std::deque<Pending> unanswered, RedisStatus status) {
    for (Pending& pending : unanswered) {
        if (!up() || pending->repeated || pending->pinned ||
            pending->exchange == nullptr) {
            fail(std::move(pending), status);
            continue;
        }
        pending->repeated = true;
        pending->replies.clear();
        if (place_ == Place::placed) {
            shared_.send(std::move(pending));
        } else {
            held_.push_back(std::move(pending));
        }
    }
}

void
RedisNode::open_what_is_needed() {
    if (shared_.outstanding() != 0) {
        open_shared();
    }
    if (serves()) {
        pool_.open_for_waiters();
    }
}

void
RedisNode::went_down(std::string_view why) {
    ngx_str_t name = str(name_);
    ngx_str_t reason = str(why);
    if (!std::exchange(said_down_, true)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "redis \"%V\" is unreachable: %V", &name, &reason);
    }
    pool_.went_down();
    fail_held(RedisStatus::unavailable);
    if (kind_ == Kind::fixed) {
        probe_soon();
    }
}

void
RedisNode::fail(Pending pending, RedisStatus status) {
    pending->status = status;
    pending->replies.clear();
    completed(std::move(pending));
}

void
RedisNode::fail_held(RedisStatus status) {
    for (Pending& pending : std::exchange(held_, {})) {
        fail(std::move(pending), status);
    }
}

void
RedisNode::probe_soon() {
    Milliseconds wait = breaker_.wait(mono_now()) + Milliseconds{1};
    timer_.cancelable = 1;
    ngx_add_timer(&timer_, static_cast<ngx_msec_t>(wait.count()));
}

void
RedisNode::probe() {
    if (worker_quits()) {
        return;
    }
    // What it still owes is answered or late soon; nothing is added. Nothing
    // is owed by one that is closed.
    if (shared_.is_closed()) {
        open_shared();
    } else if (shared_.outstanding() == 0) {
        shared_.shut();
        open(shared_);
    }
    if (shared_.is_closed() || shared_.outstanding() != 0) {
        probe_soon();
    }
}

void
RedisNode::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisNode*>(event->data);
    edge::event(
        "redis client",
        [=] {
            if (self->place_ == Place::placed) {
                self->probe();
            } else if (self->place_ == Place::searching) {
                self->place_ = Place::nowhere;
                self->went_down(self->why_lost_);
            }
        },
        [=]() noexcept { ngx_add_timer(event, 1000); });
}

// --- calling back ------------------------------------------------------------

void
RedisNode::call_back_soon() {
    ngx_post_event(&turn_, &ngx_posted_events);
}

void
RedisNode::on_turn(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisNode*>(event->data);
    edge::event("redis client", [=] {
        if (std::exchange(self->lost_, false) && self->host_ != nullptr) {
            self->host_->lost(self);
        }
        self->open_what_is_needed();
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
        while (!finished_.empty()) {
            Pending pending = std::move(finished_.front());
            finished_.pop_front();
            if (!taken_by_host(pending)) {
                if (pending->exchange != nullptr) {
                    pending->exchange->answered_by = this;
                }
                deliver(std::move(pending));
            }
        }
    } while (pool_.call_back_one());
}

void
RedisNode::rest() {
    pool_.went_down();
    if (shared_.outstanding() == 0 && !shared_.is_closed()) {
        shared_.shut();
        generation_++;
    }
    entitle::ngx::forget(timer_);
    said_down_ = false;
    breaker_ = Breaker(kBreaker);
}

void
RedisNode::shut() {
    entitle::ngx::forget(turn_);
    entitle::ngx::forget(timer_);
    shared_.shut();
    pool_.shut();
    held_.clear();
    finished_.clear();
}

}  // namespace entitle::ngx
