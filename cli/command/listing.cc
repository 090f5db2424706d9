#include "cli/command/listing.h"

#include <fmt/format.h>

#include <cstdint>

#include "cli/base/text.h"
#include "core/json/writer.h"

namespace entitle::cli {
namespace {

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

std::string json_of(const Context& context, const Listing& listing,
                    std::int64_t total, const std::vector<Entry>& entries) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.number("total", total).key(listing.name).begin_array();
  for (const Entry& entry : entries) write(out, entry, context.now());
  out.end_array().end_object();
  return text;
}

}  // namespace

Answer list(const Context& context, const std::string& key,
            const Listing& listing, const ListOptions& options, bool as_json) {
  const List list = list_at(context, key, options.most);
  std::vector<Entry> entries;
  for (const Listed& listed : list.members) {
    entries.push_back(listing.entry(context, listed));
  }
  Answer answer{list.total == 0 ? Exit::fine : Exit::found, {}};
  if (as_json) {
    answer.text = json_of(context, listing, list.total, entries);
    return answer;
  }
  if (list.total == 0) {
    answer.text = fmt::format("Nothing is {} under {}: {}.\n", listing.name,
                              context.space(), listing.nothing);
    return answer;
  }
  answer.text = fmt::format("{} {}, under {}; the oldest first:\n\n",
                            list.total, listing.some, context.space()) +
                text_of_entries(entries, context.now());
  const auto shown = static_cast<std::int64_t>(entries.size());
  if (shown < list.total) {
    answer.text += fmt::format("... and {} more: --most N shows them.\n",
                               list.total - shown);
  }
  return answer;
}

}  // namespace entitle::cli
