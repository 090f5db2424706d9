#include "ngx_module/redis_client/legs.h"

#include <algorithm>

#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

LeftBehind
left_after(LeftBehind left, const std::vector<Command>& commands) {
    for (const Command& command : commands) {
        const std::string& verb = command.front();
        if (verb == "WATCH") {
            left = LeftBehind::watch;
        } else if (verb == "EXEC" || verb == "DISCARD" || verb == "UNWATCH") {
            left = LeftBehind::nothing;
        }
    }
    return left;
}

}  // namespace

RedisLegs::~RedisLegs() {
    while (!legs_.empty()) {
        drop(legs_.back().get());
    }
}

RedisLegs::Leg*
RedisLegs::add(RedisNode* node) {
    // Kept before it waits: whoever waits must not vanish.
    legs_.push_back(std::make_unique<Leg>(Leg{this, node}));
    Leg* leg = legs_.back().get();
    leg->hold.acquired = on_acquired;
    leg->hold.data = leg;
    // Nor may one stay that nobody knows of.
    if (edge::answer("redis client",
                     [=] { return node->acquire(&leg->hold); }) != NGX_OK) {
        drop(leg);
        return nullptr;
    }
    return leg;
}

void
RedisLegs::drop(Leg* leg) noexcept {
    leg->node->release(&leg->hold, leg->left);
    std::erase_if(legs_, [=](const auto& other) { return other.get() == leg; });
}

ngx_int_t
RedisLegs::begin() {
    RedisNode* node = topology_.node_of(hold_->key);
    current_ = node == nullptr ? nullptr : add(node);
    return current_ == nullptr ? NGX_ERROR : NGX_OK;
}

ngx_int_t
RedisLegs::send(RedisExchange* exchange) {
    RedisNode* node = topology_.node_of(exchange->key);
    if (node == nullptr || !turn_to(node, exchange->commands.front())) {
        return NGX_ERROR;
    }
    Pending pending = make_pending(conf_, exchange, exchange->commands);
    pending->pinned = true;
    current_->left = left_after(current_->left, exchange->commands);
    if (!current_->held) {
        current_->waiting = std::move(pending);
        return NGX_OK;
    }
    return node->hold_send(&current_->hold, std::move(pending));
}

void
RedisLegs::distrust() noexcept {
    if (current_ != nullptr) {
        current_->left = LeftBehind::doubt;
        drop(std::exchange(current_, nullptr));
    }
}

bool
RedisLegs::turn_to(RedisNode* node, const Command& first) {
    if (current_ != nullptr && current_->node == node) {
        return true;
    }
    // Giving a connection back forgets what it watches.
    if (current_ != nullptr &&
        (current_->left == LeftBehind::nothing || first.front() == "UNWATCH")) {
        drop(std::exchange(current_, nullptr));
    }
    auto known = std::find_if(legs_.begin(), legs_.end(), [=](const auto& leg) {
        return leg->node == node;
    });
    current_ = known == legs_.end() ? add(node) : known->get();
    return current_ != nullptr;
}

void
RedisLegs::on_acquired(PoolHold* hold, RedisStatus status) noexcept {
    Leg* leg = static_cast<Leg*>(hold->data);
    leg->legs->acquired(leg, status);
}

void
RedisLegs::acquired(Leg* leg, RedisStatus status) noexcept {
    leg->held = status == RedisStatus::ok;
    if (leg->waiting != nullptr) {
        go_on(leg, std::move(leg->waiting), status);
        return;
    }
    RedisHold* hold = hold_;
    hold->deadline.disarm();
    if (!leg->held) {
        hold->legs = nullptr;
        delete this;
    }
    hold->acquired(hold, status);
}

void
RedisLegs::go_on(Leg* leg, Pending pending, RedisStatus status) noexcept {
    if (!leg->held) {
        current_ = current_ == leg ? nullptr : current_;
        drop(leg);
        pending->status = status;
        deliver(std::move(pending));
        return;
    }
    RedisExchange* exchange = pending->exchange;
    const ngx_int_t rc = edge::answer("redis client", [&] {
        return leg->node->hold_send(&leg->hold, std::move(pending));
    });
    if (rc != NGX_OK && exchange != nullptr) {
        redis_cancel(exchange);
        exchange->done(exchange, RedisStatus::unavailable);
    }
}

}  // namespace entitle::ngx
