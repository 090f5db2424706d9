#include "ngx_module/cache/record_cache.h"

#include <algorithm>

#include "core/redis/error.h"

namespace entitle::ngx {
namespace {

// A record that changes faster than it can be read is given as it was read.
constexpr int kMostReads = 3;
constexpr ngx_msec_t kWantedAgain = 50;

std::optional<Reason>
trouble_of(const RedisExchange& exchange, RedisStatus status) {
    if (status != RedisStatus::ok || exchange.replies.size() != 1) {
        return Reason::redis_unreachable;  // the client has said so, once
    }
    const Reply& reply = exchange.replies.front();
    if (!reply.is_error() || reply.is_error("WRONGTYPE")) {
        return std::nullopt;
    }
    ngx_str_t text = str(reply.text);
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "entitle: Redis answered \"%V\" to a record read", &text);
    return Reason::redis_unreachable;
}

RecordRead
read_answer(const RedisExchange& exchange, RedisStatus status) {
    RecordRead read;
    read.trouble = trouble_of(exchange, status);
    if (read.trouble) {
        return read;
    }
    const std::optional<Record> record =
        Record::decode(exchange.replies.front());
    if (!record) {
        ngx_str_t key = str(exchange.commands[0][1]);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "entitle: record \"%V\" cannot be read", &key);
        read.trouble = Reason::record_unreadable;
        return read;
    }
    read.standing = standing_of(*record);
    read.packed = pack(read.standing);
    return read;
}

void
wake(std::vector<Gate*>& gates, const std::shared_ptr<const RecordRead>& read) {
    for (Gate* gate : gates) {
        gate->fill = nullptr;
        gate->read = read;
        gate_wake(gate);
    }
    gates.clear();
}

// Of every server: a change in any of them is heard.
std::vector<RecordSpace>
spaces_of_all_servers() {
    auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    std::vector<RecordSpace> spaces;
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        auto* conf = static_cast<ServerConf*>(
            servers[i]->ctx->srv_conf[ngx_http_entitle_module.ctx_index]);
        RecordSpace space{
            *conf->audience,
            tracking_prefix(view(conf->prefix), static_cast<Mode>(conf->mode))};
        if (std::find(spaces.begin(), spaces.end(), space) == spaces.end()) {
            spaces.push_back(std::move(space));
        }
    }
    return spaces;
}

// Made at first use, in the worker. Null: no memory.
RecordCache*
cache_of(MainConf* conf) {
    if (conf->worker_cache == nullptr) {
        Redis* redis = redis_of(conf);
        if (redis == nullptr) {
            return nullptr;
        }
        conf->worker_cache = pool_new<RecordCache>(ngx_cycle->pool, conf, redis,
                                                   spaces_of_all_servers());
    }
    return conf->worker_cache;
}

}  // namespace

RecordCache::RecordCache(MainConf* conf, Redis* redis,
                         std::vector<RecordSpace> spaces)
    : conf_(conf),
      redis_(redis->near()),
      primaries_(redis->primaries()),
      spaces_(std::move(spaces)),
      zone_(conf->zone) {}

// Every node is listened to, not only the one that is read from: in a Cluster
// a key may be another's from one moment to the next.
void
RecordCache::wanted() {
    const bool changed = revision_ != redis_.revision();
    if (!changed && ngx_current_msec - wanted_at_ < kWantedAgain) {
        return;
    }
    wanted_at_ = ngx_current_msec;
    redis_.wanted();
    if (changed) {
        revision_ = redis_.revision();
        listened_.clear();
        for (RedisNode* node : redis_.nodes()) {
            listened_.push_back(tracking_of(node));
        }
    }
    for (Tracking* tracking : listened_) {
        tracking->wanted();
    }
}

// Over all of them: a change may come from any.
std::uint64_t
RecordCache::changes_heard() const {
    std::uint64_t sum = revision_.value_or(0);
    for (const Tracking* tracking : listened_) {
        const std::uint64_t heard = tracking->hears();
        if (heard == 0) {
            return 0;
        }
        sum += heard;
    }
    return sum;
}

Tracking*
RecordCache::tracking_of(RedisNode* node) {
    std::unique_ptr<Tracking>& tracking = trackings_[node];
    if (tracking == nullptr) {
        tracking =
            std::make_unique<Tracking>(conf_, redis_, node, &zone_, spaces_);
    }
    return tracking.get();
}

