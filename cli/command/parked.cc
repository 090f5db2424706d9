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
  const Listing listing{"parked", "whoever paid is known",
                        "paid and belong to nobody", entry_of};
  return list(context, context.keys().parked(), listing, options, as_json);
}

}  // namespace entitle::cli
