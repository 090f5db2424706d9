#include "cli/kept/subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/ascii.h"
#include "core/base/percent.h"
#include "core/delivery/email_claim.h"
#include "core/source/stripe_id.h"
#include "core/source/target.h"

namespace entitle::cli {
namespace {

using Kind = Subject::Kind;

constexpr std::chrono::milliseconds kSearchTime{300};
constexpr std::size_t kMostNear = 8;
constexpr int kMostForwards = 8;

bool begins_with_any(std::string_view text,
                     std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view b) { return text.starts_with(b); });
}

// Whether it looks like Stripe's, whatever users there are.
bool is_stripes(std::string_view text) {
  const StripeId id(text);
  return is_object_id(id.id()) &&
         begins_with_any(id.id(), {"cus_", "sub_", "cs_", "pi_", "in_", "ch_",
                                   "acct_", "evt_"});
}

bool exists(const Context& context, const std::string& key) {
  return context.redis().ask(key, Command{"EXISTS", key}).integer > 0;
}

void take_owner(Subject& subject, const Owners& owners) {
  std::optional<Target> owner =
      subject.source.empty() ? owners.rest : owners.of(subject.source);
  if (owner) subject.user = owner->user();
}

// Whose a place is: through those it is part of. Of a customer of several
// owners only a source is one's.
void follow(const Context& context, Subject& subject) {
  for (int i = 0; i < kMostForwards; ++i) {
    const std::optional<Place> place = place_of(context, subject.place);
    if (!place || !place->exists) return;
    subject.known = true;
    const Owners owners = place->owners();
    if (owners.rest && !owners.rest->place().empty()) {
      subject.place = owners.rest->place();
      continue;
    }
    if (subject.source.empty() && owners.all().size() > 1) {
      for (const Target& owner : owners.all()) {
        if (owner.user()) subject.several.push_back("u:" + owner.user()->str());
      }
      return;
    }
    take_owner(subject, owners);
    return;
  }
}

// --- a source, which no key is named after -----------------------------------

struct Holding {
  std::vector<std::string> records;  // keys
  std::vector<std::string> places;
};

// Keys between whose braces the beginning stands.
bool is_key_of(const std::string& key, std::string_view what) {
  const std::size_t brace = key.find('{');
  return brace != std::string::npos &&
         std::string_view(key).substr(brace + 1).starts_with(what);
}

bool look_for_source(Connection& node, const std::vector<std::string>& keys,
                     const std::string& source, Holding& holding) {
  std::vector<Command> commands;
  for (const std::string& key : keys) {
    commands.push_back({"HMGET", key, "source:" + source, "claims:" + source,
                        "passed_on:" + source});
  }
  const std::vector<Reply> replies = node.ask(commands);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool has =
        std::any_of(replies[i].elements.begin(), replies[i].elements.end(),
                    [](const Reply& field) { return !field.is_nil(); });
    if (!has) continue;
    auto& found = is_key_of(keys[i], "u:") ? holding.records : holding.places;
    found.push_back(keys[i]);
  }
  return holding.records.empty() && holding.places.empty();
}

std::string between_braces(const std::string& key, std::string_view what) {
  const std::size_t begin = key.find('{') + 1 + what.size();
  const std::size_t end = key.rfind('}');
  return percent_decode(key.substr(begin, end - begin)).value_or("");
}

void find_source(const Context& context, Subject& subject) {
  Holding holding;
  const std::string begin = literal_pattern(context.space() + ":{");
  subject.looked_everywhere =
      each_key(context, begin + "[up]:*}", kSearchTime,
               [&](Connection& node, const std::vector<std::string>& keys) {
                 return look_for_source(node, keys, subject.source, holding);
               });
  if (!holding.records.empty()) {
    subject.known = true;
    subject.user = User::from(between_braces(holding.records.front(), "u:"));
    if (!subject.user) return;
    const std::optional<Record> record = record_of(context, *subject.user);
    if (!record) return;
    const auto source = record->sources.find(subject.source);
    if (source != record->sources.end()) subject.place = source->second.place;
    return;
  }
  if (holding.places.empty()) return;
  subject.place = between_braces(holding.places.front(), "p:");
  follow(context, subject);
}

// --- each kind ---------------------------------------------------------------

void take_user(const Context& context, Subject& subject,
               std::string_view name) {
  subject.kind = Kind::user;
  subject.user = User::from(name);
  if (!subject.user) {
    throw Stop(Exit::usage, "a user has 1 to 255 bytes, no control bytes");
  }
  subject.known = exists(context, context.keys().record(*subject.user));
}

