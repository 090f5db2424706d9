#include "ngx_module/cache/tracking.h"

#include <algorithm>

#include "core/base/decimal.h"
#include "core/redis/info.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

// nginx's clock may stand on the kernel's coarse one: at most 100 ticks/s.
constexpr Milliseconds kClockTick{10};
constexpr Milliseconds kRefusedAgain{60'000};

}  // namespace

Tracking::Tracking(const MainConf* conf, RedisTopology& redis, RedisNode* node,
                   const Zone* zone, const std::vector<RecordSpace>& spaces,
                   RecordListener& listener)
    : conf_(conf),
      redis_(redis),
      node_(node),
      zone_(zone),
      spaces_(spaces),
      listener_(listener),
      subscription_(conf, this),
      timer_([](void* self) { static_cast<Tracking*>(self)->tick(); }, this),
      lease_(milliseconds(conf->greatest_lease)) {
    data_.done = data_replied;
    data_.data = this;
    node_->set_listener(this);
}

// Answered by instance_of.
std::vector<Command>
Tracking::who() const {
    std::vector<Command> commands = {{"ROLE"}, {"INFO", "server"}};
    if (redis_.is_cluster()) {
        commands.push_back({"CLUSTER", "INFO"});
        commands.push_back({"CLUSTER", "NODES"});
    }
    return commands;
}

std::optional<Instance>
Tracking::instance_of(std::span<const Reply> who) const {
    const Reply& role = who[0];
    const std::string_view run_id = info_field(who[1].text, "run_id");
    if (!role.is_array() || role.elements.empty() ||
        who[1].type != Reply::Type::string || run_id.empty()) {
        return std::nullopt;
    }
    Instance instance;
    instance.address = node_->endpoint().text();
    instance.run_id = run_id;
    instance.primary = role.elements.front().text == "master";
    if (redis_.is_cluster()) {
        // A node that does not believe in its cluster answers no reads.
        if (info_field(who[2].text, "cluster_state") != "ok") {
            return std::nullopt;
        }
        instance.epoch = parse_decimal<std::int64_t>(
                             info_field(who[2].text, "cluster_my_epoch"))
                             .value_or(0);
    }
    return instance;
}

// --- what may be believed ----------------------------------------------------

// The lease is the longest of all locations; another's ends so much sooner.
Milliseconds
Tracking::shorter_by(ngx_msec_t lease) const {
    return milliseconds(conf_->greatest_lease - lease);
}

bool
Tracking::holds(ngx_msec_t lease) const {
    const MonoTime now = mono_now() + shorter_by(lease);
    return !migrates_ && lease_.holds(now) && now < node_->warranted_until();
}

bool
Tracking::believes(const FillStamp& stamp, const Hash128& user,
                   ngx_msec_t lease) const {
    return holds(lease) && unmoved_since_ < mono_time(stamp.began) &&
           lease_.may_believe(stamp, zone_->numbers(), user.low,
                              mono_now() + shorter_by(lease));
}

bool
Tracking::covers(const FillStamp& stamp, const Hash128& user,
                 ngx_msec_t lease) const {
    return holds(lease) &&
           !Lease::is_outdated(stamp, zone_->numbers(), user.low);
}

bool
Tracking::believed_lately(const FillStamp& stamp, const Hash128& user,
                          ngx_msec_t lease, Seconds age) const {
    if (Lease::is_outdated(stamp, zone_->numbers(), user.low)) {
        return false;
    }
    const MonoTime began = mono_time(stamp.began);
    MonoTime believed = began;
    if (trust_.instance != 0) {
        if (stamp.instance != trust_.instance) {
            return false;
        }
        if (trust_.start < began) {
            believed = std::max(began, trust_.end - shorter_by(lease));
        }
    }
    return mono_now() < believed + age;
}

std::uint64_t
Tracking::hears() const {
    const bool heard = state_ == State::up && lease_.holds(mono_now()) &&
                       mono_now() < node_->warranted_until();
    return heard ? subscriptions_ : 0;
}

std::optional<FillStamp>
Tracking::begin_fill(const Hash128& user) {
    if (node_->generation() != reads_generation_) {
        lease_.reads_from(std::nullopt);
        beat();
    }
    return lease_.begin_fill(zone_->numbers(), user.low, mono_now());
}

// --- keeping it up -----------------------------------------------------------

void
Tracking::wanted() {
    asked_at_ = ngx_current_msec;
    if (!timer_.is_set() && !worker_is_done()) {
        tick();
    }
}

