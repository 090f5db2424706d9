#include "ngx_module/cache/record_cache.h"

#include <algorithm>

#include "core/redis/error.h"
#include "ngx_module/cache/lately.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

// A read under way, and who waits for it.
struct Fill {
    Fill(RecordCache* its_cache, const Hash128& its_user)
        : cache(its_cache), user(its_user) {}

    RecordCache* cache;
    Hash128 user;
    RedisExchange exchange;
    // Whoever waits has seen that what is near is behind.
    bool of_primary = false;
    bool asks_primary = false;         // so it was sent
    Tracking* tracking = nullptr;      // of the node that is asked
    std::optional<FillStamp> stamp{};  // null: its answer is not stored
    std::uint64_t generation = 0;      // the node's, when it was sent
    int sent = 0;
    std::vector<RecordLookup*> waiting{};
    std::vector<RecordLookup*> late{};  // for the next read
};

namespace {

// A record that changes faster than it can be read is given as it was read.
constexpr int kMostReads = 3;
constexpr ngx_msec_t kWantedAgain = 50;
constexpr ngx_msec_t kTooBigFor = 10000;
constexpr std::size_t kMostTooBig = 1024;

std::optional<Reason>
trouble_of(const RedisExchange& exchange, RedisStatus status) {
    if (status != RedisStatus::ok || exchange.replies.size() != 1) {
        return Reason::redis_unreachable;  // the client has said so, once
    }
    const Reply& reply = exchange.replies.front();
    if (!reply.is_error() || reply.is_error("WRONGTYPE")) {
        return std::nullopt;
    }
    if (reply.is_error("TOOBIG")) {
        return Reason::record_unreadable;  // likewise
    }
    ngx_str_t text = str(reply.text);
    static Seldom seldom;
    seldom.error(ngx_cycle->log,
                 "entitle: Redis answered \"%V\" to a record read", &text);
    return Reason::redis_unreachable;
}

RecordRead
read_reply(const RedisExchange& exchange, RedisStatus status,
           const KnownIdentifiers& known) {
    RecordRead read;
    read.trouble = trouble_of(exchange, status);
    if (read.trouble) {
        return read;
    }
    const std::optional<Record> record =
        Record::decode(exchange.replies.front());
    if (!record) {
        ngx_str_t key = str(exchange.commands[0][1]);
        static Seldom seldom;
        seldom.error(ngx_cycle->log, "entitle: record \"%V\" cannot be read",
                     &key);
        read.trouble = Reason::record_unreadable;
        return read;
    }
    read.standing = condense(standing_of(*record), known);
    read.packed = pack(read.standing);
    return read;
}

// False: damaged, or packed for other grants than ours (before a reload).
bool
give(RecordLookup& lookup, std::string_view packed, std::uint64_t known) {
    const PackedReader reader(packed);
    if (!reader.ok() || reader.known() != known) {
        return false;
    }
    lookup.packed.assign(packed);  // who waits looks many times
    lookup.standing = {reader.version(), reader.not_before(), {}, known};
    return true;
}

template <class See>
void
each_server(See see) {
    auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
        see(*static_cast<const ServerConf*>(
            servers[i]->ctx->srv_conf[ngx_http_entitle_module.ctx_index]));
    }
}

// A change in any of them is heard.
std::vector<RecordSpace>
spaces_of_all_servers() {
    std::vector<RecordSpace> spaces;
    each_server([&](const ServerConf& conf) {
        RecordSpace space{
            *conf.audience,
            tracking_prefix(view(conf.prefix), static_cast<Mode>(conf.mode))};
        if (std::find(spaces.begin(), spaces.end(), space) == spaces.end()) {
            spaces.push_back(std::move(space));
        }
    });
    return spaces;
}

// What is cached serves them all.
KnownIdentifiers
identifiers_of_all_servers() {
    KnownIdentifiers known;
    each_server([&](const ServerConf& conf) { known.add(*conf.grants); });
    return known;
}

}  // namespace

