#include "core/report/counters.h"

namespace entitle {
namespace {

template <class Enum, std::size_t n>
std::string_view word_of(Enum value,
                         const std::array<std::string_view, n>& words) {
  const auto at = static_cast<std::size_t>(value);
  return at < n ? words[at] : std::string_view();
}

}  // namespace

bool goes_with(Reason reason, Decision decision) {
  switch (decision) {
    case Decision::allow:
    case Decision::allow_stale:
      return reason == Reason::ok;
    case Decision::allow_unverified:
      return reason == Reason::redis_unreachable;
    case Decision::login:
      return reason >= Reason::no_session && reason <= Reason::session_stale;
    case Decision::pay:
      return reason >= Reason::not_entitled &&
             reason <= Reason::credits_exhausted;
    case Decision::error:
      return reason >= Reason::reauth_failed;
  }
  return false;
}

std::string_view name(Lookup lookup) {
  return word_of(lookup, std::array<std::string_view, kLookups>{
                             "hit", "miss", "stale", "bypass", "failed"});
}

std::string_view name(Answer answer) {
  return word_of(answer, std::array<std::string_view, kAnswers>{"user", "guest",
                                                                "failure"});
}

std::string_view name(WaitEnd end) {
  return word_of(
      end, std::array<std::string_view, kWaitEnds>{
               "let_in", "in_vain", "timed_out", "left", "full", "ended"});
}

std::string_view name(Refusal refusal) {
  return word_of(refusal,
                 std::array<std::string_view, kRefusals>{
                     "signature_missing", "signature_malformed",
                     "signature_mismatch", "timestamp_out_of_tolerance",
                     "body_not_json", "not_an_event", "body_too_large"});
}

std::string_view name(RedisTrouble trouble) {
  return word_of(trouble, std::array<std::string_view, kRedisTroubles>{
                              "unavailable", "timed_out", "not_primary", "busy",
                              "not_allowed", "wrong"});
}

// Both are nothing but numbers of eight bytes, in the same places.
void add(Totals& totals, const SharedTally& tally) {
  static_assert(sizeof(SharedNumber) == sizeof(std::uint64_t));
  const auto* from = reinterpret_cast<const SharedNumber*>(&tally);
  auto* to = reinterpret_cast<std::uint64_t*>(&totals);
  for (std::size_t i = 0; i < sizeof(Totals) / sizeof(std::uint64_t); i++) {
    to[i] += from[i].value();
  }
}

std::uint64_t decided(const Totals& totals, Decision decision) {
  std::uint64_t sum = decision == Decision::allow ? totals.remembered : 0;
  for (const std::uint64_t each :
       totals.decisions[static_cast<std::size_t>(decision)]) {
    sum += each;
  }
  return sum;
}

void Hours::note(std::int64_t hour, const Totals& totals) {
  Entry& entry = entries_[static_cast<std::size_t>(hour) % kHours];
  for (std::size_t i = 0; i < kDecisions; i++) {
    entry.until_then[i].store(decided(totals, static_cast<Decision>(i)),
                              std::memory_order_relaxed);
  }
  entry.hour.store(hour, std::memory_order_relaxed);
  std::int64_t none = 0;
  first_.compare_exchange_strong(none, hour, std::memory_order_relaxed);
}

std::vector<Hours::Hour> Hours::read(std::int64_t now,
                                     const Totals& totals) const {
  std::vector<Hour> told;
  Hour until{now, {}};  // what had come by the end of that hour
  for (std::size_t i = 0; i < kDecisions; i++) {
    until.decisions[i] = decided(totals, static_cast<Decision>(i));
  }
  const auto tell = [&](const Hour& before) {
    Hour in{until.hour, {}};
    bool any = false;
    for (std::size_t i = 0; i < kDecisions; i++) {
      in.decisions[i] = until.decisions[i] - before.decisions[i];
      any = any || in.decisions[i] != 0;
    }
    if (any) told.push_back(in);
  };
  for (std::int64_t hour = now - 1;
       hour > now - static_cast<std::int64_t>(kHours); hour--) {
    const Entry& entry = entries_[static_cast<std::size_t>(hour) % kHours];
    if (entry.hour.load(std::memory_order_relaxed) != hour) continue;
    Hour before{hour, {}};
    for (std::size_t i = 0; i < kDecisions; i++) {
      before.decisions[i] = entry.until_then[i].load(std::memory_order_relaxed);
    }
    tell(before);
    until = before;
  }
  // Of what came before all that is known nobody knows when.
  const std::int64_t first = first_.load(std::memory_order_relaxed);
  if (first == 0 || first >= until.hour) tell(Hour{});
  return told;
}

}  // namespace entitle
