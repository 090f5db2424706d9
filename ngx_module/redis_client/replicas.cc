#include "ngx_module/redis_client/replicas.h"

#include <algorithm>

#include "core/redis/error.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

constexpr Milliseconds kSoon{100};
constexpr std::uint8_t kMostMoves = 3;

// Only of that very server.
ngx_int_t
ask(const MainConf& conf, RedisNode& node, RedisExchange& question) {
    question.commands = {{"INFO", "replication"}};
    question.replies.clear();
    Pending pending = make_pending(conf, &question, question.commands);
    pending->pinned = true;
    const ngx_int_t rc = node.send(std::move(pending));
    if (rc != NGX_OK) {
        redis_cancel(&question);
    }
    return rc;
}

std::optional<Replication>
answer_to(const RedisExchange& question, RedisStatus status) {
    if (status != RedisStatus::ok ||
        question.replies.front().type != Reply::Type::string) {
        return std::nullopt;
    }
    return parse_replication(question.replies.front().text);
}

bool
says_elsewhere(const std::vector<Reply>& replies) {
    return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
        return meaning_of(reply) == ErrorMeaning::elsewhere;
    });
}

}  // namespace

std::unique_ptr<RedisTopology>
make_replicas(const MainConf* conf, RedisTopology& primaries) {
    return std::make_unique<RedisReplicas>(conf, primaries);
}

RedisReplicas::Replica::Replica(RedisReplicas* replicas, const MainConf* conf,
                                const Endpoint& endpoint)
    : all(replicas),
      node(conf, RedisNode::Kind::fixed, endpoint, "replica " + endpoint.text(),
           replicas) {
    node.set_warranted_until(MonoTime{});
    question.done = on_replica;
    question.data = this;
}

RedisReplicas::RedisReplicas(const MainConf* conf, RedisTopology& primaries)
    : conf_(conf),
      warrant_(warrant_time(conf)),
      primaries_(primaries),
      timer_([](void* self) { static_cast<RedisReplicas*>(self)->tick(); },
             this) {
    for (const Endpoint& endpoint : *conf->redis_read) {
        replicas_.push_back(std::make_unique<Replica>(this, conf, endpoint));
    }
    question_.done = on_primary;
    question_.data = this;
}

template <class F>
void
RedisReplicas::guard(RedisReplicas* self, F f) noexcept {
    edge::event("redis replicas", f,
                [=]() noexcept { self->timer_.start(RedisTimer::kAgain); });
}

// --- who is read -------------------------------------------------------------

RedisNode*
RedisReplicas::choose() {
    RedisNode* best = primaries_.only_node();
    const MonoTime now = mono_now();
    for (const auto& replica : replicas_) {
        if (replica->node.up() && now < replica->node.warranted_until()) {
            best = &replica->node;
            break;
        }
    }
    if (best != chosen_) {
        chosen_ = best;
        revision_++;
    }
    return best;
}

RedisNode*
RedisReplicas::node_of(std::string_view) {
    wanted();
    return choose();
}

void
RedisReplicas::wanted() {
    used_at_ = ngx_current_msec;
    primaries_.wanted();
    if (!timer_.is_set() && !worker_is_done()) {
        tick();
    }
}

// --- how new they are --------------------------------------------------------

void
RedisReplicas::tick() {
    if (worker_is_done() || ngx_current_msec - used_at_ >
                                static_cast<ngx_msec_t>(2 * warrant_.count())) {
        return;  // who asks next comes here
    }
    timer_.start(warrant_ / 3 + Milliseconds{1});
    ask_primary();
}

// Before the replicas: what they are found to have, they have of then.
void
RedisReplicas::ask_primary() {
    if (primary_ != nullptr) {
        return;
    }
    RedisNode* primary = primaries_.only_node();
    asked_at_ = mono_now();
    if (ask(*conf_, *primary, question_) == NGX_OK) {
        primary_ = primary;
    } else {
        ask_replicas();
    }
}

void
RedisReplicas::on_primary(RedisExchange* exchange,
                          RedisStatus status) noexcept {
    auto* self = static_cast<RedisReplicas*>(exchange->data);
    guard(self, [=] { self->take_primary(status); });
}

void
RedisReplicas::take_primary(RedisStatus status) {
    const RedisNode* primary = std::exchange(primary_, nullptr);
    if (const auto said = answer_to(question_, status)) {
        marks_.note(*said,
                    std::min(asked_at_ + warrant_, primary->warranted_until()));
    }
    ask_replicas();
}

void
RedisReplicas::ask_replicas() {
    for (auto& replica : replicas_) {
        if (!replica->asked) {
            replica->asked =
                ask(*conf_, replica->node, replica->question) == NGX_OK;
        }
    }
}

void
RedisReplicas::on_replica(RedisExchange* exchange,
                          RedisStatus status) noexcept {
    auto* replica = static_cast<Replica*>(exchange->data);
    replica->asked = false;
    guard(replica->all, [=] { replica->all->take_replica(*replica, status); });
}

void
RedisReplicas::take_replica(Replica& replica, RedisStatus status) {
    if (status != RedisStatus::ok) {
        return;  // the node has said so
    }
    const auto said = answer_to(replica.question, status);
    if (said && !said->primary && !said->linked) {
        say(replica, "it has no link to its primary");
        return;  // what it has is as good as it was
    }
    const std::optional<MonoTime> until =
        said ? marks_.readable_until(*said, mono_now()) : std::nullopt;
    replica.node.set_warranted_until(until.value_or(MonoTime{}));
    if (until) {
        say(replica, {});
    } else if (!said) {
        say(replica, "it does not answer \"INFO replication\"");
    } else if (said->primary) {
        say(replica, "it is no replica");
    } else {
        say(replica, "it is not known to have what the primary has");
    }
}

void
RedisReplicas::say(Replica& replica, std::string_view why_not) {
    const bool is_read = why_not.empty();
    if (replica.read == is_read) {
        return;
    }
    replica.read = is_read;
    ngx_str_t name = str(replica.node.name());
    ngx_str_t why = str(why_not);
    if (is_read) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "entitle: redis \"%V\" is as new as its primary", &name);
    } else {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: redis \"%V\" is no longer read: %V", &name,
                      &why);
    }
}

// --- what the nodes report ---------------------------------------------------

bool
RedisReplicas::answered(RedisNode* node, Pending& pending) {
    if (pending->pinned) {
        return false;
    }
    if (says_elsewhere(pending->replies)) {
        node->set_warranted_until(MonoTime{});
    }
    if (mono_now() < node->warranted_until()) {
        return false;
    }
    pending->replies.clear();
    if (pending->exchange != nullptr && pending->moves++ < kMostMoves &&
        choose()->send(std::move(pending)) == NGX_OK) {
        return true;
    }
    pending->status = RedisStatus::unavailable;
    return false;
}

// Whoever answers next may have other data, and what it was asked is of before.
void
RedisReplicas::doubt(const RedisNode* node) {
    for (auto& replica : replicas_) {
        if (&replica->node != node) {
            continue;
        }
        const bool was_read = mono_now() < node->warranted_until();
        replica->node.set_warranted_until(MonoTime{});
        redis_cancel(&replica->question);
        replica->asked = false;
        if (was_read && timer_.is_set()) {
            timer_.start(kSoon);
        }
    }
}

void
RedisReplicas::shut() {
    timer_.stop();
    redis_cancel(&question_);
    for (auto& replica : replicas_) {
        redis_cancel(&replica->question);
        replica->node.shut();
    }
}

}  // namespace entitle::ngx