// Of who has the gate's record. Null: nobody is known to.
Tracking*
RecordCache::tracking_of(ngx_http_request_t* r, const Gate* gate) {
    RedisNode* node = redis_.only_node();
    if (node == nullptr) {
        node =
            redis_.node_of(server_conf(r)->keys->record(*gate->identity.user));
    }
    return node == nullptr ? nullptr : tracking_of(node);
}

ngx_int_t
RecordCache::lookup(ngx_http_request_t* r, Gate* gate) {
    if (gate->fill != nullptr) {
        return NGX_AGAIN;
    }
    const Hash128 user = user_of(r, gate);
    if (gate->read) {
        const auto read = std::exchange(gate->read, nullptr);
        return use(r, gate, user, *read);
    }

    wanted();
    Tracking* tracking = tracking_of(r, gate);
    const std::optional<Zone::Found> found = zone_.find(user);
    if (found && tracking != nullptr &&
        tracking->believes(found->stamp, user, location_conf(r)->lease) &&
        give(r, gate, found->packed) &&
        gate->standing.version >= gate->version_awaited) {
        gate->cache = CacheUse::hit;
        return NGX_OK;
    }
    if (join(r, gate, user)) {
        return NGX_AGAIN;
    }
    return use(r, gate, user,
               {.trouble = Reason::redis_unreachable,
                .standing = {},
                .packed = {},
                .may_be_cached = false});
}

// False: damaged.
bool
RecordCache::give(ngx_http_request_t* r, Gate* gate, std::string_view packed) {
    const PackedReader reader(packed);
    if (!reader.ok()) {
        return false;
    }
    // Who waits looks many times.
    if (gate->packed_room.len < packed.size()) {
        gate->packed_room = pool_copy(r->pool, packed);
        if (gate->packed_room.data == nullptr) {
            throw std::bad_alloc();
        }
    } else {
        ngx_memcpy(gate->packed_room.data, packed.data(), packed.size());
    }
    gate->packed = view(gate->packed_room).substr(0, packed.size());
    gate->standing = {reader.version(), reader.not_before(), {}};
    return true;
}

ngx_int_t
RecordCache::use(ngx_http_request_t* r, Gate* gate, const Hash128& user,
                 const RecordRead& read) {
    gate->packed = {};
    gate->cache = read.may_be_cached ? CacheUse::miss : CacheUse::bypass;
    if (!read.trouble) {
        if (read.packed.empty()) {
            gate->standing = read.standing;
        } else {
            give(r, gate, read.packed);
        }
        return NGX_OK;
    }
    gate->trouble = *read.trouble;
    if (gate->trouble != Reason::redis_unreachable) {
        return NGX_DECLINED;
    }
    const std::optional<Zone::Found> found = zone_.find(user);
    if (found && believed_lately(r, gate, *found, user) &&
        give(r, gate, found->packed)) {
        gate->cache = CacheUse::stale;
        return NGX_OK;
    }
    return NGX_DECLINED;
}

// With replicas it may have been read from one that is no longer.
bool
RecordCache::believed_lately(ngx_http_request_t* r, const Gate* gate,
                             const Zone::Found& found, const Hash128& user) {
    const LocationConf* conf = location_conf(r);
    const auto believed = [&](const Tracking* tracking) {
        return tracking != nullptr &&
               tracking->believed_lately(found.stamp, user, conf->lease,
                                         Seconds{conf->stale});
    };
    if (conf_->redis_read == nullptr) {
        return believed(tracking_of(r, gate));
    }
    return std::any_of(
        trackings_.begin(), trackings_.end(),
        [&](const auto& entry) { return believed(entry.second.get()); });
}

// --- one read for all who ask at the same time -------------------------------

// False: Redis cannot be asked.
bool
RecordCache::join(ngx_http_request_t* r, Gate* gate, const Hash128& user) {
    std::unique_ptr<Fill>& known = fills_[user];
    if (known) {
        known->of_primary |= gate->of_primary;
        const bool sees_all = known->stamp &&
                              (!gate->of_primary || known->asks_primary) &&
                              known->tracking->covers(*known->stamp, user,
                                                      location_conf(r)->lease);
        (sees_all ? known->waiting : known->late).push_back(gate);
        gate->fill = known.get();
        return true;
    }

    auto fill = std::make_unique<Fill>(this, user);
    const Keys& keys = *server_conf(r)->keys;
    fill->exchange.key = keys.record(*gate->identity.user);
    fill->exchange.commands = {{"HGETALL", fill->exchange.key}};
    fill->exchange.done = answered;
    fill->exchange.data = fill.get();
    fill->of_primary = gate->of_primary;
    fill->waiting.push_back(gate);
    if (!send(*fill)) {
        fills_.erase(user);
        return false;
    }
    known = std::move(fill);
    gate->fill = known.get();
    return true;
}

