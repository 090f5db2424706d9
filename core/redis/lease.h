// When a worker may believe an entry of the shared zone without asking Redis.
//
// Redis tells every worker that listens when a record changes
// (core/redis/invalidation.h). Four rules make that sound with several workers
// that fill one zone, connections that die silently, reloads and fail-overs:
//
//  1. Numbers. The zone has an array of counters, hashed by user. Whoever hears
//     that a user changed raises the user's counter; "everything changed"
//     raises all. A fill notes the number before its read is sent, and an entry
//     counts only while its number is still the current one. So a fill that a
//     change overtook is never believed, whoever heard of the change.
//  2. Start. A worker believes an entry only if its fill began after the
//     worker's own subscription was confirmed: it then hears of every later
//     change itself, and depends on nobody else's connection.
//  3. Lease. It does so only while its lease holds. That counts from when the
//     newest heartbeat was sent of which every part was answered: the
//     subscription answers after everything it had to tell before, so a change
//     acknowledged before that moment has been heard.
//  4. Instance. What is read and what is listened to are one Redis: same
//     address, process, role and epoch. An entry names the one it was read
//     from; where that changes, nothing older is believed.
//
// So: an entry is never believed later than the lease after a change that was
// acknowledged and that the worker could not hear of. lease_test.cc has the
// model that shows it, and that each rule is needed.
//
// Times. `now` for subscribed() is read after the confirmation came, and
// rounded up; when a fill or heartbeat begins, before it is sent, and rounded
// down. nginx's cached ngx_current_msec is late: update it first for the
// former.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/monotonic.h"

namespace entitle {

// Which Redis answered.
struct Instance {
  std::string address;     // as connected to: "10.0.0.1:6379"
  std::string run_id;      // INFO server; another process is another one
  bool primary = true;     // ROLE
  std::int64_t epoch = 0;  // of the Cluster configuration; else 0
  bool operator==(const Instance&) const = default;

  // Stands for it in entries. Never 0.
  std::uint64_t tag() const;
};

// The counters of rule 1, on memory of the caller's (the zone: any number of
// processes). Lock-free. `words[0]` is raised for everything, the others each
// for the users that hash to them.
class FillNumbers {
 public:
  using Word = std::atomic<std::uint32_t>;
  static_assert(Word::is_always_lock_free);

  // `count` >= 2, below 2^32. Fresh memory of zeros is ready to use.
  FillNumbers(Word* words, std::size_t count) : words_(words), count_(count) {}

  // `user_hash`: of mode, prefix and user, the same in every worker.
  std::uint32_t of(std::uint64_t user_hash) const {
    // Both only rise, so the sum is the same only if neither did.
    return words_[0].load() + slot(user_hash).load();
  }
  void changed(std::uint64_t user_hash) { slot(user_hash).fetch_add(1); }
  void everything_changed() { words_[0].fetch_add(1); }

 private:
  Word& slot(std::uint64_t user_hash) const {
    // The high half, spread over the counters without a division.
    return words_[1 + ((user_hash >> 32) * (count_ - 1) >> 32)];
  }
  Word* words_;
  std::size_t count_;
};

// What an entry carries. Plain data; zeros are believed by nobody.
struct FillStamp {
  std::int64_t began = 0;  // MonoTime, ms: before the read was sent
  std::uint64_t instance = 0;
  std::uint32_t number = 0;
};

// One worker's connection pair (subscription and data) to one Redis instance.
class Lease {
 public:
  // What answers a heartbeat. Only those asked for are waited for.
  enum Part : unsigned {
    subscription = 1,  // PONG on the subscribed connection; what PING carries
                       // comes back, so it can say which beat it answers
    data = 2,          // a read and ROLE on the other one: data_replied()
  };
  using Beat = std::uint64_t;

  explicit Lease(Milliseconds length, unsigned parts = subscription | data)
      : length_(length), parts_(parts) {}

  // Tracking and subscription were confirmed by `instance`, asked on that
  // connection before. Nothing is believed yet: the first heartbeat has to be
  // answered.
  void subscribed(const Instance& instance, MonoTime now);
  // The subscription closed, failed, or said what it must not.
  void lost();
  // What fills are read from, asked on that connection; null: it closed.
  void reads_from(std::optional<Instance> instance);

  // `now` is before the first part is sent. At most kBeats are waited for: the
  // oldest is given up for a new one. `limit`: the lease does not hold for
  // longer by this beat. Of a primary that others name: until when it surely is
  // one. Of a replica: until when what it had applied by now may be believed;
  // what it had not, it has not told.
  Beat beat(MonoTime now, MonoTime limit = MonoTime::max());
  void answered(Beat beat, Part part);
  // The data connection's part. False: not the instance subscribed to; the
  // lease is lost and both connections have to go.
  bool data_replied(Beat beat, const Instance& instance);

  // When the oldest unanswered heartbeat was sent, for its time-out.
  std::optional<MonoTime> waiting_since() const;

  bool holds(MonoTime now) const;
  MonoTime end() const { return end_; }  // until when, unless renewed

  // Before a fill is sent. Null: not subscribed to what is read from; the
  // answer is for the requests that wait for it, and is not stored.
  std::optional<FillStamp> begin_fill(const FillNumbers& numbers,
                                      std::uint64_t user_hash,
                                      MonoTime now) const;
  // When the answer came. False: it was overtaken; send it again.
  static bool may_store(const FillStamp& stamp, const FillNumbers& numbers,
                        std::uint64_t user_hash);

  // Rules 1 to 4.
  bool may_believe(const FillStamp& stamp, const FillNumbers& numbers,
                   std::uint64_t user_hash, MonoTime now) const;

  // Whether a change is known to have come since: never even served stale.
  static bool is_outdated(const FillStamp& stamp, const FillNumbers& numbers,
                          std::uint64_t user_hash);

 private:
  static constexpr std::size_t kBeats = 8;
  struct Sent {
    Beat beat = 0;  // 0: free
    MonoTime at{};
    MonoTime limit{};
    unsigned missing = 0;  // parts
  };

  Milliseconds length_;
  unsigned parts_;
  std::optional<Instance> instance_;  // null: not subscribed
  std::optional<Instance> reads_from_;
  std::uint64_t tag_ = 0;
  MonoTime start_{};
  MonoTime end_{};
  Beat last_ = 0;
  std::array<Sent, kBeats> sent_{};
};

}  // namespace entitle
