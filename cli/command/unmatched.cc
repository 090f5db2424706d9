// entitlectl unmatched: what somebody paid for and no grant knows.
#include <fmt/format.h>

#include <algorithm>

#include "cli/base/text.h"
#include "cli/command/command.h"
#include "cli/command/listing.h"
#include "cli/kept/lookup.h"
#include "core/delivery/lookup.h"

namespace entitle::cli {
namespace {

// What of it a grant would best name: a price before a product, and those
// before what is free text.
const Identifier& best_of(const std::vector<Identifier>& identifiers) {
  return *std::min_element(identifiers.begin(), identifiers.end(),
                           [](const Identifier& a, const Identifier& b) {
                             return a.parts().type < b.parts().type;
                           });
}

// The sources of a member's target. Null: they cannot be read.
std::optional<Sources> sources_of(const Context& context,
                                  const Target& target) {
  if (std::optional<User> user = target.user()) {
    std::optional<Record> record = record_of(context, *user);
    if (!record) return std::nullopt;
    return std::move(record->sources);
  }
  std::optional<Place> place = place_of(context, target.place());
  if (!place) return std::nullopt;
  return std::move(place->sources);
}

void judge_purchase(Entry& entry, const Context& context,
                    const Purchase& purchase) {
  if (purchase.unclear) {
    entry.note = "Stripe says a word of it that nobody knows yet";
  } else if (purchase.awaited) {
    const bool unheard = purchase.state == Projection::State::provisional;
    entry.note = fmt::format(
        "it is paid, and no \"customer.subscription.{}\" has said what "
        "becomes of the subscription: does Stripe send those?",
        unheard ? "created" : "updated");
  } else if (purchase.opens_nothing() && !purchase.identifiers.empty()) {
    entry.command = fmt::format(
        "entitle_grant NAME {};  in nginx's configuration, and "
        "reload; or {}",
        printable(best_of(purchase.identifiers).str()),
        context.command("ignore " + shell_word(purchase.source)));
  } else if (purchase.effective && !purchase.gives.empty()) {
    entry.note = fmt::format(
        "a grant knows it by now (it gives {}): nginx "
        "takes it off the list",
        listed(purchase.gives));
  } else if (!purchase.effective) {
    entry.note = "it is over: nginx takes it off the list";
  }
}

Entry entry_of(const Context& context, const Listed& listed) {
  Entry entry;
  entry.what = listed.member;
  entry.since = listed.since;
  const std::optional<Unmatched> member = unmatched_of(listed.member);
  if (!member) {
    entry.note = "it is none of entitle's";
    entry.command = fmt::format("ZREM {} {}", context.keys().unmatched(),
                                shell_word(listed.member));
    return entry;
  }
  entry.command = context.command("ignore " + shell_word(member->source));
  std::optional<Sources> sources = sources_of(context, member->target);
  if (!sources) {
    entry.note = "where it is kept cannot be read";
    return entry;
  }
  for (Purchase& purchase : purchases_of(*sources, context)) {
    if (purchase.source != member->source) continue;
    judge_purchase(entry, context, purchase);
    entry.purchases.push_back(std::move(purchase));
  }
  if (entry.purchases.empty()) {
    entry.note = "it is not there any more: nginx takes it off the list";
  }
  return entry;
}

}  // namespace

Answer unmatched(const Context& context, const ListOptions& options,
                 bool as_json) {
  const Listing listing{"unmatched", "whatever was paid for opens something",
                        "paid for and opening nothing", entry_of};
  return list(context, context.keys().unmatched(), listing, options, as_json);
}

}  // namespace entitle::cli
