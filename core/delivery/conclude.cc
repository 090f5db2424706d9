#include "core/delivery/conclude.h"

#include <algorithm>

#include "core/access/access.h"
#include "core/access/grants.h"
#include "core/access/projection.h"
#include "core/delivery/unmatched.h"
#include "core/record/keys.h"

namespace entitle {
namespace {

bool is_among(const std::vector<std::string>& ids, std::string_view id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Whether the event says that something is paid, which is what it pays for.
bool is_paid_by(const Source& source,
                const std::vector<std::string>& payments) {
  return std::any_of(source.sessions.begin(), source.sessions.end(),
                     [&](const SessionFact& fact) {
                       return is_among(payments, fact.payment_intent) ||
                              is_among(payments, fact.charge);
                     });
}

// Whether this is what the event is about: what it speaks of or what was paid
// by that (a refund that failed brings it back), and, if it only names the
// user, what came to them by that.
bool is_about(const Delivery& delivery, const PlaceReport& report,
              const std::string& source) {
  if (is_among(delivery.sources, source)) return true;
  if (delivery.sources.empty()) {
    return !report.sources_before.contains(source);
  }
  auto found = report.record.sources.find(source);
  return found != report.record.sources.end() &&
         is_paid_by(found->second, delivery.sources);
}

// Which price has which product is not told: only what a grant knows by one
// kind of name alone is sure to be another thing than what it does not know.
std::vector<Identifier> unknown_beside(const Projection& projection,
                                       const GrantMap& grants) {
  std::vector<Identifier> known, prices, products;
  for (const Identifier& one : projection.identifiers) {
    bool knows = grants.knows(one);
    if (knows) known.push_back(one);
    if (!knows && is_price(one)) prices.push_back(one);
    if (!knows && one.parts().type == Identifier::Type::product) {
      products.push_back(one);
    }
  }
  auto is_product = [](const Identifier& one) {
    return one.parts().type == Identifier::Type::product;
  };
  if (known.empty()) return {};
  if (std::all_of(known.begin(), known.end(), is_price)) return prices;
  if (std::all_of(known.begin(), known.end(), is_product)) return products;
  return {};
}

// The things that were bought with what the event opens.
void note_beside(Delivery& delivery, const PlaceReport& report,
                 const std::vector<Projection>& projections) {
  for (const Projection& projection : projections) {
    if (!is_about(delivery, report, projection.source)) continue;
    for (Identifier& one :
         unknown_beside(projection, *delivery.options.grants)) {
      delivery.result.beside.push_back(std::move(one));
    }
  }
}

bool is_unheard(const Projection& projection) {
  return projection.awaited &&
         projection.state == Projection::State::provisional;
}

// Notes what the event is about, is effective now and opens nothing. A session
// that comes before its subscription is nothing of the kind yet.
void note_unmatched(Delivery& delivery, const PlaceReport& report,
                    const std::vector<Projection>& projections) {
  DeliveryResult& result = delivery.result;
  auto opens = [&](const std::string& source) {
    return std::any_of(projections.begin(), projections.end(),
                       [&](const Projection& other) {
                         return other.source == source &&
                                opens_something(other, delivery.options);
                       });
  };
  for (const Projection& projection : projections) {
    if (!is_about(delivery, report, projection.source) ||
        !opens_nothing(projection, delivery.options) ||
        delivery.elsewhere.contains(projection.source)) {
      continue;
    }
    const bool unheard = is_unheard(projection);
    if (!unheard && opens(projection.source)) continue;
    if (delivery.ignored.contains(projection.source)) {
      result.waved_through = true;
      continue;
    }
    if (unheard) {
      if (result.awaits.empty()) result.awaits = kAwaitsSubscription;
      continue;
    }
    if (projection.awaited) result.awaits = kAwaitsUpdate;
    result.opens_nothing = true;
    result.unclear |= projection.unclear;
    if (projection.unclear) continue;
    result.unmatched.insert(result.unmatched.end(),
                            projection.identifiers.begin(),
                            projection.identifiers.end());
  }
  std::sort(result.unmatched.begin(), result.unmatched.end());
  result.unmatched.erase(
      std::unique(result.unmatched.begin(), result.unmatched.end()),
      result.unmatched.end());
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

bool takes_back(const Source& payment) {
  return std::any_of(payment.refunds.begin(), payment.refunds.end(),
                     [](const RefundFact& fact) { return fact.full; }) ||
         std::any_of(payment.disputes.begin(), payment.disputes.end(),
                     [](const DisputeFact& fact) { return fact.suspends(); });
}

// Of what the event takes back, a payment that paid nothing among `known`.
std::string unknown_payment(const Sources& said, const Sources& known) {
  for (const auto& [id, source] : said) {
    if (!takes_back(source)) continue;
    const std::string& payment = id;
    bool paid = std::any_of(known.begin(), known.end(), [&](const auto& one) {
      return is_paid_by(one.second, {payment});
    });
    if (!paid) return payment;
  }
  return {};
}

Outcome outcome_of(const PlaceReport& report, bool opens_nothing) {
  if (!report.user) {
    return report.ignored ? Outcome::ignored : Outcome::parked;
  }
  if (report.known) return Outcome::duplicate;
  if (!report.kept) return Outcome::superseded;
  return opens_nothing ? Outcome::unmatched : Outcome::applied;
}

// Of an event that comes again, what the lookup says is what became of it the
// first time.
Outcome outcome_to_look_up(const DeliveryResult& result) {
  if (result.outcome != Outcome::duplicate) return result.outcome;
  return result.opens_nothing ? Outcome::unmatched : Outcome::applied;
}

}  // namespace

std::string subject_of(const PlaceFacts& own) {
  if (!own.sources.empty()) return own.sources.begin()->first;
  return own.claims.empty() ? std::string() : own.claims.front().source;
}

bool speaks(const PlaceFacts& own) {
  return !own.claims.empty() || !own.sources.empty();
}

void conclude(Delivery& delivery, const Facts& facts, PlaceReport& report) {
  DeliveryResult& result = delivery.result;
  if (!report.email_was.empty() && report.email_was != report.email_is) {
    result.by_older_email = report.by_older_email;
  }
  if (!speaks(facts.places.back())) return;
  const DeliveryOptions& options = delivery.options;
  std::vector<Projection> projections = project(report.record.sources);
  result.ambiguous = is_ambiguous(delivery, projections);
  note_unmatched(delivery, report, projections);
  note_beside(delivery, report, projections);
  result.waved_through |= report.ignored;
  result.unknown_payment =
      unknown_payment(facts.places.back().sources, report.record.sources);
  result.outcome = outcome_of(report, result.opens_nothing);
  result.user = report.user;
  result.before = std::move(report.before);
  result.after = std::move(report.after);
  result.version = report.record.version;
  for (Entitlement& entitlement : entitlements(
           projections, *options.grants, options.policy, seconds_of(options))) {
    result.unlocks.push_back(std::move(entitlement.name));
  }
}

std::vector<LookupWrite> lookup_writes(const Delivery& delivery,
                                       const Facts& facts,
                                       const PlaceReport& report) {
  const Keys& keys = delivery.options.keys;
  const DeliveryResult& result = delivery.result;
  const PlaceFacts& own = facts.places.back();
  std::vector<LookupWrite> writes;
  // The place is found by the e-mail that counts, and by no other.
  if (own.email && !facts.email.empty() && report.email_is == facts.email) {
    writes.push_back({keys.email(facts.email),
                      email_lookup(keys, facts.email, own.place),
                      "e-mail look-up"});
  }
  if (speaks(own)) {
    LookupWrite& event = writes.emplace_back();
    event.key = keys.event(delivery.event.id);
    event.commands.push_back(event_lookup(keys, delivery.event.id,
                                          outcome_to_look_up(result), own.place,
                                          result.user));
    event.needed = "event look-up";
  }
  if (own.email && !report.email_was.empty() &&
      report.email_was != report.email_is) {
    LookupWrite& forget = writes.emplace_back();
    forget.key = keys.email(report.email_was);
    forget.commands.push_back(email_forget(keys, report.email_was, own.place));
  }
  auto count = [&](WebhookCount what) {
    writes.push_back(
        {keys.webhook(), webhook_count(keys, what, delivery.event.id,
                                       seconds_of(delivery.options))});
  };
  // What an operator moves contradicts nobody.
  if (result.owner_changed && delivery.event.by.empty()) {
    count(WebhookCount::conflict);
  }
  if (facts.assumes_end && result.outcome != Outcome::duplicate) {
    count(WebhookCount::assumed_end);
  }
  return writes;
}

}  // namespace entitle
