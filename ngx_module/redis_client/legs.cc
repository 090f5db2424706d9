#include "ngx_module/redis_client/legs.h"

#include <algorithm>

namespace entitle::ngx {
namespace {

bool
watches_after(bool watches, const std::vector<Command>& commands) {
    for (const Command& command : commands) {
        const std::string& verb = command.front();
        if (verb == "WATCH") {
            watches = true;
        } else if (verb == "EXEC" || verb == "DISCARD" || verb == "UNWATCH") {
            watches = false;
        }
    }
    return watches;
}

}  // namespace

RedisLegs::~RedisLegs() {
    while (!legs_.empty()) {
        drop(legs_.back().get());
    }
}

RedisLegs::Leg*
RedisLegs::add(RedisNode* node) {
    auto leg = std::make_unique<Leg>(Leg{this, node});
    leg->lease.acquired = on_acquired;
    leg->lease.data = leg.get();
    if (node->acquire(&leg->lease) != NGX_OK) {
        return nullptr;
    }
    legs_.push_back(std::move(leg));
    return legs_.back().get();
}

void
RedisLegs::drop(Leg* leg) {
    leg->node->release(&leg->lease, leg->watches);
    std::erase_if(legs_, [=](const auto& other) { return other.get() == leg; });
}

ngx_int_t
RedisLegs::begin() {
    RedisNode* node = topology_.node_of(lease_->key);
    current_ = node == nullptr ? nullptr : add(node);
    return current_ == nullptr ? NGX_ERROR : NGX_OK;
}

ngx_int_t
RedisLegs::send(RedisExchange* exchange) {
    RedisNode* node = topology_.node_of(exchange->key);
    if (node == nullptr || !turn_to(node, exchange->commands.front())) {
        return NGX_ERROR;
    }
    Pending pending = make_pending(exchange, exchange->commands);
    pending->pinned = true;
    current_->watches = watches_after(current_->watches, exchange->commands);
    if (!current_->held) {
        current_->waiting = std::move(pending);
        return NGX_OK;
    }
    return node->lease_send(&current_->lease, std::move(pending));
}

bool
RedisLegs::turn_to(RedisNode* node, const Command& first) {
    if (current_ != nullptr && current_->node == node) {
        return true;
    }
    // Giving a connection back forgets what it watches.
    if (current_ != nullptr &&
        (!current_->watches || first.front() == "UNWATCH")) {
        drop(current_);
    }
    auto known = std::find_if(legs_.begin(), legs_.end(), [=](const auto& leg) {
        return leg->node == node;
    });
    current_ = known == legs_.end() ? add(node) : known->get();
    return current_ != nullptr;
}

void
RedisLegs::on_acquired(PoolLease* lease, RedisStatus status) noexcept {
    Leg* leg = static_cast<Leg*>(lease->data);
    leg->legs->acquired(leg, status);
}

void
RedisLegs::acquired(Leg* leg, RedisStatus status) {
    leg->held = status == RedisStatus::ok;
    if (leg->waiting != nullptr) {
        go_on(leg, std::move(leg->waiting), status);
        return;
    }
    RedisLease* lease = lease_;
    if (!leg->held) {
        lease->legs = nullptr;
        delete this;
    }
    lease->acquired(lease, status);
}

void
RedisLegs::go_on(Leg* leg, Pending pending, RedisStatus status) {
    RedisExchange* exchange = pending->exchange;
    if (!leg->held) {
        pending->status = status;
        deliver(std::move(pending));
    } else if (leg->node->lease_send(&leg->lease, std::move(pending)) !=
                   NGX_OK &&
               exchange != nullptr) {
        exchange->done(exchange, RedisStatus::unavailable);
    }
}

}  // namespace entitle::ngx
