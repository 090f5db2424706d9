// Source::decode: the format is described in core/source/json.cc.
#include "core/base/types.h"
#include "core/json/reader.h"
#include "core/json/tree.h"
#include "core/source/bounds.h"
#include "core/source/identifier.h"
#include "core/source/source.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxIdentifiersRead = 1024;

using Identifiers = std::vector<Identifier>;
using OptionalTime = std::optional<UnixTime>;

void read_time(JsonReader& in, UnixTime& into) {
  std::int64_t seconds = 0;
  in.integer(seconds);
  if (!is_time(seconds)) return in.fail();
  into = unix_time(seconds);
}

void read_time(JsonReader& in, OptionalTime& into) {
  UnixTime time{};
  read_time(in, time);
  into = time;
}

void read_previous_time(JsonReader& in, std::optional<OptionalTime>& into) {
  if (in.null()) {
    into.emplace(std::nullopt);
  } else {
    read_time(in, into.emplace());
  }
}

// As written: sorted and unique.
void read_identifiers(JsonReader& in, Identifiers& into) {
  into.clear();
  std::string text;
  in.array([&] {
    in.string(text);
    std::optional<Identifier> identifier = Identifier::parse(text);
    if (!identifier || into.size() == kMaxIdentifiersRead ||
        (!into.empty() && !(into.back() < *identifier))) {
      return in.fail();
    }
    into.push_back(*std::move(identifier));
  });
}

void read_type(JsonReader& in, SnapshotType& into) {
  std::string text;
  in.string(text);
  for (SnapshotType type : {SnapshotType::created, SnapshotType::notice,
                            SnapshotType::updated, SnapshotType::deleted}) {
    if (name(type) == text) {
      into = type;
      return;
    }
  }
  in.fail();
}

void read_previous(JsonReader& in, PreviousState& into) {
  in.object([&](std::string_view key) {
    if (key == "status") {
      in.string(into.status.emplace());
    } else if (key == "period_end") {
      read_previous_time(in, into.period_end);
    } else if (key == "trial_end") {
      read_previous_time(in, into.trial_end);
    } else if (key == "cancel_at") {
      read_previous_time(in, into.cancel_at);
    } else if (key == "cancel_at_period_end") {
      in.boolean(into.cancel_at_period_end.emplace());
    } else if (key == "ended_at") {
      read_previous_time(in, into.ended_at);
    } else if (key == "identifiers") {
      read_identifiers(in, into.identifiers.emplace());
    } else if (key == "names") {
      read_identifiers(in, into.names.emplace());
    } else {
      in.fail();
    }
  });
}

template <class Fact>
bool read_event(JsonReader& in, std::string_view key, Fact& into) {
  if (key == "event") {
    in.string(into.event);
  } else if (key == "created") {
    read_time(in, into.created);
  } else {
    return false;
  }
  return true;
}

void read(JsonReader& in, Snapshot& into) {
  in.object([&](std::string_view key) {
    SubscriptionState& state = into.state;
    if (read_event(in, key, into)) return;
    if (key == "type") {
      read_type(in, into.type);
    } else if (key == "status") {
      in.string(state.status);
    } else if (key == "period_end") {
      read_time(in, state.period_end);
    } else if (key == "trial_end") {
      read_time(in, state.trial_end);
    } else if (key == "cancel_at") {
      read_time(in, state.cancel_at);
    } else if (key == "cancel_at_period_end") {
      in.boolean(state.cancel_at_period_end);
    } else if (key == "ended_at") {
      read_time(in, state.ended_at);
    } else if (key == "identifiers") {
      read_identifiers(in, state.identifiers);
    } else if (key == "more_items") {
      in.boolean(state.more_items);
    } else if (key == "previous") {
      read_previous(in, into.previous);
    } else {
      in.fail();
    }
  });
}

void read(JsonReader& in, PaidInvoice& into) {
  OptionalTime issued;
  in.object([&](std::string_view key) {
    if (read_event(in, key, into)) return;
    if (key == "issued") {
      read_time(in, issued);
    } else if (key == "id") {
      in.string(into.invoice);
    } else if (key == "period_end") {
      read_time(in, into.period_end);
    } else if (key == "identifiers") {
      read_identifiers(in, into.identifiers);
    } else {
      in.fail();
    }
  });
  into.issued = issued.value_or(into.created);
  if (into.period_end == UnixTime{}) in.fail();
}

void read_mode(JsonReader& in, bool& subscription) {
  std::string mode;
  in.string(mode);
  subscription = mode == "subscription";
  if (!subscription && mode != "payment") in.fail();
}

