// What is counted of requests and webhooks, in numbers that only rise, so that
// whoever reads them twice knows what came between.
//
// A Tally is one set of them. In shared memory there are several, of atomic
// words: a worker adds to the one of its number and takes no lock. Two that
// meet in one (an old worker and its successor) do no harm. What all came to is
// their sum. It survives a reload; a restart begins at 0.
//
// Nothing here grows with users, places or texts of a client's.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/access/decision.h"
#include "core/base/types.h"
#include "core/delivery/outcome.h"

namespace entitle {

inline constexpr std::size_t kDecisions =
    static_cast<std::size_t>(Decision::allow_unverified) + 1;
inline constexpr std::size_t kReasons =
    static_cast<std::size_t>(Reason::cost_unknown) + 1;
// Whether the gate ever says the two together.
bool goes_with(Reason reason, Decision decision);

// How a record was come by.
enum class Lookup { hit, miss, stale, bypass, failed };
inline constexpr std::size_t kLookups = 5;
std::string_view name(Lookup lookup);

// What the app said when it was asked who somebody is.
enum class Answer { user, guest, failure };
inline constexpr std::size_t kAnswers = 3;
std::string_view name(Answer answer);

// How a wait ended. `in_vain`: somebody came from the checkout (the `if=` of
// entitle_wait) and the time was up. `timed_out`: the same of anybody else.
// `full`: there was no room to wait. `ended`: it could not be told, or the
// worker had to go.
enum class WaitEnd { let_in, in_vain, timed_out, left, full, ended };
inline constexpr std::size_t kWaitEnds = 6;
std::string_view name(WaitEnd end);

// What became of a webhook: an Outcome, or what it was refused for.
enum class Refusal {
  signature_missing,
  signature_malformed,
  signature_mismatch,
  timestamp_out_of_tolerance,
  body_not_json,
  not_an_event,
  body_too_large,
};
inline constexpr std::size_t kRefusals = 7;
inline constexpr std::size_t kOutcomes =
    static_cast<std::size_t>(Outcome::not_stored) + 1;
std::string_view name(Refusal refusal);

// What Redis did not do. `not_primary`: read only, loading, another is the one
// to ask. `busy`: out of memory, or not able to now. `not_allowed`: a password,
// an ACL. `wrong`: anything else it calls an error.
enum class RedisTrouble {
  unavailable,
  timed_out,
  not_primary,
  busy,
  not_allowed,
  wrong,
};
inline constexpr std::size_t kRedisTroubles = 6;
std::string_view name(RedisTrouble trouble);

// Times by how long they were: `most` are in milliseconds, the last bucket is
// for what is longer than all of them.
inline constexpr std::array<std::int64_t, 11> kAnswerTimes = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
inline constexpr std::array<std::int64_t, 9> kWaitTimes = {
    100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000};
inline constexpr std::array<std::int64_t, 11> kDelays = {
    1000,   2000,   5000,    10000,    30000,   60000,
    300000, 900000, 3600000, 14400000, 86400000};

template <class Number, std::size_t n>
struct Times {
  std::array<Number, n + 1> count;
  Number sum;  // ms

  void add(const std::array<std::int64_t, n>& most, std::int64_t ms) {
    std::size_t i = 0;
    while (i < n && ms > most[i]) i++;
    count[i] += 1;
    sum += static_cast<std::uint64_t>(ms < 0 ? 0 : ms);
  }
};

template <class Number>
struct Tally {
  // Let in by what the worker remembers: allow, ok, and a hit.
  Number remembered;
  std::array<std::array<Number, kReasons>, kDecisions> decisions;
  std::array<Number, kDecisions> let_by;  // by a dry run
  std::array<Number, kReasons> cut;       // by entitle_live
  std::array<Number, kLookups> lookups;
  std::array<Number, kAnswers> answers;
  Times<Number, kAnswerTimes.size()> answer_times;
  std::array<Number, kWaitEnds> waits;
  Times<Number, kWaitTimes.size()> wait_times;
  std::array<std::array<Number, kOutcomes + kRefusals>, 2> webhooks;  // by Mode
  std::array<Times<Number, kDelays.size()>, 2> delays;
  std::array<Number, kRedisTroubles> redis_troubles;
};

// A word that several processes add to.
class SharedNumber {
 public:
  SharedNumber& operator+=(std::uint64_t more) {
    word_.fetch_add(more, std::memory_order_relaxed);
    return *this;
  }
  std::uint64_t value() const { return word_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> word_;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

using SharedTally = Tally<SharedNumber>;
using Totals = Tally<std::uint64_t>;
static_assert(sizeof(SharedTally) == sizeof(Totals));

void add(Totals& totals, const SharedTally& tally);
// What the gate came to, those who were remembered among them.
std::uint64_t decided(const Totals& totals, Decision decision);

// One more of each.
template <class Number>
void count(Tally<Number>& tally, Decision decision, Reason reason) {
  tally.decisions[static_cast<std::size_t>(decision)]
                 [static_cast<std::size_t>(reason)] += 1;
}
template <class Number>
void count(Tally<Number>& tally, Mode mode, Outcome outcome) {
  tally.webhooks[static_cast<std::size_t>(mode)]
                [static_cast<std::size_t>(outcome)] += 1;
}
template <class Number>
void count(Tally<Number>& tally, Mode mode, Refusal refusal) {
  tally.webhooks[static_cast<std::size_t>(mode)]
                [kOutcomes + static_cast<std::size_t>(refusal)] += 1;
}
template <class Number>
void count(Tally<Number>& tally, Lookup lookup) {
  tally.lookups[static_cast<std::size_t>(lookup)] += 1;
}
template <class Number>
void count(Tally<Number>& tally, RedisTrouble trouble) {
  tally.redis_troubles[static_cast<std::size_t>(trouble)] += 1;
}

// What the gate came to hour by hour, for people: written now and then by one
// process, read by any.
class Hours {
 public:
  static constexpr std::size_t kHours = 48;

  // `hour`: unix time / 3600.
  void note(std::int64_t hour, const Totals& totals);
  struct Hour {
    std::int64_t hour = 0;
    std::array<std::uint64_t, kDecisions> decisions{};
  };
  // The newest first, `now` with what came until then; without those in which
  // nothing did.
  std::vector<Hour> read(std::int64_t now, const Totals& totals) const;

 private:
  struct Entry {
    std::atomic<std::int64_t> hour;  // 0: none
    std::array<std::atomic<std::uint64_t>, kDecisions> until_then;
  };
  std::array<Entry, kHours> entries_;
  std::atomic<std::int64_t> first_;  // hour of the first note; 0: none yet
};

}  // namespace entitle
