#include "ngx_module/redis_client/cluster.h"

#include <algorithm>

#include "core/redis/error.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

constexpr Milliseconds kSoon{100};
constexpr std::uint8_t kMostMoves = 3;
constexpr int kInVain = 5;
constexpr std::size_t kMostMembers = 2 * SlotMap::kMaxNodes;

std::string
text(const RedisHost& host) {
    Endpoint endpoint;
    endpoint.host = host;
    return endpoint.text();
}

// FNV-1a: only to be compared with what is made here.
void
mix(std::uint64_t& sum, std::uint64_t value) {
    sum = (sum ^ value) * 0x100000001b3;
}

std::map<std::string, std::uint64_t>
shares_of(const SlotMap& map) {
    std::map<std::string, std::uint64_t> shares;
    const RedisHost* host = nullptr;
    std::uint64_t* share = nullptr;
    for (std::uint16_t slot = 0; slot < kSlots; slot++) {
        const RedisHost* owner = map.primary(slot);
        if (owner == nullptr) {
            continue;
        }
        if (owner != host) {
            host = owner;
            share = &shares[text(*owner)];
        }
        mix(*share, slot + 1);
    }
    return shares;
}

std::optional<entitle::Redirect>
redirect_in(const std::vector<Reply>& replies, const RedisHost& asked) {
    for (const Reply& reply : replies) {
        if (meaning_of(reply) == ErrorMeaning::redirected) {
            return parse_redirect(reply, asked);
        }
    }
    return std::nullopt;
}

bool
says_later(const std::vector<Reply>& replies) {
    return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
        const ErrorMeaning meaning = meaning_of(reply);
        return meaning == ErrorMeaning::later ||
               meaning == ErrorMeaning::elsewhere;
    });
}

}  // namespace

std::unique_ptr<RedisTopology>
make_cluster(const MainConf* conf) {
    return std::make_unique<RedisCluster>(conf);
}

RedisCluster::RedisCluster(const MainConf* conf)
    : conf_(conf),
      warrant_(warrant_time(conf)),
      timer_([](void* self) { static_cast<RedisCluster*>(self)->tick(); },
             this) {}

template <class F>
void
RedisCluster::guard(RedisCluster* self, F f) noexcept {
    edge::event("redis cluster", f,
                [=]() noexcept { self->timer_.start(RedisTimer::kAgain); });
}

// --- nodes -------------------------------------------------------------------

// Null: somebody names more than there can be.
RedisCluster::Member*
RedisCluster::member_at(const RedisHost& host) {
    const std::string name = text(host);
    auto known = members_.find(name);
    if (known != members_.end()) {
        return known->second.get();
    }
    if (members_.size() >= kMostMembers) {
        return nullptr;
    }
    auto member = std::make_unique<Member>(this);
    member->node = std::make_unique<RedisNode>(
        conf_, RedisNode::Kind::fixed, redis_node(*conf_, host), name,
        static_cast<RedisNode::Host*>(this));
    member->node->set_warranted_until(MonoTime{});
    member->poll.commands = {{"CLUSTER", "SLOTS"}};
    member->poll.done = on_poll;
    member->poll.data = member.get();
    return (members_[name] = std::move(member)).get();
}

RedisNode*
RedisCluster::node_at(const RedisHost& host) {
    Member* member = member_at(host);
    return member == nullptr ? nullptr : member->node.get();
}

// One of those configured that is not known to be down.
RedisNode*
RedisCluster::any_node() {
    const std::vector<RedisHost>& seeds = conf_->redis_address->hosts;
    for (std::size_t i = 0; i < seeds.size(); i++) {
        RedisNode* node = node_at(seeds[seed_ % seeds.size()]);
        if (node != nullptr && node->up()) {
            return node;
        }
        seed_++;
    }
    return nullptr;
}

RedisNode*
RedisCluster::node_of(std::string_view key) {
    wanted();
    if (!map_) {
        return any_node();
    }
    RedisNode* node = owners_[key_slot(key)];
    if (node == nullptr || !node->up()) {
        ask_soon();
    }
    return node;
}