void
Tracking::tick() {
    if (worker_is_done()) {
        return;
    }
    if (ngx_current_msec - asked_at_ > 2 * conf_->greatest_lease &&
        !listener_.listens()) {
        return;  // the next gate that asks comes here
    }
    redis_.wanted();
    if (state_ == State::down) {
        connect();
    } else if (subscription_.is_closed()) {
        lost("no memory");  // nor to say so
    } else if (late()) {
        drop("a heartbeat was not answered");
    } else {
        if (state_ == State::up) {
            beat();
        }
        timer_.start(heartbeat_pause());
    }
}

void
Tracking::enter(State state) {
    state_ = state;
    since_ = ngx_current_msec;
}

Milliseconds
Tracking::heartbeat_pause() const {
    return std::max(milliseconds(conf_->smallest_lease) / 3, Milliseconds{10});
}

bool
Tracking::late() const {
    const Milliseconds patience = milliseconds(conf_->redis_timeout);
    if (state_ == State::subscribing) {
        return ngx_current_msec - since_ > conf_->redis_timeout;
    }
    const std::optional<MonoTime> waiting = lease_.waiting_since();
    return state_ == State::up && waiting && mono_now() - *waiting > patience;
}

void
Tracking::beat() {
    if (state_ != State::up || data_beat_ != 0) {
        return;
    }
    const Lease::Beat beat = lease_.beat(mono_now(), node_->warranted_until());
    subscription_.say({"PING", std::to_string(beat)});
    data_.commands = who();
    if (!redis_.is_cluster()) {
        data_.commands.push_back(
            {"HGETALL", spaces_.front().tracking_prefix + '}'});
    }
    data_.replies.clear();
    data_generation_ = node_->generation();
    Pending pending = make_pending(*conf_, &data_, data_.commands);
    pending->pinned = true;
    if (node_->send(std::move(pending)) == NGX_OK) {
        data_beat_ = beat;
    } else {
        redis_cancel(&data_);
    }
}

void
Tracking::data_replied(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* self = static_cast<Tracking*>(exchange->data);
    if (status != RedisStatus::ok) {
        self->data_beat_ = 0;
        return;
    }
    edge::event("redis tracking", [=] { self->take_data(exchange->replies); });
}

void
Tracking::take_data(const std::vector<Reply>& replies) {
    const Lease::Beat beat = std::exchange(data_beat_, 0);
    const bool refused =
        std::any_of(replies.begin(), replies.end(),
                    [](const Reply& reply) { return reply.is_error(); });
    if (state_ != State::up || replies.size() < 3 || refused) {
        return;
    }
    std::optional<Instance> instance = instance_of(replies);
    if (!instance) {
        return;
    }
    if (node_->generation() != data_generation_) {
        // It was sent before the connection was there.
        timer_.start(Milliseconds{1});
        return;
    }
    reads_generation_ = data_generation_;
    note_migration(replies);
    if (lease_.data_replied(beat, *instance)) {
        note_trust();
    } else {
        drop("reads are answered by another instance");
    }
}

// While slots are being moved away a key that is not here any more is written
// where nobody may be listening yet, and nothing is said here.
void
Tracking::note_migration(std::span<const Reply> who) {
    if (!redis_.is_cluster()) {
        return;
    }
    const std::string& nodes = who[3].text;
    const std::size_t own = nodes.find("myself");
    const std::size_t end = nodes.find('\n', own);
    const bool migrates =
        nodes.substr(std::min(own, nodes.size()), end - own).find("->-") !=
        std::string::npos;
    if (!migrates && migrates_) {
        unmoved_since_ = mono_now() + kClockTick;
    }
    migrates_ = migrates;
}

void
Tracking::note_trust() {
    if (lease_.holds(mono_now())) {
        trust_.end = lease_.end();
    }
}

// --- the connection ----------------------------------------------------------

void
Tracking::connect() {
    subscription_.shut();
    enter(State::connecting);
    subscription_.set_endpoint(node_->endpoint());
    // It looks again when the connection says how it went.
    subscription_.open(true);
}

void
Tracking::connected(RedisConnection*) {
    asked_ = Asked::who;
    std::vector<Command> commands = who();
    commands.push_back({"CLIENT", "ID"});
    subscription_.send(make_pending(commands));
}

void
Tracking::completed(Pending pending) {
    if (asked_ == Asked::who) {
        take_who(pending->replies);
    } else {
        take_tracking(pending->replies.front());
    }
}

