// What is known of a subject, and which purchase of it is to be explained.
#include <algorithm>

#include "cli/kept/ping.h"
#include "cli/why/chain.h"
#include "core/base/percent.h"
#include "core/record/fields.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kLogLines = 5;

void read_heard(const Context& context, Known& known) {
  const std::string key = context.keys().webhook();
  const Reply reply = context.redis().ask(key, Command{"HGETALL", key});
  bool own_ping = false;
  each_field(reply, [&](std::string_view name, std::string_view value) {
    if (name == "last_received") read_time(value, known.received);
    if (name == "last_received_event") own_ping = value.starts_with(kOwnPing);
    if (name == "last_applied") read_time(value, known.applied);
    if (name == "last_refused") read_time(value, known.refused);
    if (name == "last_refused_why") known.refused_why = value;
    return true;
  });
  if (own_ping && !known.applied) known.received.reset();
}

void read_record(const Context& context, Known& known) {
  if (!known.subject.user) return;
  known.record = record_of(context, *known.subject.user);
  known.record_readable = known.record.has_value();
  known.record_exists = !known.record || known.record->exists;
  known.log = log_of(context, *known.subject.user, kLogLines);
  if (known.record) {
    known.purchases = purchases_of(known.record->sources, context);
  }
}

// What waits in the place counts as a purchase, too: it is what is wrong.
void read_place(const Context& context, Known& known) {
  if (known.subject.place.empty()) return;
  known.place = place_of(context, known.subject.place);
  known.place_readable = known.place.has_value();
  if (!known.place) return;
  for (Purchase& purchase : purchases_of(known.place->sources, context)) {
    known.waiting.push_back(purchase.source);
    const bool there = std::any_of(
        known.purchases.begin(), known.purchases.end(),
        [&](const Purchase& p) { return p.source == purchase.source; });
    if (!there) known.purchases.push_back(std::move(purchase));
  }
}

// Of several that open nothing, the one somebody can do most about.
int usefulness(const Purchase& purchase) {
  if (purchase.unclear) return 8;
  if (purchase.effective) return purchase.gives.empty() ? 9 : 10;
  switch (purchase.lapse) {
    case Lapse::collection_paused:
      return 7;
    case Lapse::past_due_over:
      return 6;
    case Lapse::disputed:
      return 5;
    case Lapse::refunded:
      return 4;
    case Lapse::ended:
      return 3;
    case Lapse::not_paid:
      return 2;
    case Lapse::none:
      break;
  }
  return 1;
}

bool gives_any(const Purchase& purchase,
               const std::vector<std::string>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const auto& name) {
    return std::find(purchase.gives.begin(), purchase.gives.end(), name) !=
           purchase.gives.end();
  });
}

}  // namespace

Known read_known(const Context& context, Subject subject) {
  Known known;
  known.subject = std::move(subject);
  read_heard(context, known);
  read_record(context, known);
  read_place(context, known);
  return known;
}

const Purchase* purchase_to_explain(const Known& known,
                                    const std::vector<std::string>& wanted) {
  const Purchase* best = nullptr;
  std::tuple<bool, int, UnixTime> best_rank;
  for (const Purchase& purchase : known.purchases) {
    if (purchase.source == known.subject.source) return &purchase;
    // Of what was asked for by its customer, what is that customer's.
    const bool elsewhere = known.subject.kind == Subject::Kind::place &&
                           !purchase.place.empty() &&
                           purchase.place != known.subject.place;
    if (elsewhere) continue;
    // What opens nothing may have been meant to open this.
    const bool wanted_or_lost = wanted.empty() || gives_any(purchase, wanted) ||
                                purchase.opens_nothing();
    const std::tuple rank{wanted_or_lost, usefulness(purchase),
                          purchase.newest};
    if (best == nullptr || rank > best_rank) {
      best = &purchase;
      best_rank = rank;
    }
  }
  return best;
}

}  // namespace entitle::cli
