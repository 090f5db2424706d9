#include "core/delivery/delivery.h"

#include <algorithm>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
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

// Whether this is what the event is about: what it speaks of or pays for, and,
// if it only names the user, what came to them by that.
bool is_about(const Delivery& delivery, const PlaceReport& report,
              const std::string& source) {
  if (is_among(delivery.sources, source)) return true;
  if (delivery.sources.empty()) {
    return !report.sources_before.contains(source);
  }
  auto found = report.record.sources.find(source);
  return found != report.record.sources.end() &&
         is_paid_by(found->second, delivery.payments);
}

// Notes what the event is about, is effective now and opens nothing.
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
        opens(projection.source)) {
      continue;
    }
    if (delivery.ignored.contains(projection.source)) {
      result.waved_through = true;
      continue;
    }
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
  for (const auto& [payment, source] : said) {
    if (!takes_back(source)) continue;
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

void conclude(Delivery& delivery, const Sources& said, PlaceReport report) {
  DeliveryResult& result = delivery.result;
  const DeliveryOptions& options = delivery.options;
  std::vector<Projection> projections = project(report.record.sources);
  result.ambiguous = is_ambiguous(delivery, projections);
  note_unmatched(delivery, report, projections);
  result.waved_through |= report.ignored;
  result.unknown_payment = unknown_payment(said, report.record.sources);
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

// Of an event that comes again, what the lookup says is what became of it the
// first time.
Outcome outcome_to_look_up(const DeliveryResult& result) {
  if (result.outcome != Outcome::duplicate) return result.outcome;
  return result.opens_nothing ? Outcome::unmatched : Outcome::applied;
}

// The place is found by the e-mail that counts, and by no other.
Conversation<Progress> write_email_lookup(Delivery& delivery, std::string email,
                                          std::string place,
                                          const PlaceReport& report) {
  const Keys& keys = delivery.options.keys;
  if (!email.empty() && report.email_is == email) {
    auto writing = delivery.redis.write(keys.email(email),
                                        email_lookup(keys, email, place));
    CommitReply reply = co_await writing;
    if (reply.status != Commit::committed) {
      delivery.result.error = "e-mail look-up: " + reply.error;
      co_return Progress::failed;
    }
  }
  if (!report.email_was.empty() && report.email_was != report.email_is) {
    std::vector<Command> commands;
    commands.push_back(email_forget(keys, report.email_was, place));
    auto forgetting =
        delivery.redis.send(keys.email(report.email_was), std::move(commands));
    co_await forgetting;
  }
  co_return Progress::done;
}

Conversation<Progress> count(Delivery& delivery, WebhookCount what) {
  const Keys& keys = delivery.options.keys;
  auto counting = delivery.redis.send_last(
      keys.webhook(), webhook_count(keys, what, delivery.event.id,
                                    seconds_of(delivery.options)));
  co_await counting;
  co_return Progress::done;
}

Conversation<Progress> write_lookups(Delivery& delivery, const Facts& facts,
                                     const PlaceReport& report) {
  const Keys& keys = delivery.options.keys;
  const std::string& place = facts.places.back().place;
  if (facts.places.back().email) {
    auto writing = write_email_lookup(delivery, facts.email, place, report);
    Progress progress = co_await writing;
    if (progress == Progress::failed) co_return progress;
  }
  if (delivery.result.owner_changed) {
    auto counting = count(delivery, WebhookCount::conflict);
    co_await counting;
  }
  if (facts.assumes_end && delivery.result.outcome != Outcome::duplicate) {
    auto counting = count(delivery, WebhookCount::assumed_end);
    co_await counting;
  }
  const PlaceFacts& own = facts.places.back();
  if (own.claims.empty() && own.sources.empty()) co_return Progress::done;
  std::vector<Command> commands;
  commands.push_back(event_lookup(keys, delivery.event.id,
                                  outcome_to_look_up(delivery.result), place,
                                  delivery.result.user));
  auto sending = delivery.redis.send_last(keys.event(delivery.event.id),
                                          std::move(commands));
  std::vector<Reply> replies = co_await sending;
  if (!replies.empty() && replies.back().is_error()) {
    delivery.result.error = "event look-up: " + replies.back().text;
    co_return Progress::failed;
  }
  co_return Progress::done;
}

// Whose owner is told: that of what the event speaks of, else of what it
// claims.
std::string subject_of(const PlaceFacts& own) {
  if (!own.sources.empty()) return own.sources.begin()->first;
  return own.claims.empty() ? std::string() : own.claims.front().source;
}

}  // namespace

Conversation<DeliveryResult> deliver(Facts facts, EventHead event,
                                     DeliveryOptions options) {
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  delivery.result.outcome = Outcome::ignored;
  if (facts.places.empty()) co_return std::move(delivery.result);

  const PlaceFacts& own = facts.places.back();
  for (const auto& [id, source] : own.sources) {
    delivery.sources.push_back(id);
    bool pays = !source.sessions.empty() && source.sessions.front().paid;
    if (pays) delivery.payments.push_back(id);
  }
  delivery.about = subject_of(own);
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
  bool speaks = !own.claims.empty() || !own.sources.empty();
  if (!report.email_was.empty() && report.email_was != report.email_is) {
    delivery.result.by_older_email = report.by_older_email;
  }
  if (speaks) conclude(delivery, own.sources, report);
  auto writing = write_lookups(delivery, facts, report);
  Progress progress = co_await writing;
  if (progress == Progress::failed) {
    delivery.result.outcome = Outcome::not_stored;
  }
  co_return std::move(delivery.result);
}

}  // namespace entitle