RecordCache::RecordCache(const MainConf* conf, Redis& redis,
                         std::vector<RecordSpace> spaces,
                         KnownIdentifiers known)
    : conf_(conf),
      redis_(redis.near()),
      primaries_(redis.primaries()),
      spaces_(std::move(spaces)),
      known_(std::move(known)),
      fingerprint_(known_.fingerprint()),
      zone_(conf->zone) {}

RecordCache::~RecordCache() {
    shut();
}

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
        std::vector<Tracking*> listened;
        for (RedisNode* node : redis_.nodes()) {
            listened.push_back(tracking_of(node));
        }
        listened_ = std::move(listened);
        revision_ = redis_.revision();
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
    const auto [at, is_new] = trackings_.try_emplace(node);
    if (is_new) {
        try {
            at->second =
                std::make_unique<Tracking>(conf_, redis_, node, &zone_, spaces_,
                                           static_cast<RecordListener&>(*this));
        } catch (...) {
            trackings_.erase(at);
            throw;
        }
    }
    return at->second.get();
}

// Of who has the record. Null: nobody is known to.
Tracking*
RecordCache::tracking_of(const RecordQuestion& question) {
    RedisNode* node = redis_.only_node();
    if (node == nullptr) {
        node = redis_.node_of(question.keys->record(*question.user));
    }
    return node == nullptr ? nullptr : tracking_of(node);
}

ngx_int_t
RecordCache::lookup(RecordLookup& lookup, const RecordQuestion& question) {
    if (lookup.fill_ != nullptr) {
        return NGX_AGAIN;
    }
    const Hash128 user = user_of(question.space, *question.user);
    if (lookup.read_) {
        const auto read = std::exchange(lookup.read_, nullptr);
        return use(lookup, question, user, *read);
    }

    wanted();
    const Tracking* tracking = tracking_of(question);
    const auto is_hit = [&](const Zone::Found& found) {
        return tracking != nullptr &&
               tracking->believes(found.stamp, user, question.lease) &&
               give(lookup, found.packed, fingerprint_) &&
               lookup.standing.version >= question.version_awaited;
    };
    auto& lately = conf_->worker->part<Lately>();
    std::optional<Zone::Found> found = lately.find(user);
    bool hit = found && is_hit(*found);
    if (!hit) {
        found = zone_.find(user);
        hit = found && is_hit(*found);
        if (hit) {
            lately.keep(user, *found);
        }
    }
    if (hit) {
        count(tally(conf_), Lookup::hit);
        lookup.use = CacheUse::hit;
        lookup.found = found_record(question, user, *found, tracking);
        return NGX_OK;
    }
    const bool left_alone = is_left_alone(user);
    if (!left_alone && join(lookup, question, user)) {
        return NGX_AGAIN;
    }
    return use(lookup, question, user,
               {.trouble = left_alone ? Reason::record_unreadable
                                      : Reason::redis_unreachable,
                .standing = {},
                .packed = {},
                .may_be_cached = false});
}

FoundRecord
RecordCache::found_record(const RecordQuestion& question, const Hash128& user,
                          const Zone::Found& found,
                          const Tracking* tracking) const {
    return {user, found.stamp, tracking,
            redis_.only_node() != nullptr
                ? std::string()
                : question.keys->record(*question.user)};
}

bool
RecordCache::stands(const FoundRecord& found, ngx_msec_t lease) {
    wanted();
    const RedisNode* node = redis_.only_node();
    if (node == nullptr) {
        node = redis_.node_of(found.key);
    }
    return found.tracking->node() == node &&
           found.tracking->believes(found.stamp, found.user, lease);
}

ngx_int_t
RecordCache::use(RecordLookup& lookup, const RecordQuestion& question,
                 const Hash128& user, const RecordRead& read) {
    const ngx_int_t rc = use_read(lookup, question, user, read);
    count(tally(conf_), rc != NGX_OK                    ? Lookup::failed
                        : lookup.use == CacheUse::miss  ? Lookup::miss
                        : lookup.use == CacheUse::stale ? Lookup::stale
                                                        : Lookup::bypass);
    return rc;
}