void take_event(const Context& context, Subject& subject) {
  subject.kind = Kind::event;
  subject.fate = fate_of(context, subject.asked);
  if (!subject.fate) return;
  subject.known = true;
  subject.place = subject.fate->place;
  subject.user = subject.fate->user;
  if (!subject.user && !subject.place.empty()) follow(context, subject);
}

// A customer, session, payment, invoice or charge is a place or a source of
// one, or both; a subscription is a source alone.
void take_stripe_id(const Context& context, Subject& subject) {
  const std::string_view id = StripeId(subject.asked).id();
  subject.kind = Kind::place;
  subject.place = subject.asked;
  if (!begins_with_any(id, {"cus_", "acct_"})) {
    subject.kind = Kind::source;
    subject.source = subject.asked;
  }
  if (!id.starts_with("sub_")) follow(context, subject);
  if (!subject.known && subject.kind == Kind::source) {
    subject.place.clear();
    find_source(context, subject);
  }
}

void take_email(const Context& context, Subject& subject) {
  subject.kind = Kind::email;
  const std::string email = claimable_email(subject.asked);
  if (email.empty()) throw Stop(Exit::usage, "that is no e-mail");
  const std::string key = context.keys().email(email);
  std::set<std::string> owners;
  Subject last;
  for (const Reply& member :
       context.redis().ask(key, Command{"SMEMBERS", key}).elements) {
    Subject place;
    place.place = member.text;
    follow(context, place);
    if (!place.known) continue;
    for (const std::string& one : place.several) owners.insert(one);
    if (place.several.empty()) {
      owners.insert(place.user ? "u:" + place.user->str() : place.place);
    }
    last = place;
  }
  subject.known = !owners.empty();
  if (owners.size() > 1) {
    subject.several.assign(owners.begin(), owners.end());
  } else if (!owners.empty()) {
    subject.user = last.user;
    subject.place = last.place;
  }
}

// --- what is near ------------------------------------------------------------

// A pattern that takes either case of each letter.
std::string any_case(std::string_view text) {
  std::string pattern;
  for (char c : text) {
    const char lower = ascii_lower(c);
    if (lower >= 'a' && lower <= 'z') {
      pattern +=
          fmt::format("[{}{}]", lower, static_cast<char>(lower - 'a' + 'A'));
    } else {
      pattern += literal_pattern(std::string_view(&c, 1));
    }
  }
  return pattern;
}

std::string pattern_of(const Subject& subject) {
  switch (subject.kind) {
    case Kind::user:
      return "*{u:" + any_case(percent_encode(subject.asked)) + '}';
    case Kind::event:
      return "*:event:" + any_case(subject.asked);
    case Kind::email:
      return "*:email:" + any_case(subject.asked);
    case Kind::place:
    case Kind::source:
      break;
  }
  // With an account before it, or without.
  return "*{p:*" + any_case(StripeId(subject.asked).id()) + '}';
}

// "ANN, in test", out of a key that matched.
std::string text_of_near(const Context& context, const std::string& key) {
  std::size_t begin = key.find(":{");
  if (begin == std::string::npos) {
    for (const char* kind : {":event:", ":email:"}) {
      begin = std::min(begin, key.rfind(kind));
    }
  }
  if (begin == std::string::npos) return printable(key);
  const std::string space = key.substr(0, begin);
  std::string name = key.substr(begin + 1);
  if (name.starts_with('{')) {
    name = between_braces(name, name.substr(1, 2));
  } else {
    name = name.substr(name.find(':') + 1);
  }
  if (space == context.space()) return printable(name);
  return fmt::format("{} under {}", printable(name), printable(space));
}

}  // namespace

Subject subject_of(const Context& context, const std::string& text) {
  Subject subject;
  subject.asked = text;
  if (text.starts_with("u:")) {
    subject.asked = text.substr(2);
    take_user(context, subject, subject.asked);
  } else if (is_stripes(text)) {
    const bool event = StripeId(text).id().starts_with("evt_");
    event ? take_event(context, subject) : take_stripe_id(context, subject);
    // Some apps call their users as Stripe calls its customers.
    if (!subject.known) {
      Subject as_user = subject;
      take_user(context, as_user, text);
      if (as_user.known) return as_user;
    }
  } else {
    const bool may_be_email = !claimable_email(text).empty();
    take_user(context, subject, text);
    if (!subject.known && may_be_email) {
      subject.user.reset();
      take_email(context, subject);
    }
  }
  return subject;
}

std::vector<std::string> near(const Context& context, const Subject& subject) {
  std::set<std::string> found;
  each_key(context, pattern_of(subject), kSearchTime,
           [&](Connection&, const std::vector<std::string>& keys) {
             for (const std::string& key : keys) {
               found.insert(text_of_near(context, key));
             }
             return found.size() < kMostNear;
           });
  return {found.begin(), found.end()};
}

}  // namespace entitle::cli
