#include "ngx_module/redis_client/sentinel.h"

#include <algorithm>

#include "core/redis/error.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

constexpr BackoffPolicy kRest{.first = Milliseconds{50},
                              .most = Milliseconds{500}};
constexpr std::string_view kSwitchMaster = "+switch-master";

// Also inside EXEC's answer.
bool
says_elsewhere(const std::vector<Reply>& replies) {
    return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
        return meaning_of(reply) == ErrorMeaning::elsewhere ||
               (reply.is_array() && says_elsewhere(reply.elements));
    });
}

}  // namespace

std::unique_ptr<RedisTopology>
make_sentinel(const MainConf* conf) {
    return std::make_unique<RedisSentinel>(conf);
}

RedisSentinel::RedisSentinel(const MainConf* conf)
    : conf_(conf),
      warrant_(warrant_time(conf)),
      primary_(conf, RedisNode::Kind::searched, redis_node(*conf, {}),
               std::string(view(conf->redis)), this),
      search_(conf->redis_address->hosts, kRest),
      ear_(conf, this),
      timer_([](void* self) { static_cast<RedisSentinel*>(self)->tick(); },
             this) {
    for (const Endpoint& endpoint : *conf->redis_endpoints) {
        auto sentinel =
            std::make_unique<Sentinel>(this, sentinels_.size(), endpoint.host);
        sentinel->node =
            std::make_unique<RedisNode>(conf, RedisNode::Kind::fixed, endpoint,
                                        "sentinel " + endpoint.text(), nullptr);
        sentinel->vote.commands = {
            {"SENTINEL", "MASTER", conf->redis_address->master_name}};
        sentinel->vote.done = on_vote;
        sentinel->vote.data = sentinel.get();
        sentinels_.push_back(std::move(sentinel));
    }
    step_.done = on_step;
    step_.data = this;
    primary_.search();
}

template <class F>
void
RedisSentinel::guard(RedisSentinel* self, F f) noexcept {
    edge::event("redis sentinels", f,
                [=]() noexcept { self->timer_.start(RedisTimer::kAgain); });
}

RedisNode*
RedisSentinel::node_of(std::string_view) {
    wanted();
    return &primary_;
}

void
RedisSentinel::wanted() {
    used_at_ = ngx_current_msec;
    if (!searching_ && mono_now() >= primary_.warranted_until()) {
        search();
    } else if (!timer_.is_set() && !asking_ && !vote_) {
        tick();
    }
}

// --- the search --------------------------------------------------------------

void
RedisSentinel::search() {
    if (!searching_) {
        searching_ = true;
        primary_.search();
        search_.lost();
        vote_.reset();
    }
    go_on();
}

void
RedisSentinel::go_on() {
    while (!asking_ && !vote_) {
        switch (search_.next()) {
            case SentinelSearch::Next::ask:
                ask_sentinel();
                break;
            case SentinelSearch::Next::connect:
                ask_candidate();
                break;
            case SentinelSearch::Next::found:
                begin_vote();
                break;
            case SentinelSearch::Next::rest:
                timer_.start(search_.pause());
                return;
        }
    }
}

void
RedisSentinel::ask_sentinel() {
    auto sentinel = std::find_if(
        sentinels_.begin(), sentinels_.end(),
        [this](const auto& s) { return s->host == search_.sentinel(); });
    step_.commands = {{"SENTINEL", "GET-MASTER-ADDR-BY-NAME",
                       conf_->redis_address->master_name}};
    asking_ = (*sentinel)->node->ask(&step_) == NGX_OK;
    if (!asking_) {
        search_.sentinel_failed(random_bits());
    }
}

void
RedisSentinel::ask_candidate() {
    primary_.move_to(redis_node(*conf_, search_.candidate()));
    step_.commands = {{"ROLE"}};
    asking_ = primary_.ask(&step_) == NGX_OK;
    if (!asking_) {
        search_.candidate_failed(random_bits());
    }
}

void
RedisSentinel::on_step(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* self = static_cast<RedisSentinel*>(exchange->data);
    guard(self, [=] { self->take_step(*exchange, status); });
}

void
RedisSentinel::take_step(const RedisExchange& exchange, RedisStatus status) {
    asking_ = false;
    const bool asked = search_.next() == SentinelSearch::Next::ask;
    if (status != RedisStatus::ok) {
        asked ? search_.sentinel_failed(random_bits())
              : search_.candidate_failed(random_bits());
    } else if (asked) {
        search_.answered(exchange.replies.front(), random_bits());
    } else {
        search_.role(exchange.replies.front(), random_bits());
    }
    go_on();
}

// --- what most Sentinels say -------------------------------------------------

