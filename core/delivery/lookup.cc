#include "core/delivery/lookup.h"

#include <algorithm>
#include <iterator>

#include "core/base/percent.h"
#include "core/json/writer.h"
#include "core/source/stripe_id.h"
#include "core/source/target.h"

namespace entitle {
namespace {

constexpr Seconds kEventLifetime = std::chrono::hours(24 * 35);

// Whether an id says what it is of. What does not, old accounts chose: their
// customers', which open nothing that nobody knows.
bool says_its_kind(std::string_view source) {
  constexpr std::string_view kPrefixes[] = {"cs_", "sub_", "in_",   "pi_",
                                            "ch_", "py_",  "grant:"};
  std::string_view id = StripeId(source).id();
  return std::any_of(
      std::begin(kPrefixes), std::end(kPrefixes),
      [&](std::string_view prefix) { return id.starts_with(prefix); });
}

// Of a member that the version before wrote, where a source's bars stood as
// they are: the one between. npos: it is none of those.
std::size_t old_bar(std::string_view member) {
  std::size_t bar = member.rfind('|');
  while (bar != std::string_view::npos &&
         !says_its_kind(member.substr(bar + 1))) {
    bar = bar == 0 ? std::string_view::npos : member.rfind('|', bar - 1);
  }
  return bar;
}

}  // namespace

Command event_lookup(const Keys& keys, std::string_view event, Outcome outcome,
                     std::string_view place, const std::optional<User>& user) {
  std::string json;
  json::Writer out(json);
  out.begin_object().text("outcome", name(outcome)).text("place", place);
  if (user) out.text("user", percent_encode(user->str()));
  out.end_object();
  return {"SET", keys.event(event), std::move(json), "EX",
          std::to_string(kEventLifetime.count())};
}

// The last bar is the one between: a user may have some, a source has none.
std::string unmatched_member(const Target& target, std::string_view source) {
  std::string member = target.encode() + '|';
  for (char c : source) {
    if (c == '|' || c == '%') {
      append_percent(member, c);
    } else {
      member += c;
    }
  }
  return member;
}

std::optional<Unmatched> unmatched_of(std::string_view member) {
  std::size_t bar = member.rfind('|');
  if (bar == std::string_view::npos) return std::nullopt;
  std::size_t old = old_bar(member);
  if (old != std::string_view::npos) bar = old;
  std::optional<Target> target = Target::decode(member.substr(0, bar));
  std::string_view source = member.substr(bar + 1);
  if (!target || source.empty()) return std::nullopt;
  std::optional<std::string> decoded = percent_decode(source);
  return Unmatched{*std::move(target),
                   decoded ? *std::move(decoded) : std::string(source)};
}

std::vector<Command> email_lookup(const Keys& keys, std::string_view email,
                                  std::string_view place) {
  std::string key = keys.email(email);
  return {{"SADD", key, std::string(place)}, {"PERSIST", key}};
}

Command email_forget(const Keys& keys, std::string_view email,
                     std::string_view place) {
  return {"SREM", keys.email(email), std::string(place)};
}

Command webhook_note(const Keys& keys, WebhookNote note, UnixTime now,
                     std::string_view detail) {
  std::string time = std::to_string(to_unix(now));
  switch (note) {
    case WebhookNote::applied:
      return {"HSET", keys.webhook(),       "last_applied",
              time,   "last_applied_event", std::string(detail)};
    case WebhookNote::refused:
      return {"HSET", keys.webhook(),     "last_refused",
              time,   "last_refused_why", std::string(detail)};
    case WebhookNote::received:
      break;
  }
  return {"HSET", keys.webhook(),        "last_received",
          time,   "last_received_event", std::string(detail)};
}

std::vector<Command> webhook_count(const Keys& keys, WebhookCount what,
                                   std::string_view event, UnixTime now) {
  const bool conflict = what == WebhookCount::conflict;
  const std::string last = conflict ? "last_conflict" : "last_assumed_end";
  return {
      {"HINCRBY", keys.webhook(), conflict ? "conflicts" : "assumed_ends", "1"},
      {"HSET", keys.webhook(), last, std::to_string(to_unix(now)),
       last + "_event", std::string(event)}};
}

}  // namespace entitle