std::vector<RedisNode*>
RedisCluster::nodes() {
    std::vector<RedisNode*> nodes;
    if (map_) {
        for (const RedisHost& host : map_->map.primaries()) {
            if (RedisNode* node = node_at(host)) {
                nodes.push_back(node);
            }
        }
    }
    return nodes;
}

// --- the map -----------------------------------------------------------------

void
RedisCluster::wanted() {
    used_at_ = ngx_current_msec;
    if (!timer_.is_set() && !polling_) {
        tick();
    }
}

void
RedisCluster::tick() {
    if (ngx_current_msec - used_at_ >
        static_cast<ngx_msec_t>(2 * warrant_.count())) {
        return;  // who asks next comes here
    }
    if (!polling_) {
        poll();
    }
}

// At most every kSoon.
void
RedisCluster::ask_soon() {
    if (polling_) {
        return;  // which looks again itself
    }
    const Milliseconds since = mono_now() - polled_at_;
    if (timer_.is_set() && timer_.left() <= kSoon) {
        return;
    }
    timer_.start(std::clamp(kSoon - since, Milliseconds{1}, kSoon));
}

std::vector<RedisHost>
RedisCluster::whom_to_ask() const {
    return map_ ? map_->map.primaries() : conf_->redis_address->hosts;
}

void
RedisCluster::poll() {
    polling_ = true;
    polled_at_ = mono_now();
    for (auto& [name, member] : members_) {
        redis_cancel(&member->poll);
        member->polled = member->answering = false;
        member->view.reset();
    }
    bool asked = false;
    for (const RedisHost& host : whom_to_ask()) {
        if (Member* member = member_at(host)) {
            member->polled = true;
            member->answering = member->node->ask(&member->poll) == NGX_OK;
            asked |= member->answering;
        }
    }
    if (!asked) {
        conclude();
    }
}

void
RedisCluster::on_poll(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* member = static_cast<Member*>(exchange->data);
    member->answering = false;
    guard(member->cluster,
          [=] { member->cluster->take_poll(*member, status); });
}

void
RedisCluster::take_poll(Member& member, RedisStatus status) {
    if (status == RedisStatus::ok) {
        std::optional<SlotMap> map = SlotMap::parse(
            member.poll.replies.front(), member.node->endpoint().host);
        // A node that was reset, or never joined, knows of nobody.
        if (map && !map->primaries().empty()) {
            Shares shares = shares_of(*map);
            member.view.emplace(View{*std::move(map), std::move(shares)});
        }
    }
    // Any one is better than none.
    if (!map_ && member.view) {
        adopt(member.view->map);
    }
    if (polling_ &&
        std::none_of(members_.begin(), members_.end(), [](const auto& known) {
            return known.second->answering;
        })) {
        conclude();
    }
}

// What more than half of those asked say alike; null: there is no such thing.
const RedisCluster::View*
RedisCluster::opinion_of_most(std::size_t asked) const {
    for (const auto& [name, member] : members_) {
        if (!member->view) {
            continue;
        }
        const auto alike = static_cast<std::size_t>(std::count_if(
            members_.begin(), members_.end(), [&](const auto& other) {
                return other.second->view &&
                       other.second->view->shares == member->view->shares;
            }));
        if (2 * alike > asked) {
            return &*member->view;
        }
    }
    return nullptr;
}

void
RedisCluster::conclude() {
    polling_ = false;
    const auto asked = static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(),
                      [](const auto& known) { return known.second->polled; }));
    const View* most = opinion_of_most(asked);
    in_vain_ = most != nullptr ? 0 : in_vain_ + 1;
    bool all_answered = most != nullptr;
    if (most != nullptr && map_ && most->shares != map_->shares) {
        adopt(SlotMap(most->map));
        all_answered = false;  // those who are new have not been asked
    } else if (in_vain_ >= kInVain) {
        // Perhaps all of it has moved: from those configured again.
        map_.reset();
        owners_.fill(nullptr);
        in_vain_ = 0;
    }
    warrant(asked);
    for (auto& [name, member] : members_) {
        all_answered &= !member->polled || member->view;
        member->view.reset();
    }
    timer_.start(all_answered ? warrant_ / 3 + Milliseconds{1} : 2 * kSoon);
}