void
RedisSentinel::begin_vote() {
    vote_.emplace(search_.candidate(), sentinels_.size());
    vote_sent_ = mono_now();
    bool asked = false;
    for (auto& sentinel : sentinels_) {
        redis_cancel(&sentinel->vote);
        sentinel->voting = sentinel->node->ask(&sentinel->vote) == NGX_OK;
        asked |= sentinel->voting;
    }
    if (!asked) {
        vote_failed();
    }
}

void
RedisSentinel::on_vote(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* sentinel = static_cast<Sentinel*>(exchange->data);
    sentinel->voting = false;
    guard(sentinel->all, [=] { sentinel->all->take_vote(*sentinel, status); });
}

void
RedisSentinel::take_vote(const Sentinel& sentinel, RedisStatus status) {
    if (!vote_) {
        return;
    }
    if (status == RedisStatus::ok) {
        vote_->answered(sentinel.number, sentinel.vote.replies.front());
    }
    const bool all = std::none_of(sentinels_.begin(), sentinels_.end(),
                                  [](const auto& s) { return s->voting; });
    if (vote_->confirmed()) {
        confirmed();
    } else if (vote_->contradicted() || all) {
        vote_failed();
    }
}

void
RedisSentinel::confirmed() {
    vote_.reset();
    primary_.set_warranted_until(vote_sent_ + warrant_);
    if (std::exchange(searching_, false)) {
        const std::string where = primary_.endpoint().text();
        ngx_str_t text = str(where);
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "entitle: redis \"%V\": the primary is %V", &conf_->redis,
                      &text);
        primary_.found();
        keep_up();
    }
}

// The Sentinels do not agree (yet), or too few of them can be asked.
void
RedisSentinel::vote_failed() {
    const bool contradicted = vote_->contradicted();
    vote_.reset();
    if (!searching_ && !contradicted) {
        return;  // asked again before the warrant ends
    }
    if (!searching_) {
        search();
        return;
    }
    search_.lost();
    timer_.start(kRest.first);
}

// --- keeping it up -----------------------------------------------------------

void
RedisSentinel::tick() {
    if (ngx_current_msec - used_at_ >
        static_cast<ngx_msec_t>(2 * warrant_.count())) {
        return;  // who asks next comes here
    }
    if (searching_) {
        search_.rested();
        go_on();
        return;
    }
    if (!vote_) {
        begin_vote();
    }
    keep_up();
}

void
RedisSentinel::keep_up() {
    listen();
    timer_.start(warrant_ / 3 + Milliseconds{1});
}

// --- what the nodes report ---------------------------------------------------

bool
RedisSentinel::answered(RedisNode*, Pending& pending) {
    if (!says_elsewhere(pending->replies) || searching_) {
        return false;
    }
    search();
    if (pending->pinned || pending->repeated || pending->exchange == nullptr ||
        !primary_.up()) {
        return false;
    }
    pending->repeated = true;
    pending->replies.clear();
    return primary_.send(std::move(pending)) == NGX_OK;
}

void
RedisSentinel::lost(RedisNode*) {
    if (!searching_) {
        search();
    }
}

// --- the ear -----------------------------------------------------------------

void
RedisSentinel::listen() {
    if (ear_.is_closed() && !worker_is_done()) {
        ear_at_ = (ear_at_ + 1) % sentinels_.size();
        ear_.set_endpoint(sentinels_[ear_at_]->node->endpoint());
        ear_.open(true);
    }
}

void
RedisSentinel::connected(RedisConnection*) {
    ear_.listen();
    ear_.say({"SUBSCRIBE", std::string(kSwitchMaster)});
}

void
RedisSentinel::completed(Pending) {}

// Another one is listened to at the next tick; the votes do without.
void
RedisSentinel::closed(RedisConnection*, std::deque<Pending>&, RedisStatus,
                      Ending, std::string_view) {}

bool
RedisSentinel::pushed(RedisConnection*, const Reply& reply) {
    if (!reply.is_array() || reply.elements.size() != 3 ||
        reply.elements[0].text != "message") {
        return !reply.is_error();
    }
    const std::optional<RedisHost> to = parse_switch_master(
        reply.elements[2].text, conf_->redis_address->master_name);
    if (to && (searching_ || *to != search_.candidate())) {
        redis_cancel(&step_);
        asking_ = false;
        vote_.reset();
        searching_ = true;
        primary_.search();
        search_.switched(*to);
        go_on();
    }
    return true;
}

void
RedisSentinel::shut() {
    timer_.stop();
    redis_cancel(&step_);
    ear_.shut();
    primary_.shut();
    for (auto& sentinel : sentinels_) {
        redis_cancel(&sentinel->vote);
        sentinel->node->shut();
    }
}

}  // namespace entitle::ngx
