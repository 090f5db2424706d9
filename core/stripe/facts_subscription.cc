// customer.subscription.*: full snapshots, the truth about a subscription.
// Source: https://docs.stripe.com/api/subscriptions/object; where fields moved
// in 2025-03-31.basil both places are read, whatever api_version says.
#include <algorithm>
#include <chrono>

#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/event_types.h"
#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxStatusBytes = 64;

using Items = std::vector<const json::Node*>;

Items previous_items(const Reading& reading) {
  const json::Node* items = stripe::list(reading.event.previous, "items");
  json::Children children(items);
  return {children.begin(), children.end()};
}

// The greatest of the items' period ends and the old top-level one.
std::optional<UnixTime> period_end_of(const json::Node* said,
                                      const Items& items) {
  std::optional<UnixTime> end = stripe::time(said, "current_period_end");
  for (const json::Node* item : items) {
    end = std::max(end, stripe::time(item, "current_period_end"));
  }
  return end;
}

// Of a metered item there is no quantity; of one that is 0 nobody has any.
bool is_held(const json::Node* item) {
  return json::integer(item, "quantity").value_or(1) > 0;
}

const json::Node* price_of(const json::Node* item) {
  // Before prices there were plans; where both are sent they agree.
  const json::Node* price = json::member(item, "price");
  return json::is_object(price) ? price : json::member(item, "plan");
}

void add_items(const Items& items, IdentifierList& list) {
  for (const json::Node* item : items) {
    if (list.truncated()) break;
    if (is_held(item)) list.add_price(price_of(item));
  }
}

// Each item with its own end, or that of the subscription. `all`: those of the
// whole subscription.
ItemPeriods periods_of(const Reading& reading, const json::Node* said,
                       const Items& members,
                       const std::vector<Identifier>& all) {
  ItemPeriods items;
  for (const json::Node* item : members) {
    IdentifierList list(reading.head().account);
    if (is_held(item)) list.add_price(price_of(item));
    ItemPeriod one{std::move(list).sorted(),
                   stripe::time(item, "current_period_end")};
    one.keep_only(all);
    if (!one.end) one.end = stripe::time(said, "current_period_end");
    items.push_back(std::move(one));
  }
  return joined_items(std::move(items));
}

// How long one period of this price is at most; null: it does not say.
std::optional<Seconds> interval_of(const json::Node* price) {
  const json::Node* recurring = json::member(price, "recurring");
  if (!json::is_object(recurring)) recurring = price;  // a plan
  std::string_view unit = json::string(recurring, "interval");
  int days = unit == "day"     ? 1
             : unit == "week"  ? 7
             : unit == "month" ? 31
             : unit == "year"  ? 366
                               : 0;
  std::int64_t count = json::integer(recurring, "interval_count").value_or(1);
  if (days == 0 || count < 1 || count > 156) return std::nullopt;
  return std::chrono::hours(24 * days * count);
}

// Stripe has always said when a period ends. Should that get another name one
// day, nobody is let in for ever, and nobody who pays is shut out at once.
UnixTime assumed_end(const Reading& reading, const json::Node* said) {
  constexpr Seconds kOtherwise = std::chrono::hours(24 * 35);
  std::optional<Seconds> longest;
  for (const json::Node* item : json::Children(stripe::list(said, "items"))) {
    for (const char* key : {"price", "plan"}) {
      longest = std::max(longest, interval_of(json::member(item, key)));
    }
  }
  return reading.head().created + longest.value_or(kOtherwise);
}

// A pause may say less one day; it is one all the same.
std::string behavior_of(const json::Node* pause) {
  if (!json::is_object(pause)) return {};
  std::string_view behavior = json::string(pause, "behavior");
  return behavior.empty() ? "unknown"
                          : std::string(behavior.substr(0, kMaxStatusBytes));
}

bool has_no_end(const SubscriptionState& state) {
  if (state.period_end) return false;
  return state.status == "active" ||
         (state.status == "trialing" && !state.trial_end);
}

