// A worker's list of the responses that end when their access does, under
// their users; of live.cc and live_cut.cc alone.
//
// When a user has to be asked about again the record is looked up as any gate
// does it (ngx_module/cache/record_cache.h), once for all of their responses,
// and what each location requires is decided by it as for a new request
// (ngx_module/gate/ruling.h). That is, when
//
//   the record changes       whoever hears of it tells the list; while this
//                            worker does not hear, the user's number in the
//                            zone says what the others heard
//   changes are heard again  some may have been missed: all users, once
//   changes are not heard    each user once a lease
//   the end is reached       of what the response was let in by
//
// A few at a time, so that gates are asked in between. What has to end is ended
// a few at a time, too, and from the event loop alone: nobody else's handler
// has a request finished, and freed, underneath it.
//
// What cannot be told is no end: until it is sure that a change is missing, or
// for as long as entitle_stale says, what was known stands.
//
// The timer is cancelable: responses have timers of their own, and a worker
// that was told to go lives as long as those. It goes on hearing until then
// (StillServing).
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "core/access/decision.h"
#include "core/access/requirement.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/gate/live_ends.h"

namespace entitle::ngx {

struct LiveUser;

// A response under way; a part of its gate.
struct Live {
    explicit Live(Gate* of) : gate(of) {
        ngx_queue_init(&at);
    }
    ~Live() {
        end();
    }
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

    // Off the list, if it is on it.
    void end() noexcept;

    Gate* gate;
    LiveUser* user = nullptr;  // null: not on the list
    const LocationConf* location = nullptr;
    // Null: as the location says, which has no variables.
    const std::vector<Alternatives>* lines = nullptr;
    UnixTime since{};          // of the session; kForever: nobody said
    UnixTime until{};          // kForever: no known end
    std::uint64_t device = 0;  // what its session is bound to; 0: nothing
    ngx_queue_t at;            // among its user's, or among those that end
    Reason why = Reason::ok;   // it ends
};

// One user's responses.
struct LiveUser {
    LiveUser(const User& name, const ServerConf* of);
    ~LiveUser();
    LiveUser(const LiveUser&) = delete;
    LiveUser& operator=(const LiveUser&) = delete;

    User name;
    const ServerConf* server;  // whose keys the record is found by
    ngx_queue_t responses;
    ngx_queue_t turn;                      // among those to be asked about
    std::unique_ptr<RecordLookup> lookup;  // asked
    ngx_msec_t sure_at = 0;  // where `unsure`: until when all was heard
    ngx_msec_t look_at = 0;
    std::uint32_t number = 0;  // RecordCache::changes_of at the newest look
    bool unsure = true;        // a change may be missing since
    bool changed = false;      // one is
    bool again = false;        // it came while the record was asked for
    bool asking = false;       // the lookup waits for its answer
};

class LiveRoom final : RecordListener {
  public:
    explicit LiveRoom(const MainConf* conf);
    ~LiveRoom();
    LiveRoom(const LiveRoom&) = delete;
    LiveRoom& operator=(const LiveRoom&) = delete;

    // `sure`: by a record that is believed at this moment.
    void enter(Live& live, const User& user, bool sure);
    void leave(Live& live) noexcept;
    void log_out(const LiveEnd& end);

  private:
    struct ByUser {
        std::size_t
        operator()(const Hash128& user) const {
            return user.high;
        }
    };

    // RecordListener
    void changed(const Hash128& user) noexcept override;
    void everything_changed() noexcept override;
    bool
    listens() const noexcept override {
        return !users_.empty();
    }

    static void on_timer(ngx_event_t* event) noexcept;
    static void on_work(ngx_event_t* event) noexcept;
    static void on_answer(void* user) noexcept;

    void begin();
    void rest() noexcept;
    void tick();
    void note_hearing() noexcept;
    void note_overdue() noexcept;
    void note_ended() noexcept;
    void work();
    void take_ends();
    void take_turn(LiveUser& user) noexcept;
    void note_change(LiveUser& user) noexcept;
    void look(LiveUser& user);
    void judge(LiveUser& user, const RecordLookup& lookup, bool answered);
    void finish(Live& live, Reason why) noexcept;
    void forget(LiveUser& user) noexcept;
    void soon() noexcept;

    const MainConf* conf_;
    RecordCache& cache_;
    LiveEnds ends_;
    std::unordered_map<Hash128, LiveUser, ByUser> users_;
    ngx_queue_t turns_;   // of LiveUser
    ngx_queue_t ending_;  // of Live
    ngx_event_t timer_{};
    ngx_event_t work_{};
    std::optional<StillServing> serving_;
    std::size_t asking_ = 0;
    std::uint64_t heard_by_ = 0;  // changes_heard(), lately
    ngx_msec_t heard_at_ = 0;     // when it was last not 0
    std::uint64_t seen_ = 0;      // of ends_
    UnixTime next_end_ = kForever;
    ngx_msec_t overdue_at_ = 0;
};

// --- gate/live.cc -----------------------------------------------------------

// Why what a record gives now is not enough. Null: it is; `until` is when that
// ends.
std::optional<Reason> live_refusal(const Live& live, const RecordLookup& record,
                                   UnixTime& until);

// --- gate/live_cut.cc -------------------------------------------------------

// Ends the request. It is on no list.
void live_cut(Live& live) noexcept;

}  // namespace entitle::ngx
