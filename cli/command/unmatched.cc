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
  const List list = list_at(context, context.keys().unmatched(), options.most);
  std::vector<Entry> entries;
  for (const Listed& listed : list.members) {
    entries.push_back(entry_of(context, listed));
  }
  Answer answer{list.total == 0 ? Exit::fine : Exit::found, {}};
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.number("total", list.total).key("unmatched").begin_array();
    for (const Entry& entry : entries) write(out, entry, context.now());
    out.end_array().end_object();
    return answer;
  }
  if (list.total == 0) {
    answer.text = fmt::format(
        "Nothing is unmatched under {}: whatever was "
        "paid for opens something.\n",
        context.space());
    return answer;
  }
  answer.text = fmt::format(
                    "{} paid for and opening nothing, under {}; the "
                    "oldest first:\n\n",
                    list.total, context.space()) +
                text_of_entries(entries, context.now());
  const auto shown = static_cast<std::int64_t>(entries.size());
  if (shown < list.total) {
    answer.text += fmt::format("... and {} more: --most N shows them.\n",
                               list.total - shown);
  }
  return answer;
}

}  // namespace entitle::cli