void
RedisCluster::warrant(std::size_t asked) {
    if (!map_) {
        return;
    }
    for (const auto& [name, share] : map_->shares) {
        const auto agrees = [&](const Member& member) {
            if (!member.view) {
                return false;
            }
            auto said = member.view->shares.find(name);
            return said != member.view->shares.end() && said->second == share;
        };
        const auto most = static_cast<std::size_t>(
            std::count_if(members_.begin(), members_.end(),
                          [&](const auto& m) { return agrees(*m.second); }));
        auto member = members_.find(name);
        if (member != members_.end() && agrees(*member->second) &&
            2 * most > asked) {
            member->second->node->set_warranted_until(polled_at_ + warrant_);
        }
    }
}

void
RedisCluster::adopt(SlotMap map) {
    Shares shares = shares_of(map);
    map_.emplace(View{std::move(map), std::move(shares)});
    revision_++;
    for (std::uint16_t slot = 0; slot < kSlots; slot++) {
        const RedisHost* host = map_->map.primary(slot);
        const RedisHost* before =
            slot > 0 ? map_->map.primary(static_cast<std::uint16_t>(slot - 1))
                     : nullptr;
        owners_[slot] = host == nullptr  ? nullptr
                        : host == before ? owners_[slot - 1]
                                         : node_at(*host);
    }
    for (auto& [name, member] : members_) {
        if (!map_->shares.contains(name)) {
            member->node->rest();
        }
    }
}

// --- what the nodes report ---------------------------------------------------

void
RedisCluster::follow(const entitle::Redirect& redirect) {
    const RedisHost* known = map_ ? map_->map.primary(redirect.slot) : nullptr;
    if (known != nullptr && *known == redirect.host) {
        return;
    }
    if (map_ && map_->map.follow(redirect)) {
        owners_[redirect.slot] = node_at(redirect.host);
        map_->shares = shares_of(map_->map);
        revision_++;
    }
    ask_soon();
}

bool
RedisCluster::answered(RedisNode* node, Pending& pending) {
    if (pending->asking) {
        pending->asking = false;
        pending->replies.erase(pending->replies.begin());
    }
    if (says_later(pending->replies)) {
        ask_soon();
    }
    const std::optional<entitle::Redirect> redirect =
        redirect_in(pending->replies, node->endpoint().host);
    if (!redirect) {
        return false;
    }
    if (redirect->kind == entitle::Redirect::Kind::moved) {
        follow(*redirect);
    }
    return !pending->pinned && pending->replies.size() == 1 &&
           pending->moves < kMostMoves && send_on(*redirect, pending);
}

// False: `pending` is as it was.
bool
RedisCluster::send_on(const entitle::Redirect& redirect, Pending& pending) {
    RedisNode* node = node_at(redirect.host);
    if (pending->exchange == nullptr || node == nullptr || !node->up()) {
        return false;
    }
    std::vector<Command> commands = pending->exchange->commands;
    const bool ask = redirect.kind == entitle::Redirect::Kind::ask;
    if (ask) {
        commands.insert(commands.begin(), {"ASKING"});
    }
    Pending on = make_pending(commands);
    pending->hand_over(*on);
    on->asking = ask;
    on->moves = static_cast<std::uint8_t>(pending->moves + 1);
    if (node->send(std::move(on)) == NGX_OK) {
        return true;
    }
    on->hand_over(*pending);
    return false;
}

void
RedisCluster::lost(RedisNode*) {
    if (!worker_is_done()) {
        ask_soon();
    }
}

void
RedisCluster::shut() {
    timer_.stop();
    for (auto& [name, member] : members_) {
        redis_cancel(&member->poll);
        member->node->shut();
    }
}

}  // namespace entitle::ngx