SubscriptionState state_of(const Reading& reading) {
  const json::Node* said = reading.object();
  SubscriptionState state;
  state.status = json::string(said, "status").substr(0, kMaxStatusBytes);
  const Listing items = listing(reading, "items", Listed::items);
  state.period_end = period_end_of(said, items.members);
  state.trial_end = stripe::time(said, "trial_end");
  state.cancel_at = stripe::time(said, "cancel_at");
  state.cancel_at_period_end =
      json::boolean(said, "cancel_at_period_end").value_or(false);
  state.ended_at = stripe::time(said, "ended_at");
  const json::Node* pause = json::member(said, "pause_collection");
  state.pause_collection = behavior_of(pause);
  state.resumes_at = stripe::time(pause, "resumes_at");
  IdentifierList list(reading.head().account);
  list.add_metadata(reading, json::member(said, "metadata"));
  add_items(items.members, list);
  state.more_items = list.truncated() || items.has_more;
  state.identifiers = std::move(list).sorted();
  state.items = periods_of(reading, said, items.members, state.identifiers);
  for (ItemPeriod& item : state.items) {
    if (!item.end) item.end = state.period_end;
  }
  if (state.items.size() == 1 && state.items[0].end == state.period_end) {
    state.items.clear();
  }
  if (has_no_end(state)) state.assumed_end = assumed_end(reading, said);
  return state;
}

void add_keys(const Reading& reading, const Items& items, Source& source) {
  for (const json::Node* item : items) {
    if (is_held(item)) add_lookup_key(reading, price_of(item), source);
  }
}

// What runs, whether it is paid for or not: the status says that.
void add_running(const Reading& reading, const Items& items, Source& source) {
  const json::Node* said = reading.object();
  for (const json::Node* item : items) {
    if (!is_held(item)) continue;
    IdentifierList list(reading.head().account);
    list.add_price(price_of(item));
    auto time = [&](const char* key) {
      std::optional<UnixTime> own = stripe::time(item, key);
      return (own ? own : stripe::time(said, key)).value_or(UnixTime{});
    };
    PeriodFact period;
    period.from = time("current_period_start");
    period.until = time("current_period_end");
    period.quantity = quantity_of(item);
    add_periods(reading, std::move(list).sorted(), period, source);
  }
}

// Null in previous_attributes means "had none", absence "did not change".
void read_previous_time(const json::Node* previous, const char* key,
                        std::optional<std::optional<UnixTime>>& into) {
  const json::Node* value = json::member(previous, key);
  if (json::is_null(value)) {
    into.emplace(std::nullopt);
  } else if (std::optional<UnixTime> time = stripe::time(previous, key)) {
    into.emplace(time);
  }
}

// Of a pause that another one replaced only what changed is there.
void read_previous_pause(const json::Node* previous, PreviousState& into) {
  const json::Node* pause = json::member(previous, "pause_collection");
  if (json::is_null(pause)) {
    into.pause_collection.emplace();
    into.resumes_at.emplace(std::nullopt);
  } else if (json::is_object(pause)) {
    if (json::member(pause, "behavior") != nullptr) {
      into.pause_collection = behavior_of(pause);
    }
    read_previous_time(pause, "resumes_at", into.resumes_at);
  }
}

PreviousState previous_of(const Reading& reading) {
  const json::Node* said = reading.event.previous;
  PreviousState previous;
  std::string_view status = json::string(said, "status");
  if (!status.empty()) previous.status = status.substr(0, kMaxStatusBytes);
  if (std::optional<UnixTime> end =
          period_end_of(said, previous_items(reading))) {
    previous.period_end.emplace(end);
  }
  read_previous_time(said, "trial_end", previous.trial_end);
  read_previous_time(said, "cancel_at", previous.cancel_at);
  read_previous_time(said, "ended_at", previous.ended_at);
  read_previous_pause(said, previous);
  previous.cancel_at_period_end = json::boolean(said, "cancel_at_period_end");
  if (Items items = previous_items(reading); !items.empty()) {
    IdentifierList list(reading.head().account);
    add_items(items, list);
    if (!list.truncated()) {
      previous.identifiers = std::move(list).sorted();
      ItemPeriods before =
          periods_of(reading, said, items, *previous.identifiers);
      bool told = std::all_of(
          before.begin(), before.end(),
          [](const ItemPeriod& item) { return item.end.has_value(); });
      if (before.size() > 1 && told) previous.items = std::move(before);
    }
  }
  const json::Node* names =
      json::member(json::member(said, "metadata"), "entitlements");
  if (json::is_string(names) || json::is_null(names)) {
    IdentifierList list(reading.head().account);
    list.add_names(json::member(said, "metadata"));
    if (!list.truncated()) previous.names = std::move(list).sorted();
  }
  previous.tags = previous_tags(reading, json::member(said, "metadata"));
  return previous;
}

