#include "core/report/search.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/base/percent.h"
#include "core/delivery/email_claim.h"
#include "core/json/tree.h"
#include "core/record/place.h"
#include "core/source/stripe_id.h"

namespace entitle {
namespace {

constexpr int kMostForwards = 8;
constexpr std::size_t kMostPlaces = 8;  // of an e-mail
constexpr const char* kLogLines = "4";  // the last of them

Step one(std::string key, Command command) {
  Step step;
  step.key = std::move(key);
  step.commands.push_back(std::move(command));
  return step;
}

void take_place(SearchFound& found, const Place& place) {
  found.known = true;
  found.sources = place.sources;
  const Owners owners = place.owners();
  if (owners.all().size() > 1) {
    for (const Target& owner : owners.all()) {
      found.several.push_back(owner.str());
    }
  } else if (owners.rest) {
    found.user = owners.rest->user();
  }
}

// A place, through those it is part of.
Conversation<SearchFound> follow(Keys keys, SearchFound found) {
  for (int i = 0; i < kMostForwards; i++) {
    const std::string key = keys.place(found.place);
    Exchange ask(one(key, {"HGETALL", key}));
    const std::vector<Reply> replies = co_await ask;
    const std::optional<Place> place = Place::decode(replies.front());
    if (!place) {
      found.known = true;
      found.readable = false;
      co_return found;
    }
    if (!place->exists) co_return found;
    const Owners owners = place->owners();
    if (!owners.rest || owners.rest->place().empty()) {
      take_place(found, *place);
      co_return found;
    }
    found.known = true;
    found.place = owners.rest->place();
  }
  co_return found;
}

Conversation<SearchFound> read_user(Keys keys, SearchFound found) {
  const std::string key = keys.record(*found.user);
  const std::string log = keys.log(*found.user);
  Step step = one(key, {"HGETALL", key});
  step.commands.push_back({"LRANGE", log, "0", kLogLines});
  Exchange ask(std::move(step));
  const std::vector<Reply> replies = co_await ask;
  if (replies.front().is_error()) {
    found.error = replies.front().text;
    co_return found;
  }
  const std::optional<Record> record = Record::decode(replies.front());
  if (!record) {
    found.known = true;
    found.readable = false;
    co_return found;
  }
  if (record->exists) {
    found.known = true;
    found.version = record->version;
    // What waits elsewhere is not theirs yet.
    found.sources = record->sources;
  }
  for (const Reply& line : replies.back().elements) {
    found.log_lines.push_back(line.text);
  }
  co_return found;
}

void take_fate(SearchFound& found, const std::string& text) {
  json::Error why;
  const auto document = json::parse(text, 8, why);
  const json::Node* root = document ? document->root() : nullptr;
  found.known = true;
  found.event_outcome = json::string(root, "outcome");
  found.place = json::string(root, "place");
  const auto name = percent_decode(json::string(root, "user"));
  if (name) found.user = User::from(*name);
}

Conversation<SearchFound> search_event(Keys keys, SearchFound found) {
  const std::string key = keys.event(found.asked);
  Exchange ask(one(key, {"GET", key}));
  const std::vector<Reply> replies = co_await ask;
  if (replies.front().type != Reply::Type::string) co_return found;
  take_fate(found, replies.front().text);
  if (!found.user && !found.place.empty()) {
    auto following = follow(keys, found);
    found = co_await following;
  }
  co_return found;
}

Conversation<SearchFound> search_email(Keys keys, SearchFound found,
                                       std::string email) {
  const std::string key = keys.email(email);
  Exchange ask(one(key, {"SMEMBERS", key}));
  const std::vector<Reply> replies = co_await ask;
  std::set<std::string> owners;
  const std::vector<Reply>& places = replies.front().elements;
  for (std::size_t i = 0; i < std::min(places.size(), kMostPlaces); i++) {
    SearchFound each;
    each.place = places[i].text;
    auto following = follow(keys, std::move(each));
    each = co_await following;
    if (!each.known) continue;
    owners.insert(each.several.begin(), each.several.end());
    if (each.several.empty()) {
      owners.insert(each.user ? "u:" + each.user->str() : "p:" + each.place);
    }
    found.known = true;
    found.user = each.user;
    found.place = each.place;
    found.sources = each.sources;
  }
  if (owners.size() > 1) {
    found.several.assign(owners.begin(), owners.end());
    found.user.reset();
    found.place.clear();
    found.sources.clear();
  }
  co_return found;
}

bool is_stripes(std::string_view text) {
  const StripeId id(text);
  constexpr std::string_view kinds[] = {"cus_", "cs_", "pi_",
                                        "in_",  "ch_", "acct_"};
  return is_object_id(id.id()) &&
         std::any_of(
             std::begin(kinds), std::end(kinds),
             [&](std::string_view k) { return id.id().starts_with(k); });
}

std::string_view word_of(Lapse lapse) {
  switch (lapse) {
    case Lapse::none:
      break;
    case Lapse::not_paid:
      return "not paid";
    case Lapse::ended:
      return "ended";
    case Lapse::past_due_over:
      return "past due for too long";
    case Lapse::refunded:
      return "refunded";
    case Lapse::disputed:
      return "disputed";
    case Lapse::collection_paused:
      return "its collection is paused";
  }
  return "";
}

}  // namespace

Conversation<SearchFound> search(Keys keys, std::string asked) {
  SearchFound found;
  const bool said_user = asked.starts_with("u:");
  found.asked = said_user ? asked.substr(2) : asked;
  if (!said_user && is_stripes(found.asked)) {
    found.place = found.asked;
    auto following = follow(keys, found);
    found = co_await following;
  } else if (!said_user && found.asked.starts_with("evt_")) {
    auto looking = search_event(keys, found);
    found = co_await looking;
  }
  if (!found.known) {
    found.place.clear();
    found.user = User::from(found.asked);
  }
  if (found.user) {
    auto reading = read_user(keys, found);
    found = co_await reading;
  }
  const std::string email = claimable_email(found.asked);
  if (!found.known && !said_user && !email.empty()) {
    found.user.reset();
    auto looking = search_email(keys, found, email);
    found = co_await looking;
    if (found.user) {
      auto reading = read_user(keys, found);
      found = co_await reading;
    }
  }
  co_return found;
}

std::vector<FoundPurchase> purchases_of(const Sources& sources,
                                        const GrantMap& grants,
                                        const Policy& policy, UnixTime now) {
  std::map<std::string, FoundPurchase> by_source;
  const std::set<std::string> paid = paid_for(sources);
  for (const Projection& projection : project(sources)) {
    const Verdict verdict = judge(projection, policy, now);
    FoundPurchase& purchase = by_source[projection.source];
    const bool first = purchase.source.empty();
    purchase.source = projection.source;
    purchase.paid = paid.contains(projection.source);
    if (verdict.effective) {
      purchase.effective = true;
      purchase.until = std::max(purchase.until, verdict.until);
    } else if (first) {
      purchase.lapse = word_of(verdict.lapse);
    }
    for (const Identifier& identifier : projection.identifiers) {
      purchase.identifiers.push_back(identifier.str());
      for (const std::string_view given : grants.entitlements_of(identifier)) {
        purchase.gives.emplace_back(given);
      }
    }
  }
  std::vector<FoundPurchase> all;
  for (auto& [source, purchase] : by_source) {
    for (auto* words : {&purchase.identifiers, &purchase.gives}) {
      std::sort(words->begin(), words->end());
      words->erase(std::unique(words->begin(), words->end()), words->end());
    }
    all.push_back(std::move(purchase));
  }
  return all;
}

std::string verdict_of(const SearchFound& found,
                       const std::vector<FoundPurchase>& purchases) {
  if (!found.error.empty()) return "Redis would not tell: " + found.error;
  if (!found.known) return "Nothing is known of \"" + found.asked + "\".";
  if (!found.readable) return "What is kept cannot be read.";
  if (!found.several.empty()) {
    std::string text = "It is several users':";
    for (const std::string& owner : found.several) text += ' ' + owner;
    return text + ". Ask for one.";
  }
  std::set<std::string> held;
  bool opens_nothing = false;
  for (const FoundPurchase& purchase : purchases) {
    if (!purchase.effective) continue;
    held.insert(purchase.gives.begin(), purchase.gives.end());
    opens_nothing = opens_nothing || purchase.gives.empty();
  }
  if (!found.user) {
    return "It is nobody's: it waits in \"" + found.place +
           "\" until somebody is named.";
  }
  std::string text = "User \"" + found.user->str() + "\" ";
  if (held.empty()) {
    text += opens_nothing ? "paid for what no entitle_grant names"
                          : "holds nothing now";
    return text + '.';
  }
  text += "holds";
  for (const std::string& name : held) text += ' ' + name;
  return text + '.';
}

}  // namespace entitle