ngx_int_t
RecordCache::use_read(RecordLookup& lookup, const RecordQuestion& question,
                      const Hash128& user, const RecordRead& read) {
    lookup.packed.clear();
    lookup.found.reset();
    lookup.use = read.may_be_cached ? CacheUse::miss : CacheUse::bypass;
    if (!read.trouble) {
        if (read.packed.empty()) {
            lookup.standing = read.standing;
        } else {
            give(lookup, read.packed, fingerprint_);
        }
        return NGX_OK;
    }
    lookup.trouble = *read.trouble;
    if (lookup.trouble != Reason::redis_unreachable) {
        return NGX_DECLINED;
    }
    if (question.stale == Seconds{0}) {
        return NGX_DECLINED;
    }
    const std::optional<Zone::Found> found = zone_.find(user);
    if (found && believed_lately(question, *found, user) &&
        give(lookup, found->packed, fingerprint_)) {
        lookup.use = CacheUse::stale;
        return NGX_OK;
    }
    return NGX_DECLINED;
}

// With replicas it may have been read from one that is no longer.
bool
RecordCache::believed_lately(const RecordQuestion& question,
                             const Zone::Found& found, const Hash128& user) {
    const auto believed = [&](const Tracking* tracking) {
        return tracking != nullptr &&
               tracking->believed_lately(found.stamp, user, question.lease,
                                         question.stale);
    };
    if (conf_->redis_read == nullptr) {
        return believed(tracking_of(question));
    }
    return std::any_of(
        trackings_.begin(), trackings_.end(),
        [&](const auto& entry) { return believed(entry.second.get()); });
}

// --- one read for all who ask at the same time -------------------------------

// Reading it costs everybody a connection: not again for a while, or until it
// changes.
void
RecordCache::leave_alone(const Hash128& user) {
    if (too_big_.size() >= kMostTooBig) {
        too_big_.clear();
    }
    too_big_[user] = ngx_current_msec + kTooBigFor;
}

bool
RecordCache::is_left_alone(const Hash128& user) {
    const auto at = too_big_.find(user);
    if (at == too_big_.end()) {
        return false;
    }
    if (static_cast<ngx_msec_int_t>(at->second - ngx_current_msec) > 0) {
        return true;
    }
    too_big_.erase(at);
    return false;
}

// False: Redis cannot be asked.
bool
RecordCache::join(RecordLookup& lookup, const RecordQuestion& question,
                  const Hash128& user) {
    if (const auto at = fills_.find(user); at != fills_.end()) {
        Fill* known = at->second.get();
        known->of_primary |= question.of_primary;
        const bool sees_all =
            known->stamp && (!question.of_primary || known->asks_primary) &&
            known->tracking->covers(*known->stamp, user, question.lease);
        (sees_all ? known->waiting : known->late).push_back(&lookup);
        lookup.fill_ = known;
        return true;
    }

    auto fill = std::make_unique<Fill>(this, user);
    fill->exchange.key = question.keys->record(*question.user);
    fill->exchange.commands = {{"HGETALL", fill->exchange.key}};
    fill->exchange.done = answered;
    fill->exchange.data = fill.get();
    fill->of_primary = question.of_primary;
    fill->waiting.push_back(&lookup);
    const auto at = fills_.emplace(user, std::move(fill)).first;
    try {
        if (send(*at->second)) {
            lookup.fill_ = at->second.get();
            return true;
        }
    } catch (...) {
        fills_.erase(at);
        throw;
    }
    fills_.erase(at);
    return false;
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
    const bool is_sent =
        node->send(make_pending(*conf_, &fill.exchange,
                                fill.exchange.commands)) == NGX_OK;
    if (!is_sent) {
        redis_cancel(&fill.exchange);
    }
    return is_sent;
}

