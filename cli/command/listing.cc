#include "cli/command/listing.h"

#include <fmt/format.h>

#include "cli/base/text.h"

namespace entitle::cli {

std::string text_of_entries(const std::vector<Entry>& entries, UnixTime now) {
  std::string text;
  for (const Entry& entry : entries) {
    text +=
        fmt::format("{}  for {}, since {}", printable(entry.what),
                    text_of_span(now - entry.since), text_of_time(entry.since));
    if (!entry.email.empty()) text += "  <" + printable(entry.email) + '>';
    text += '\n';
    for (const Purchase& purchase : entry.purchases) {
      text += fmt::format("    {} ({}) carries {}\n",
                          printable(purchase.source), name(purchase.state),
                          text_of_identifiers(purchase.identifiers));
    }
    if (!entry.note.empty()) text += "    " + entry.note + '\n';
    text += "    -> " + entry.command + '\n';
  }
  return text;
}

void write(json::Writer& out, const Entry& entry, UnixTime now) {
  out.begin_object()
      .text("what", printable(entry.what))
      .number("since", to_unix(entry.since))
      .number("age", (now - entry.since).count());
  if (!entry.email.empty()) out.text("email", printable(entry.email));
  if (!entry.note.empty()) out.text("note", entry.note);
  out.key("purchases").begin_array();
  for (const Purchase& purchase : entry.purchases) write(out, purchase);
  out.end_array().text("command", entry.command).end_object();
}

}  // namespace entitle::cli
