#include "cli/stripe/told.h"

#include <algorithm>
#include <utility>

#include "core/source/resolve.h"
#include "core/source/source.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

Event event_of(std::string_view type, const json::Node* object, UnixTime date) {
  Event event;
  event.head.id = std::string(kToldBegin);
  event.head.id += stripe::id(object, "id");
  event.head.id += '_' + std::to_string(to_unix(date));
  event.head.type = type;
  event.head.created = date;
  event.head.livemode = json::boolean(object, "livemode").value_or(false);
  event.object = object;
  return event;
}

// Since when it is past due nobody says, but what is charged by itself is since
// its period began. Without that, each import would begin its grace anew.
std::optional<UnixTime> past_due_since(const json::Node* subscription) {
  if (json::string(subscription, "status") != "past_due" ||
      json::string(subscription, "collection_method") == "send_invoice") {
    return std::nullopt;
  }
  std::optional<UnixTime> since =
      stripe::time(subscription, "current_period_start");
  for (const json::Node* item :
       json::Children(stripe::list(subscription, "items"))) {
    since = std::max(since, stripe::time(item, "current_period_start"));
  }
  return since;
}

// No event said it.
void mark_as_told(Source& source, std::optional<UnixTime> past_due) {
  BoundedSet<Snapshot> snapshots;
  for (Snapshot snapshot : source.snapshots) {
    if (past_due) source.entered_past_due = {snapshot.event, *past_due};
    snapshot.type = SnapshotType::told;
    snapshots.insert(std::move(snapshot));
  }
  source.snapshots = std::move(snapshots);
}

}  // namespace

Told told(std::string_view type, const json::Node* object, UnixTime date,
          const FactsOptions& options) {
  const Event event = event_of(type, object, date);
  Told told{std::string(stripe::id(object, "id")), event.head,
            facts_of(event, options)};
  std::optional<UnixTime> past_due = past_due_since(object);
  if (past_due) past_due = std::min(*past_due, date);
  for (PlaceFacts& place : told.facts.places) {
    for (auto& [id, source] : place.sources) mark_as_told(source, past_due);
  }
  told.head.type = "reconcile";
  return told;
}

void date_past_due(Told& told, const Sources& kept) {
  for (PlaceFacts& place : told.facts.places) {
    for (auto& [id, source] : place.sources) {
      const auto known = kept.find(id);
      if (!source.entered_past_due || known == kept.end()) continue;
      const auto before = resolve(known->second);
      if (!before || !before->past_due_since || before->paid_since) continue;
      UnixTime& since = source.entered_past_due->created;
      since = std::min(since, *before->past_due_since);
    }
  }
}

std::optional<StripeQuestion> question_about(const Told& told,
                                             const json::Node* object,
                                             bool opens_nothing) {
  Event event;
  event.head = told.head;
  event.object = object;
  return StripeQuestion::about(event, told.facts, opens_nothing);
}

Told told_that_it_is_gone(const std::string& source, const std::string& place,
                          UnixTime date) {
  Told told;
  told.id = source;
  told.head.id =
      std::string(kToldBegin) + source + '_' + std::to_string(to_unix(date));
  told.head.type = "reconcile";
  told.head.created = date;
  Snapshot gone;
  gone.event = told.head.id;
  gone.type = SnapshotType::told;
  gone.created = date;
  gone.state.status = "canceled";
  gone.state.ended_at = date;
  PlaceFacts own{place, {}, {}};
  own.sources[source].place = place;
  own.sources[source].snapshots.insert(std::move(gone));
  told.facts.customer = place;
  told.facts.places.push_back(std::move(own));
  return told;
}

Told told_of_subscription(const json::Node* object, UnixTime date,
                          const FactsOptions& options) {
  Told all = told("customer.subscription.updated", object, date, options);
  const json::Node* customer = json::member(object, "customer");
  if (all.facts.places.empty() || !json::is_object(customer) ||
      json::boolean(customer, "deleted").value_or(false)) {
    return all;
  }
  Told of_customer = told("customer.updated", customer, date, options);
  if (of_customer.facts.places.empty()) return all;
  PlaceFacts& own = all.facts.places.back();
  PlaceFacts& also = of_customer.facts.places.back();
  if (own.place != also.place) return all;
  for (Claim& claim : also.claims) own.claims.push_back(std::move(claim));
  own.email = std::move(also.email);
  all.facts.email = std::move(of_customer.facts.email);
  return all;
}

}  // namespace entitle::cli