void read(JsonReader& in, SessionFact& into) {
  in.object([&](std::string_view key) {
    if (read_event(in, key, into)) return;
    if (key == "mode") {
      read_mode(in, into.subscription_mode);
    } else if (key == "paid") {
      in.boolean(into.paid);
    } else if (key == "subscription") {
      in.string(into.subscription);
    } else if (key == "payment_intent") {
      in.string(into.payment_intent);
    } else if (key == "identifiers") {
      read_identifiers(in, into.identifiers);
    } else {
      in.fail();
    }
  });
}

void read(JsonReader& in, RefundFact& into) {
  in.object([&](std::string_view key) {
    if (read_event(in, key, into)) return;
    if (key == "charge" || key == "refund") {
      into.of_charge = key == "charge";
      in.string(into.id);
    } else if (key == "full") {
      in.boolean(into.full);
    } else if (key == "returned") {
      in.boolean(into.returned);
    } else {
      in.fail();
    }
  });
  if (into.id.empty()) in.fail();
}

void read(JsonReader& in, DisputeFact& into) {
  in.object([&](std::string_view key) {
    if (read_event(in, key, into)) return;
    if (key == "id") {
      in.string(into.id);
    } else if (key == "status") {
      in.string(into.status);
    } else {
      in.fail();
    }
  });
  if (into.id.empty()) in.fail();
}

void read(JsonReader& in, SummaryFact& into) {
  in.object([&](std::string_view key) {
    if (read_event(in, key, into)) return;
    if (key == "identifiers") {
      read_identifiers(in, into.identifiers);
    } else if (key == "has_more") {
      in.boolean(into.has_more);
    } else if (key == "previous") {
      read_identifiers(in, into.previous.emplace());
    } else {
      in.fail();
    }
  });
}

template <class Fact>
bool is_complete(const Fact& fact) {
  return !fact.event.empty() && fact.created != UnixTime{};
}

template <class Fact>
void read_marker(JsonReader& in, std::optional<Fact>& into) {
  Fact& fact = into.emplace();
  in.object([&](std::string_view key) {
    if (!read_event(in, key, fact)) in.fail();
  });
  if (!is_complete(fact)) in.fail();
}

void read_granted(JsonReader& in, Source& into) {
  into.granted_until = kForever;
  in.object([&](std::string_view key) {
    if (key == "until") {
      read_time(in, into.granted_until);
    } else if (key == "identifiers") {
      read_identifiers(in, into.granted);
    } else {
      in.fail();
    }
  });
}

template <class Fact>
void read_all(JsonReader& in, std::vector<Fact>& into, std::size_t bound) {
  in.array([&] {
    if (into.size() == bound) return in.fail();
    read(in, into.emplace_back());
    if (!is_complete(into.back())) in.fail();
  });
}

void read_snapshots(JsonReader& in, std::vector<Snapshot>& into) {
  in.array([&] {
    if (into.size() == kMaxSnapshots) return in.fail();
    Snapshot snapshot;
    if (!into.empty()) {
      snapshot.state.identifiers = into.back().state.identifiers;
    }
    read(in, snapshot);
    if (!is_complete(snapshot) || snapshot.state.status.empty()) in.fail();
    into.push_back(std::move(snapshot));
  });
}

}  // namespace

std::optional<Source> Source::decode(std::string_view json) {
  JsonReader in(json);
  Source read;
  in.object([&](std::string_view key) {
    if (key == "place") {
      in.string(read.place);
    } else if (key == "snapshots") {
      read_snapshots(in, read.snapshots);
    } else if (key == "past_due") {
      read_marker(in, read.entered_past_due);
    } else if (key == "invoice") {
      entitle::read(in, read.invoice.emplace());
      if (!is_complete(*read.invoice)) in.fail();
    } else if (key == "sessions") {
      read_all(in, read.sessions, kMaxSessionFacts);
    } else if (key == "refunds") {
      read_all(in, read.refunds, kMaxRefunds);
    } else if (key == "disputes") {
      read_all(in, read.disputes, kMaxDisputes);
    } else if (key == "summaries") {
      read_all(in, read.summaries, kMaxSummaries);
    } else if (key == "deleted") {
      read_marker(in, read.deleted);
    } else if (key == "granted") {
      read_granted(in, read);
    } else {
      in.fail();
    }
  });
  if (!in.finish()) return std::nullopt;
  // Whoever wrote it, the order and the bounds are ours.
  Source canonical;
  canonical.merge(read);
  return canonical;
}

}  // namespace entitle