bool
RecordCache::send(Fill& fill) {
    fill.waiting.insert(fill.waiting.end(), fill.late.begin(), fill.late.end());
    fill.late.clear();
    fill.sent++;
    fill.exchange.replies.clear();
    RedisNode* node =
        (fill.of_primary ? primaries_ : redis_).node_of(fill.exchange.key);
    if (node == nullptr) {
        return false;
    }
    fill.asks_primary = fill.of_primary;
    fill.tracking = tracking_of(node);
    fill.stamp = fill.tracking->begin_fill(fill.user);
    fill.generation = node->generation();
    return node->send(make_pending(*conf_, &fill.exchange,
                                   fill.exchange.commands)) == NGX_OK;
}

void
RecordCache::answered(RedisExchange* exchange, RedisStatus status) noexcept {
    Fill* fill = static_cast<Fill*>(exchange->data);
    RecordCache* cache = fill->cache;
    try {
        cache->take(*fill, status);
    } catch (const std::exception& error) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "entitle: a record was read in vain: %s", error.what());
        cache->give_up(*fill);
    }
}

// One replica fell out, and there are more, or the primary.
bool
RecordCache::another_may_tell(const Fill& fill, RedisStatus status) {
    return status != RedisStatus::ok && conf_->redis_read != nullptr &&
           !fill.of_primary && redis_.only_node() != fill.tracking->node();
}

// Who waits asks again.
void
RecordCache::give_up(Fill& fill) noexcept {
    redis_cancel(&fill.exchange);
    for (const std::vector<Gate*>* gates : {&fill.waiting, &fill.late}) {
        for (Gate* gate : *gates) {
            gate->fill = nullptr;
            gate_wake(gate);
        }
    }
    fills_.erase(Hash128(fill.user));  // which goes with it
}

void
RecordCache::take(Fill& fill, RedisStatus status) {
    const RedisNode* node = fill.tracking->node();
    const bool whole = fill.stamp && fill.exchange.answered_by == node &&
                       fill.generation == node->generation();
    const bool current =
        whole && Lease::may_store(*fill.stamp, zone_.numbers(), fill.user.low);
    const bool overtaken = status == RedisStatus::ok && whole && !current;
    if ((overtaken || another_may_tell(fill, status)) &&
        fill.sent < kMostReads && send(fill)) {
        return;
    }

    auto read =
        std::make_shared<RecordRead>(read_answer(fill.exchange, status));
    read->may_be_cached = whole;
    if (current && !read->trouble && !read->packed.empty()) {
        zone_.store(fill.user, *fill.stamp, read->packed);
    }
    wake(fill.waiting, read);
    if (!fill.late.empty()) {
        fill.sent = 0;
        if (send(fill)) {
            return;
        }
        read = std::make_shared<RecordRead>();
        read->trouble = Reason::redis_unreachable;
        wake(fill.waiting, read);
    }
    fills_.erase(Hash128(fill.user));  // which goes with it
}

void
RecordCache::leave(Gate* gate) noexcept {
    if (gate->fill != nullptr) {
        std::erase(gate->fill->waiting, gate);
        std::erase(gate->fill->late, gate);
        gate->fill = nullptr;
    }
}

void
RecordCache::shut() {
    for (const auto& [user, fill] : fills_) {
        redis_cancel(&fill->exchange);
    }
    for (const auto& [node, tracking] : trackings_) {
        tracking->shut();
    }
}

// --- the interface -----------------------------------------------------------

ngx_int_t
record_lookup(ngx_http_request_t* r, Gate* gate) {
    RecordCache* cache = cache_of(main_conf(r));
    if (cache == nullptr) {
        throw std::bad_alloc();
    }
    return cache->lookup(r, gate);
}

Hash128
record_user(ngx_http_request_t* r, const Gate* gate) {
    return main_conf(r)->worker_cache->user_of(r, gate);
}

std::uint64_t
changes_heard(ngx_http_request_t* r) noexcept {
    return main_conf(r)->worker_cache->changes_heard();
}

void
record_leave(Gate* gate) noexcept {
    RecordCache* cache = main_conf(gate->request)->worker_cache;
    if (cache != nullptr) {
        cache->leave(gate);
    }
}

void
cache_exit(MainConf* conf) noexcept {
    if (conf->worker_cache != nullptr) {
        conf->worker_cache->shut();
    }
}

}  // namespace entitle::ngx
