// entitlectl replay: Stripe's events again.
#include "cli/reconcile/replay.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "cli/base/progress.h"
#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/base/when.h"
#include "cli/command/stripe.h"
#include "cli/stripe/webhook.h"
#include "core/json/tree.h"
#include "core/stripe/event.h"

namespace entitle::cli {
namespace {

struct Replayed {
  EventSeen event;
  std::string outcome;  // empty: not yet
  std::string user;     // or what else there is to say
  bool settled = false;
};

bool is_settled(std::string_view outcome) {
  for (std::string_view fine :
       {"applied", "duplicate", "superseded", "ignored"}) {
    if (outcome == fine) return true;
  }
  return false;
}

std::vector<EventSeen> by_ids(const std::vector<std::string>& ids) {
  std::vector<EventSeen> events;
  for (const std::string& id : ids) {
    if (!id.starts_with("evt_")) {
      throw Stop(Exit::usage,
                 fmt::format("\"{}\" is no event, evt_...", printable(id)));
    }
    events.push_back({id, {}, {}});
  }
  return events;
}

EventsFound find(const Context& context, StripeApi& stripe,
                 const ReplayOptions& options) {
  if (!options.ids.empty()) {
    EventsFound found{by_ids(options.ids), 0};
    found.looked = static_cast<std::int64_t>(found.events.size());
    return found;
  }
  UnixTime since = context.now() - kStripeKeepsEvents;
  if (!options.since.empty()) {
    const UnixTime wanted = time_since(options.since, context.now());
    if (wanted < since) {
      throw Stop(Exit::usage,
                 "Stripe lists its events for 30 days: what is older, "
                 "\"entitlectl reconcile\" finds");
    }
    since = wanted;
  }
  return find_events(context, stripe, since, options.missing);
}

// --- through the whole route -------------------------------------------------

class Route {
 public:
  Route(const Context& context, const ReplayOptions& options)
      : url_(options.through),
        secret_(webhook_secrets(context, options.secret_file).front()) {}

  void send(const StripeReply& event, Replayed& replayed) const {
    const UnixTime now =
        std::chrono::floor<Seconds>(std::chrono::system_clock::now());
    const HttpAnswer answer =
        post_event(url_, event.body, signature_of(event.body, secret_, now));
    if (answer.status == 0) {
      throw Stop(Exit::cannot_tell,
                 fmt::format("{} does not answer: {}", url_, answer.error));
    }
    json::Error error;
    const auto said = json::parse(answer.body, 16, error);
    const json::Node* root = said ? said->root() : nullptr;
    replayed.outcome = json::string(root, "outcome");
    const std::string_view refused = json::string(root, "error");
    if (replayed.outcome.empty()) {
      replayed.outcome =
          refused.empty() ? std::to_string(answer.status) : refused;
    }
    replayed.settled = answer.status == 200 && is_settled(replayed.outcome);
    if (!answer.location.empty()) {
      replayed.user = "a redirect to " + printable(answer.location);
    }
  }

 private:
  std::string url_;
  std::string secret_;
};

// --- one after the other -----------------------------------------------------

void take_head(const StripeReply& reply, EventSeen& event) {
  const ParsedEvent parsed = event_at(reply.document.root());
  if (!parsed.event) return;
  event.type = parsed.event->head.type;
  event.created = parsed.event->head.created;
}

Replayed replay_one(const Context& context, StripeApi& stripe,
                    const StripeReading& reading, const Route* route,
                    const EventSeen& event) {
  Replayed replayed{event, {}, {}, false};
  const std::optional<StripeReply> reply = event_of(stripe, event.id);
  if (!reply) {
    replayed.outcome = "unknown";
    replayed.user = "Stripe has it no more: entitlectl reconcile";
    return replayed;
  }
  take_head(*reply, replayed.event);
  if (route != nullptr) {
    route->send(*reply, replayed);
    return replayed;
  }
  const Applied applied = apply(context, stripe, reading, *reply);
  replayed.outcome = name(applied.outcome);
  replayed.settled = is_settled(replayed.outcome);
  if (applied.user) replayed.user = applied.user->str();
  return replayed;
}

std::string text_of(const std::vector<Replayed>& all) {
  Table table({"CREATED", "EVENT", "TYPE", "OUTCOME", "USER"});
  for (const Replayed& one : all) {
    table.add({one.event.created == UnixTime{}
                   ? "-"
                   : text_of_time(one.event.created),
               printable(one.event.id),
               one.event.type.empty() ? "-" : printable(one.event.type),
               one.outcome.empty() ? "-" : printable(one.outcome),
               one.user.empty() ? "-" : printable(one.user)});
  }
  return table.text();
}

std::string json_of(const Context& context, const EventsFound& found,
                    const std::vector<Replayed>& all) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.number("looked", found.looked).key("events").begin_array();
  for (const Replayed& one : all) {
    out.begin_object()
        .text("event", printable(one.event.id))
        .text("type", printable(one.event.type))
        .number("created", to_unix(one.event.created));
    if (!one.outcome.empty()) out.text("outcome", printable(one.outcome));
    if (!one.user.empty()) out.text("user", printable(one.user));
    out.end_object();
  }
  out.end_array().end_object();
  return text;
}

std::string text_of_sums(const std::vector<Replayed>& all) {
  std::map<std::string, int> sums;
  for (const Replayed& one : all) sums[one.outcome]++;
  std::vector<std::string> words;
  for (const auto& [outcome, count] : sums) {
    words.push_back(fmt::format("{} {}", count, printable(outcome)));
  }
  return listed(words);
}

void check(const ReplayOptions& options) {
  const bool list = options.missing || !options.since.empty();
  if (list == options.ids.empty()) return;
  throw Stop(Exit::usage,
             "replay takes either events, evt_..., or --missing, or --since");
}

void agree_to(const Context& context, const ReplayOptions& options,
              const EventsFound& found) {
  if (found.events.empty()) return;
  std::vector<Replayed> all;
  for (const EventSeen& event : found.events) all.push_back({event, {}, {}});
  agree(text_of(all) + fmt::format("{} events of Stripe's, {}.\n", all.size(),
                                   options.through.empty()
                                       ? "into " + context.space()
                                       : "to " + options.through),
        options);
}

}  // namespace

Answer replay(const Context& context, const ReplayOptions& options,
              bool as_json) {
  check(options);
  StripeApi stripe(options.stripe);
  const StripeReading reading(context);
  std::optional<Route> route;
  if (!options.through.empty()) route.emplace(context, options);
  const EventsFound found = find(context, stripe, options);
  agree_to(context, options, found);
  std::vector<Replayed> all;
  Answer answer;
  Progress progress("events", static_cast<std::int64_t>(found.events.size()));
  for (const EventSeen& event : found.events) {
    all.push_back(
        replay_one(context, stripe, reading, route ? &*route : nullptr, event));
    if (!all.back().settled) answer.how = Exit::found;
    progress.add(1);
  }
  if (as_json) {
    answer.text = json_of(context, found, all);
    return answer;
  }
  if (all.empty()) {
    answer.text = fmt::format(
        "Stripe lists {} events that change access, and {} knows them all.\n",
        found.looked, context.space());
    return answer;
  }
  answer.text = text_of(all) + "\n" + text_of_sums(all) + ".\n";
  return answer;
}

}  // namespace entitle::cli