void
Tracking::take_who(const std::vector<Reply>& replies) {
    for (const Reply& reply : replies) {
        if (reply.is_error()) {
            refused(reply);
            return;
        }
    }
    instance_ = instance_of(replies);
    if (!instance_ && redis_.is_cluster()) {
        not_now();
        return;
    }
    if (!instance_ || replies.back().type != Reply::Type::integer) {
        refused(replies[1]);
        return;
    }
    Command command = {"CLIENT",
                       "TRACKING",
                       "ON",
                       "REDIRECT",
                       std::to_string(replies.back().integer),
                       "BCAST"};
    for (const RecordSpace& space : spaces_) {
        command.push_back("PREFIX");
        command.push_back(space.tracking_prefix);
    }
    asked_ = Asked::tracking;
    subscription_.send(make_pending({&command, 1}));
}

void
Tracking::take_tracking(const Reply& reply) {
    if (reply.is_error()) {
        refused(reply);
        return;
    }
    enter(State::subscribing);
    subscription_.listen();
    subscription_.say({"SUBSCRIBE", std::string(kInvalidationChannel)});
    timer_.start(milliseconds(conf_->redis_timeout) + Milliseconds{1});
}

// From inside the connection, which is let be: it does no harm.
void
Tracking::refused(const Reply& reply) {
    if (!refused_) {
        ngx_str_t text = str(reply.text);
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: Redis does not say what changes, so every "
                      "gated request asks it: \"%V\"",
                      &text);
        refused_ = true;
    }
    enter(State::down);
    timer_.start(kRefusedAgain);
}

// From inside the connection, too.
void
Tracking::not_now() {
    enter(State::down);
    timer_.start(backoff_.next(random_bits()));
}

void
Tracking::subscribed() {
    ngx_time_update();
    lease_.subscribed(*instance_, mono_now() + kClockTick);
    trust_ = {instance_->tag(), mono_now() + kClockTick, MonoTime{}};
    subscriptions_++;
    enter(State::up);
    backoff_.reset();
    refused_ = false;
    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "entitle: Redis says what changes");
    beat();
    timer_.start(heartbeat_pause());
}

bool
Tracking::pushed(RedisConnection*, const Reply& reply) {
    const PushMessage message = read_push(reply);
    switch (message.kind) {
        case PushMessage::Kind::subscribed:
            if (state_ == State::subscribing) {
                subscribed();
            }
            return true;
        case PushMessage::Kind::keys:
            changed(message.keys);
            return true;
        case PushMessage::Kind::everything:
            zone_->numbers().everything_changed();
            redis_.emptied(node_);
            listener_.everything_changed();
            return true;
        case PushMessage::Kind::pong:
            lease_.answered(
                parse_decimal<Lease::Beat>(message.pong).value_or(0),
                Lease::subscription);
            note_trust();
            return true;
        case PushMessage::Kind::unexpected:
            if (state_ == State::subscribing && reply.is_error()) {
                refused(reply);
            }
            return false;
    }
    return false;
}

void
Tracking::changed(std::span<const Reply> keys) {
    for (const Reply& key : keys) {
        for (const RecordSpace& space : spaces_) {
            if (auto user = user_of_key(key.text, space.tracking_prefix)) {
                const Hash128 hash = zone_->hash(space.name, *user);
                zone_->numbers().changed(hash.low);
                listener_.changed(hash);
            }
        }
    }
}

void
Tracking::closed(RedisConnection*, std::deque<Pending>&, RedisStatus, Ending,
                 std::string_view why) {
    if (state_ != State::down) {
        lost(why);
    }
}

void
Tracking::moved(RedisNode*, std::string_view why) {
    if (state_ != State::down) {
        drop(why);
    }
}

void
Tracking::drop(std::string_view why) {
    subscription_.shut();
    lost(why);
}

void
Tracking::lost(std::string_view why) {
    if (state_ == State::up && !worker_is_done()) {
        ngx_str_t reason = str(why);
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: Redis no longer says what changes: %V; gated "
                      "requests ask it until it does",
                      &reason);
    }
    lease_.lost();
    enter(State::down);
    if (!worker_is_done()) {
        timer_.start(backoff_.next(random_bits()));
    }
}

void
Tracking::shut() {
    redis_cancel(&data_);
    data_beat_ = 0;
    subscription_.shut();
    lease_.lost();
    enter(State::down);
    timer_.stop();
}

}  // namespace entitle::ngx
