// Users' records: from the zone where that may be believed, else from Redis,
// with one read for all requests of a worker that ask for the same user at the
// same time.
//
// Who asks holds a RecordLookup, which says how to wake it. A lookup joins a
// read that is under way only if that read is known to see all that was
// acknowledged before it asked; else it waits for the next one. So nobody is
// answered with what was true before they asked, except inside the lease.
#pragma once

#include <memory>
#include <unordered_map>

#include "core/access/access.h"
#include "core/access/condense.h"
#include "core/access/decision.h"
#include "ngx_module/cache/tracking.h"
#include "ngx_module/redis_client/client.h"
#include "ngx_module/redis_client/exchange.h"

namespace entitle::ngx {

struct Fill;  // one read under way

// How a record was come by; $entitle_cache.
enum class CacheUse { none, hit, miss, stale, bypass };

// What one read gave.
struct RecordRead {
    std::optional<Reason> trouble;  // set: nothing else is
    Standing standing;              // condensed; whole where `packed` is empty
    std::string packed;
    bool may_be_cached = false;
};

// Whose record, and what about it is good enough. What it points at outlives
// the asking.
struct RecordQuestion {
    const Keys* keys;
    std::string_view space;  // ServerConf::audience
    const User* user;
    ngx_msec_t lease;  // entitle_lease and entitle_stale of the location
    Seconds stale;
    std::int64_t version_awaited;  // an older one in the zone is not given
    bool of_primary;               // what is near has been seen to be behind
};

// Where in the cache a record was found: what its being believed depends on.
struct FoundRecord {
    Hash128 user;
    FillStamp stamp;
    const Tracking* tracking;
    std::string key;  // where there is more than one node; else empty
};

// Somebody who asks for records, one at a time. Its destructor leaves.
class RecordLookup {
  public:
    using Wake = void (*)(void* data) noexcept;

    // `how` is called with `data` when the answer is there: ask again.
    RecordLookup(Wake how, void* data) : wake_(how), data_(data) {}
    ~RecordLookup() {
        leave();
    }
    RecordLookup(const RecordLookup&) = delete;
    RecordLookup& operator=(const RecordLookup&) = delete;

    // Whoever asked goes away, or asks no longer.
    void leave() noexcept;

    // The answer, once RecordCache::lookup has given one.
    //
    // As the zone keeps it; then `standing` has no projections. Empty: it could
    // not be packed, and `standing` is whole.
    std::string packed;
    Standing standing;
    CacheUse use = CacheUse::none;
    std::optional<FoundRecord> found;            // of a hit
    Reason trouble = Reason::redis_unreachable;  // of NGX_DECLINED

  private:
    friend class RecordCache;

    void
    wake() noexcept {
        fill_ = nullptr;
        wake_(data_);
    }

    Wake wake_;
    void* data_;
    Fill* fill_ = nullptr;  // waited for
    std::shared_ptr<const RecordRead> read_;
};

class RecordCache final : RecordListener {
  public:
    // NGX_OK: the lookup has the answer. NGX_AGAIN: asked, it will be woken.
    // NGX_DECLINED: it cannot be told, lookup.trouble says why.
    ngx_int_t lookup(RecordLookup& lookup, const RecordQuestion& question);

    // Whether what was found there may still be believed, as if it were looked
    // up now. Takes no lock, and asks nobody.
    bool stands(const FoundRecord& found, ngx_msec_t lease);

    // Stands for a user wherever changes are told.
    Hash128
    user_of(std::string_view space, const User& user) const {
        return zone_.hash(space, user.str());
    }
    // Which subscription hears of every change from now on; 0: none does.
    std::uint64_t changes_heard() const;
    // Rises with every change of the user that any worker of the node heard of.
    std::uint32_t
    changes_of(const Hash128& user) const {
        return zone_.numbers().of(user.low);
    }
    // Who is told of every change that is heard. Throws std::bad_alloc.
    void
    add_listener(RecordListener* listener) {
        listeners_.push_back(listener);
    }
    void
    remove_listener(RecordListener* listener) noexcept {
        std::erase(listeners_, listener);
    }
    // Whoever has to hear of changes, and asks for nothing, calls this now and
    // then.
    void
    listen() {
        wanted();
    }

    RecordCache(const MainConf* conf, Redis& redis,
                std::vector<RecordSpace> spaces, KnownIdentifiers known);
    ~RecordCache();
    RecordCache(const RecordCache&) = delete;
    RecordCache& operator=(const RecordCache&) = delete;

    void shut() noexcept;

  private:
    friend class RecordLookup;

    struct ByUser {
        std::size_t
        operator()(const Hash128& user) const {
            return user.high;  // the zone's buckets go by the other half
        }
    };

    // RecordListener, of each Tracking
    void changed(const Hash128& user) noexcept override;
    void everything_changed() noexcept override;
    bool listens() const noexcept override;

    static void answered(RedisExchange* exchange, RedisStatus status) noexcept;

    void wanted();
    Tracking* tracking_of(RedisNode* node);
    Tracking* tracking_of(const RecordQuestion& question);
    FoundRecord found_record(const RecordQuestion& question,
                             const Hash128& user, const Zone::Found& found,
                             const Tracking* tracking) const;
    bool believed_lately(const RecordQuestion& question,
                         const Zone::Found& found, const Hash128& user);
    bool join(RecordLookup& lookup, const RecordQuestion& question,
              const Hash128& user);
    bool send(Fill& fill);
    bool another_may_tell(const Fill& fill, RedisStatus status);
    void take(Fill& fill, RedisStatus status);
    void give_up(Fill& fill) noexcept;
    void leave_alone(const Hash128& user);
    bool is_left_alone(const Hash128& user);
    ngx_int_t use(RecordLookup& lookup, const RecordQuestion& question,
                  const Hash128& user, const RecordRead& read);
    ngx_int_t use_read(RecordLookup& lookup, const RecordQuestion& question,
                       const Hash128& user, const RecordRead& read);

    const MainConf* conf_;
    RedisTopology& redis_;
    RedisTopology& primaries_;  // the same, unless replicas are read
    std::vector<RecordSpace> spaces_;
    KnownIdentifiers known_;
    std::uint64_t fingerprint_;
    Zone zone_;
    std::vector<RecordListener*> listeners_;
    // One a node that was ever read from; those of `listened_` are kept up.
    std::unordered_map<RedisNode*, std::unique_ptr<Tracking>> trackings_;
    std::vector<Tracking*> listened_;
    std::optional<std::uint64_t> revision_;  // of redis_, at listened_
    ngx_msec_t wanted_at_ = 0;
    std::unordered_map<Hash128, std::unique_ptr<Fill>, ByUser> fills_;
    // Whose record is too big to be read, and until when it is not asked for.
    std::unordered_map<Hash128, ngx_msec_t, ByUser> too_big_;
};

// The worker's, made at its first use: only gates and status ask. Throws
// std::bad_alloc.
RecordCache& record_cache(const MainConf* conf);
// Null: nobody has asked yet.
RecordCache* known_record_cache(const MainConf* conf) noexcept;

}  // namespace entitle::ngx
