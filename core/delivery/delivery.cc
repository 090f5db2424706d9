#include "core/delivery/delivery.h"

#include <algorithm>

#include "core/access/access.h"
#include "core/access/grants.h"
#include "core/access/projection.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/record/keys.h"

namespace entitle {
namespace {

bool known_to(const GrantMap& grants, const Identifier& identifier) {
  return !grants.entitlements_of(identifier).empty();
}

// The identifiers of what the event speaks of and what is effective now, when
// no grant knows any of them.
std::vector<Identifier> unmatched_of(
    const Delivery& delivery, const std::vector<Projection>& projections) {
  std::vector<Identifier> unmatched;
  const DeliveryOptions& options = delivery.options;
  for (const Projection& projection : projections) {
    bool ours = std::find(delivery.sources.begin(), delivery.sources.end(),
                          projection.source) != delivery.sources.end();
    if (!ours) continue;
    Verdict verdict = judge(projection, options.policy, seconds_of(options));
    if (!verdict.effective) continue;
    for (const Identifier& identifier : projection.identifiers) {
      if (known_to(*options.grants, identifier)) return {};
      unmatched.push_back(identifier);
    }
  }
  std::sort(unmatched.begin(), unmatched.end());
  unmatched.erase(std::unique(unmatched.begin(), unmatched.end()),
                  unmatched.end());
  return unmatched;
}

bool is_ambiguous(const Delivery& delivery,
                  const std::vector<Projection>& projections) {
  return std::any_of(
      projections.begin(), projections.end(), [&](const Projection& p) {
        return p.ambiguous &&
               std::find(delivery.sources.begin(), delivery.sources.end(),
                         p.source) != delivery.sources.end();
      });
}

Outcome outcome_of(const PlaceReport& report,
                   const std::vector<Identifier>& unmatched) {
  if (!report.user) return Outcome::parked;
  if (report.known) return Outcome::duplicate;
  if (!report.kept) return Outcome::superseded;
  return unmatched.empty() ? Outcome::applied : Outcome::unmatched;
}

void conclude(Delivery& delivery, PlaceReport report) {
  DeliveryResult& result = delivery.result;
  const DeliveryOptions& options = delivery.options;
  std::vector<Projection> projections = project(report.record.sources);
  result.ambiguous = is_ambiguous(delivery, projections);
  result.unmatched = unmatched_of(delivery, projections);
  result.outcome = outcome_of(report, result.unmatched);
  result.user = report.user;
  result.before = std::move(report.before);
  result.after = std::move(report.after);
  result.version = report.record.version;
  for (Entitlement& entitlement : entitlements(
           projections, *options.grants, options.policy, seconds_of(options))) {
    result.unlocks.push_back(std::move(entitlement.name));
  }
}

// Of an event that comes again, what the lookup says is what became of it the
// first time.
Outcome outcome_to_look_up(const DeliveryResult& result) {
  if (result.outcome != Outcome::duplicate) return result.outcome;
  return result.unmatched.empty() ? Outcome::applied : Outcome::unmatched;
}

Conversation<Progress> write_lookups(Delivery& delivery, const Facts& facts) {
  const Keys& keys = delivery.options.keys;
  const std::string& place = facts.places.back().place;
  if (delivery.result.outcome != Outcome::ignored) {
    std::vector<Command> commands;
    commands.push_back(event_lookup(keys, delivery.event.id,
                                    outcome_to_look_up(delivery.result), place,
                                    delivery.result.user));
    auto sending = delivery.redis.send_last(keys.event(delivery.event.id),
                                            std::move(commands));
    co_await sending;
  }
  if (!facts.email.empty() && delivery.result.outcome != Outcome::duplicate) {
    auto sending = delivery.redis.send_last(
        keys.email(facts.email), email_lookup(keys, facts.email, place));
    co_await sending;
  }
  co_return Progress::done;
}

bool says_nothing(const PlaceFacts& facts) {
  return facts.claims.empty() && facts.sources.empty();
}

}  // namespace

Conversation<DeliveryResult> deliver(Facts facts, EventHead event,
                                     DeliveryOptions options) {
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait), {}, {}};
  delivery.result.outcome = Outcome::ignored;
  if (facts.places.empty()) co_return std::move(delivery.result);

  const PlaceFacts& own = facts.places.back();
  for (const auto& [id, source] : own.sources) delivery.sources.push_back(id);
  PlaceReport report;
  for (const PlaceFacts& place : facts.places) {
    if (says_nothing(place)) continue;
    report = PlaceReport();
    auto delivering = deliver_to_place(delivery, place, report);
    Progress progress = co_await delivering;
    if (progress == Progress::failed) {
      delivery.result.outcome = Outcome::not_stored;
      co_return std::move(delivery.result);
    }
  }
  if (!says_nothing(own)) conclude(delivery, std::move(report));
  auto writing = write_lookups(delivery, facts);
  co_await writing;
  co_return std::move(delivery.result);
}

}  // namespace entitle