// Neither is what is metered, nor what is priced in tiers: there it is null.
bool is_free(const Items& items) {
  return !items.empty() &&
         std::all_of(items.begin(), items.end(), [](const json::Node* item) {
           const json::Node* price = price_of(item);
           std::optional<std::int64_t> amount =
               json::integer(price, "unit_amount");
           if (!amount) amount = json::integer(price, "amount");
           return amount == 0;
         });
}

bool turned_past_due(const Snapshot& snapshot) {
  if (snapshot.state.status != "past_due") return false;
  if (snapshot.type == SnapshotType::created) return true;
  return snapshot.previous.status && *snapshot.previous.status != "past_due";
}

void note_what_is_odd(const Reading& reading, const Snapshot& snapshot,
                      Facts& facts) {
  if (!snapshot.terminal() && !is_known_status(snapshot.state.status)) {
    add_unknown_word(facts, "the subscription's status", snapshot.state.status);
  }
  if (snapshot.state.assumed_end) {
    facts.warns = facts.assumes_end = true;
    add_note(facts,
             "the subscription does not say when its period ends, so its end "
             "is assumed: Stripe may have renamed a field, look for a newer "
             "entitle");
  }
  const Listing items = listing(reading, "items", Listed::items);
  if (!items.members.empty() &&
      std::none_of(items.members.begin(), items.members.end(), is_held)) {
    add_note(facts, "of each of its items there are none: quantity 0");
  }
}

void subscription_facts(const Reading& reading, SnapshotType type,
                        Facts& facts) {
  const json::Node* said = reading.object();
  std::string_view id = stripe::id(said, "id");
  facts.customer = customer_place(reading);
  if (id.empty() || facts.customer.empty()) {
    facts.warns = true;
    add_note(facts, "the subscription has no id or no customer");
    return;
  }

  UserHints hints;
  hints.metadata = json::member(said, "metadata");
  hints.metadata_kind = ClaimKind::subscription_metadata;
  hints.about = {reading.qualified(id)};
  PlaceFacts own = own_place(reading, facts.customer, hints, facts);

  Snapshot snapshot;
  snapshot.event = reading.head().id;
  snapshot.type = type;
  snapshot.created = reading.head().created;
  snapshot.state = state_of(reading);
  snapshot.free = !snapshot.state.more_items &&
                  is_free(listing(reading, "items", Listed::items).members);
  if (type == SnapshotType::deleted && snapshot.state.status.empty()) {
    snapshot.state.status = "canceled";
  }
  if (snapshot.state.status.empty()) snapshot.state.status = kUnsaid;
  if (type == SnapshotType::updated) snapshot.previous = previous_of(reading);
  if (!snapshot.terminal()) facts.identifiers = snapshot.state.identifiers;
  note_what_is_odd(reading, snapshot, facts);
  Source& source = own.sources[reading.qualified(id)];
  source.place = own.place;
  if (turned_past_due(snapshot)) {
    source.entered_past_due = {snapshot.event, snapshot.created};
  }
  source.snapshots.insert(std::move(snapshot));
  const Listing items = listing(reading, "items", Listed::items);
  add_keys(reading, items.members, source);
  add_running(reading, items.members, source);
  add_keys(reading, previous_items(reading), source);
  facts.places.push_back(std::move(own));
}

}  // namespace

void subscription_created_facts(const Reading& reading, Facts& facts) {
  subscription_facts(reading, SnapshotType::created, facts);
}

void subscription_updated_facts(const Reading& reading, Facts& facts) {
  subscription_facts(reading, SnapshotType::updated, facts);
}

void subscription_deleted_facts(const Reading& reading, Facts& facts) {
  subscription_facts(reading, SnapshotType::deleted, facts);
}

// trial_will_end, pending_update_*, paused, resumed: a snapshot like any, but
// without previous_attributes, so never ordered before an `updated` of the
// same second.
void subscription_notice_facts(const Reading& reading, Facts& facts) {
  subscription_facts(reading, SnapshotType::notice, facts);
}

}  // namespace entitle