void
RecordCache::answered(RedisExchange* exchange, RedisStatus status) noexcept {
    Fill* fill = static_cast<Fill*>(exchange->data);
    RecordCache* cache = fill->cache;
    edge::event(
        "a record was read in vain", [=] { cache->take(*fill, status); },
        [=]() noexcept { cache->give_up(*fill); });
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
    for (const std::vector<RecordLookup*>* lookups :
         {&fill.waiting, &fill.late}) {
        for (RecordLookup* lookup : *lookups) {
            lookup->wake();
        }
    }
    fills_.erase(Hash128(fill.user));  // which goes with it
}

void
RecordCache::take(Fill& fill, RedisStatus status) {
    const RedisNode* node = fill.tracking->node();
    const bool whole = fill.stamp && fill.exchange.replied_by == node &&
                       fill.generation == node->generation();
    const bool current =
        whole && Lease::may_store(*fill.stamp, zone_.numbers(), fill.user.low);
    const bool overtaken = status == RedisStatus::ok && whole && !current;
    if ((overtaken || another_may_tell(fill, status)) &&
        fill.sent < kMostReads && send(fill)) {
        return;
    }

    auto read =
        std::make_shared<RecordRead>(read_reply(fill.exchange, status, known_));
    read->may_be_cached = whole;
    if (!fill.exchange.replies.empty() &&
        fill.exchange.replies.front().is_error("TOOBIG")) {
        leave_alone(fill.user);
    }
    if (current && !read->trouble && !read->packed.empty()) {
        zone_.store(fill.user, *fill.stamp, read->packed);
    }
    const auto wake_all = [&] {
        for (RecordLookup* lookup : fill.waiting) {
            lookup->read_ = read;
            lookup->wake();
        }
        fill.waiting.clear();
    };
    wake_all();
    if (!fill.late.empty()) {
        fill.sent = 0;
        if (send(fill)) {
            return;
        }
        read = std::make_shared<RecordRead>();
        read->trouble = Reason::redis_unreachable;
        wake_all();
    }
    fills_.erase(Hash128(fill.user));  // which goes with it
}

void
RecordLookup::leave() noexcept {
    if (fill_ != nullptr) {
        std::erase(fill_->waiting, this);
        std::erase(fill_->late, this);
        fill_ = nullptr;
    }
}

// --- what Redis says ---------------------------------------------------------

void
RecordCache::changed(const Hash128& user) noexcept {
    too_big_.erase(user);
    for (RecordListener* listener : listeners_) {
        listener->changed(user);
    }
}

void
RecordCache::everything_changed() noexcept {
    too_big_.clear();
    for (RecordListener* listener : listeners_) {
        listener->everything_changed();
    }
}

bool
RecordCache::listens() const noexcept {
    return std::any_of(
        listeners_.begin(), listeners_.end(),
        [](const RecordListener* listener) { return listener->listens(); });
}

// Who waits is not woken: the worker exits.
void
RecordCache::shut() noexcept {
    for (const auto& [user, fill] : fills_) {
        redis_cancel(&fill->exchange);
        for (const std::vector<RecordLookup*>* lookups :
             {&fill->waiting, &fill->late}) {
            for (RecordLookup* lookup : *lookups) {
                lookup->fill_ = nullptr;
            }
        }
    }
    fills_.clear();
    for (const auto& [node, tracking] : trackings_) {
        tracking->shut();
    }
}

// --- the interface -----------------------------------------------------------

RecordCache&
record_cache(const MainConf* conf) {
    if (RecordCache* cache = known_record_cache(conf)) {
        return *cache;
    }
    return conf->worker->make<RecordCache>(conf, redis_of(conf),
                                           spaces_of_all_servers(),
                                           identifiers_of_all_servers());
}

RecordCache*
known_record_cache(const MainConf* conf) noexcept {
    return conf->worker->find<RecordCache>();
}

}  // namespace entitle::ngx
