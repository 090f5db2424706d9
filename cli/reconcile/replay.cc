#include "cli/reconcile/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/base/stop.h"
#include "cli/stripe/list.h"
#include "cli/stripe/told.h"
#include "core/delivery/delivery.h"
#include "core/stripe/event.h"
#include "core/stripe/event_types.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

void check_mode(const Context& context, const EventHead& head) {
  if (head.livemode == (context.mode() == Mode::live)) return;
  throw Stop(Exit::refused,
             fmt::format("{} is a {} event, and this is {}", head.id,
                         head.livemode ? "live" : "test", context.space()));
}

// Those of one page that Redis has never heard of stay.
void leave_missing(const Context& context, std::vector<EventSeen>& page) {
  std::vector<Command> commands;
  for (const EventSeen& event : page) {
    commands.push_back({"EXISTS", context.keys().event(event.id)});
  }
  const std::vector<Reply> replies =
      context.redis().ask_each(std::move(commands));
  std::size_t i = 0;
  std::erase_if(page,
                [&](const EventSeen&) { return replies[i++].integer == 1; });
}

bool opens_nothing(const Context& context, const Facts& facts) {
  if (context.grants() == nullptr) return false;
  return std::none_of(facts.identifiers.begin(), facts.identifiers.end(),
                      [&](const Identifier& identifier) {
                        return context.grants()->knows(identifier);
                      });
}

}  // namespace

EventsFound find_events(const Context& context, StripeApi& stripe,
                        UnixTime since, bool missing) {
  EventsFound found;
  StripeList list(stripe, "/v1/events",
                  fmt::format("created[gte]={}&", to_unix(since)));
  while (auto page = list.next()) {
    std::vector<EventSeen> some;
    for (const json::Node* member : page->members) {
      ParsedEvent parsed = event_at(member);
      if (!parsed.event || parsed.event->thin) continue;
      check_mode(context, parsed.event->head);
      if (facts_function(parsed.event->head.type) == nullptr) continue;
      const EventHead& head = parsed.event->head;
      some.push_back({head.id, head.type, head.created});
    }
    found.looked += static_cast<std::int64_t>(some.size());
    if (missing) leave_missing(context, some);
    found.events.insert(found.events.end(), some.begin(), some.end());
  }
  std::reverse(found.events.begin(), found.events.end());
  return found;
}

std::optional<StripeReply> event_of(StripeApi& stripe, const std::string& id) {
  return stripe.find("/v1/events/" + url_encoded(id));
}

Applied apply(const Context& context, StripeApi& stripe,
              const StripeReading& reading, const StripeReply& reply) {
  ParsedEvent parsed = event_at(reply.document.root());
  if (!parsed.event) {
    throw Stop(Exit::cannot_tell, "no event of Stripe's: " + parsed.detail);
  }
  const Event& event = *parsed.event;
  check_mode(context, event.head);
  if (!event.head.account.is_own()) return {Outcome::account_not_allowed, {}};
  FactsOptions options = reading.options();
  Facts facts = facts_of(event, options);
  std::optional<StripeQuestion> question =
      StripeQuestion::about(event, facts, opens_nothing(context, facts));
  if (question && ask(stripe, *question)) {
    options.asked = &question->list();
    facts = facts_of(event, options);
  }
  DeliveryOptions delivery = context.delivery_options();
  delivery.one_server = context.redis().one_server();
  DeliveryResult result =
      context.redis().hold(deliver(std::move(facts), event.head, delivery));
  if (result.outcome == Outcome::not_stored) {
    throw Stop(Exit::cannot_tell, fmt::format("{} cannot be stored: {}",
                                              event.head.id, result.error));
  }
  return {result.outcome, std::move(result.user)};
}

}  // namespace entitle::cli
