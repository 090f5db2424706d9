// entitlectl parked: what somebody paid for and belongs to nobody.
#include <fmt/format.h>

#include <algorithm>

#include "cli/base/text.h"
#include "cli/command/command.h"
#include "cli/command/listing.h"
#include "cli/kept/lookup.h"

namespace entitle::cli {
namespace {

Entry entry_of(const Context& context, const Listed& listed) {
  Entry entry;
  entry.what = listed.member;
  entry.since = listed.since;
  entry.command =
      context.command("link " + shell_word(listed.member) + " USER");
  const std::optional<Place> place = place_of(context, listed.member);
  if (!place) {
    entry.note = "its place in Redis cannot be read";
  } else if (!place->exists) {
    entry.note = "its place is gone; nginx takes it off the list";
  } else {
    if (place->email && place->email->text != kNoEmail) {
      entry.email = place->email->text;
    }
    if (auto owner = place->owner(); owner && owner->user()) {
      entry.note = fmt::format(
          "it is user \"{}\"'s, whose record has not "
          "taken it: full, or not to be read",
          printable(owner->user()->str()));
      entry.command =
          context.command("events " + shell_word(owner->user()->str()));
    }
    entry.purchases = purchases_of(place->sources, context);
    std::erase_if(entry.purchases,
                  [](const Purchase& purchase) { return !purchase.paid; });
  }
  return entry;
}

}  // namespace

Answer parked(const Context& context, const ListOptions& options,
              bool as_json) {
  const List list = list_at(context, context.keys().parked(), options.most);
  std::vector<Entry> entries;
  for (const Listed& listed : list.members) {
    entries.push_back(entry_of(context, listed));
  }
  Answer answer{list.total == 0 ? Exit::fine : Exit::found, {}};
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.number("total", list.total).key("parked").begin_array();
    for (const Entry& entry : entries) write(out, entry, context.now());
    out.end_array().end_object();
    return answer;
  }
  if (list.total == 0) {
    answer.text = fmt::format(
        "Nothing is parked under {}: whoever paid is "
        "known.\n",
        context.space());
    return answer;
  }
  answer.text = fmt::format(
                    "{} paid and belong to nobody, under {}; the oldest "
                    "first:\n\n",
                    list.total, context.space()) +
                text_of_entries(entries, context.now());
  if (static_cast<std::int64_t>(entries.size()) < list.total) {
    answer.text +=
        fmt::format("... and {} more: --most N shows them.\n",
                    list.total - static_cast<std::int64_t>(entries.size()));
  }
  return answer;
}

}  // namespace entitle::cli
