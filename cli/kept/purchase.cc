#include "cli/kept/purchase.h"

#include <algorithm>
#include <map>
#include <set>

#include "cli/base/text.h"

namespace entitle::cli {
namespace {

using State = Projection::State;

// When what has lapsed by time did: the end that the rules of the policy give.
UnixTime end_of(const Projection& projection, const Policy& policy) {
  const auto later = [](UnixTime time, Seconds by) {
    return time == kForever ? time : time + by;
  };
  UnixTime end{};
  if (projection.state == State::active) {
    end = later(projection.end, policy.grace);
  } else if (projection.state == State::ending) {
    end = projection.end;
  } else if (projection.state == State::past_due) {
    end = later(projection.since, policy.past_due_grace);
  }
  return std::min(end, projection.cancelled);
}

void add(Purchase& purchase, const Projection& projection,
         const Context& context) {
  const Verdict verdict = judge(projection, context.policy(), context.now());
  const bool first = purchase.identifiers.empty() && !purchase.effective;
  // The one that reaches farthest comes first and speaks for all.
  if (first) {
    purchase.state = projection.state;
    purchase.lapse = verdict.lapse;
    if (!verdict.effective) {
      purchase.ended = end_of(projection, context.policy());
    }
  }
  if (verdict.effective) {
    purchase.effective = true;
    purchase.lapse = Lapse::none;
    purchase.until = std::max(purchase.until, verdict.until);
  }
  purchase.unclear |= projection.unclear;
  purchase.awaited |= projection.awaited;
  purchase.identifiers.insert(purchase.identifiers.end(),
                              projection.identifiers.begin(),
                              projection.identifiers.end());
}

void conclude(Purchase& purchase, const Context& context) {
  std::sort(purchase.identifiers.begin(), purchase.identifiers.end());
  purchase.identifiers.erase(
      std::unique(purchase.identifiers.begin(), purchase.identifiers.end()),
      purchase.identifiers.end());
  static const GrantMap namesakes;
  const GrantMap& grants =
      context.grants() != nullptr ? *context.grants() : namesakes;
  std::set<std::string> names;
  for (const Identifier& identifier : purchase.identifiers) {
    for (std::string_view name : grants.entitlements_of(identifier)) {
      names.emplace(name);
    }
  }
  purchase.gives.assign(names.begin(), names.end());
}

}  // namespace

std::vector<Purchase> purchases_of(const Sources& sources,
                                   const Context& context) {
  std::map<std::string, Purchase> by_source;
  for (const Projection& projection : project(sources)) {
    Purchase& purchase = by_source[projection.source];
    add(purchase, projection, context);
  }
  const std::set<std::string> paid = paid_for(sources);
  for (const std::string& id : paid) by_source[id];  // more than projections
  std::vector<Purchase> purchases;
  for (auto& [id, purchase] : by_source) {
    purchase.source = id;
    purchase.paid = paid.contains(id);
    if (auto source = sources.find(id); source != sources.end()) {
      purchase.place = source->second.place;
      purchase.newest = source->second.newest();
      if (const auto& granted = source->second.granted) {
        purchase.newest = std::max(purchase.newest, granted->from);
      }
    }
    conclude(purchase, context);
    purchases.push_back(std::move(purchase));
  }
  return purchases;
}

std::string_view name(State state) {
  switch (state) {
    case State::active:
      return "active";
    case State::ending:
      return "granted";
    case State::past_due:
      return "past_due";
    case State::paid:
      return "paid";
    case State::provisional:
      return "provisional";
    case State::refunded:
      return "refunded";
    case State::disputed:
      return "disputed";
    case State::ended:
      return "ended";
    case State::not_paid:
      return "not_paid";
  }
  return "";
}

std::string_view name(Lapse lapse) {
  switch (lapse) {
    case Lapse::none:
      return "none";
    case Lapse::not_paid:
      return "not_paid";
    case Lapse::ended:
      return "ended";
    case Lapse::past_due_over:
      return "past_due_over";
    case Lapse::refunded:
      return "refunded";
    case Lapse::disputed:
      return "disputed";
    case Lapse::collection_paused:
      return "collection_paused";
  }
  return "";
}

std::string text_of_identifiers(const std::vector<Identifier>& identifiers) {
  if (identifiers.empty()) return "nothing that a grant could name";
  std::vector<std::string> words;
  for (const Identifier& identifier : identifiers) {
    words.push_back(printable(identifier.str()));
  }
  return listed(words);
}

void write(json::Writer& out, const Purchase& purchase) {
  out.begin_object()
      .text("source", printable(purchase.source))
      .text("place", printable(purchase.place))
      .text("state", name(purchase.state))
      .boolean("paid", purchase.paid)
      .boolean("effective", purchase.effective);
  if (purchase.effective && purchase.until != kForever) {
    out.number("until", to_unix(purchase.until));
  }
  if (!purchase.effective) out.text("lapse", name(purchase.lapse));
  out.key("identifiers").strings(purchase.identifiers, [](const Identifier& i) {
    return i.str();
  });
  out.key("gives").strings(purchase.gives).end_object();
}

}  // namespace entitle::cli
