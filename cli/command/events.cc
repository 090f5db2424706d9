// entitlectl events: what came last, of one user or of all.
#include <fmt/format.h>

#include <map>

#include "cli/base/text.h"
#include "cli/command/command.h"
#include "cli/kept/lookup.h"
#include "core/record/fields.h"

namespace entitle::cli {
namespace {

// --- of one user -------------------------------------------------------------

std::string change_of(const LogLine& line) {
  if (line.before == line.after) return "";
  const auto text = [](const std::vector<std::string>& words) {
    std::vector<std::string> all;
    for (const std::string& word : words) all.push_back(printable(word));
    return all.empty() ? std::string("nothing") : listed(all);
  };
  return text(line.before) + " -> " + text(line.after);
}

Answer events_of_user(const Context& context, const EventsOptions& options,
                      bool as_json) {
  const std::optional<User> user = User::from(options.user);
  if (!user) {
    throw Stop(Exit::usage, "a user has 1 to 255 bytes, no control bytes");
  }
  const std::vector<LogLine> lines = log_of(context, *user, options.most);
  Answer answer;
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.text("user", printable(user->str())).key("events").begin_array();
    for (const LogLine& line : lines) out.raw(line.json);
    out.end_array().end_object();
    return answer;
  }
  if (lines.empty()) {
    answer.text = fmt::format("Nothing is logged of user \"{}\" under {}.\n",
                              printable(user->str()), context.space());
    return answer;
  }
  Table table({"TIME", "EVENT", "TYPE", "OUTCOME", "PLACE", "EFFECTIVE"});
  for (const LogLine& line : lines) {
    table.add({text_of_time(line.time), printable(line.event),
               printable(line.type), printable(line.outcome),
               printable(line.place), change_of(line)});
  }
  answer.text = table.text();
  return answer;
}

// --- of all ------------------------------------------------------------------

// Of the hash `webhook`: when Stripe was heard last.
std::map<std::string, std::string> heard(const Context& context) {
  std::map<std::string, std::string> fields;
  const std::string key = context.keys().webhook();
  const Reply reply = context.redis().ask(key, Command{"HGETALL", key});
  each_field(reply, [&](const std::string& name, const std::string& value) {
    fields[name] = value;
    return true;
  });
  return fields;
}

std::string text_of_heard(const std::map<std::string, std::string>& fields,
                          UnixTime now) {
  std::string text;
  for (const char* what : {"received", "applied", "refused"}) {
    const std::string name = std::string("last_") + what;
    std::int64_t time = 0;
    const auto found = fields.find(name);
    if (found == fields.end() || !read_integer(found->second, time)) {
      text += fmt::format("last {}: never\n", what);
      continue;
    }
    const auto detail = fields.find(
        name + (std::string_view(what) == "refused" ? "_why" : "_event"));
    text += fmt::format(
        "last {}: {} ({} ago){}{}\n", what, text_of_time(unix_time(time)),
        text_of_span(now - unix_time(time)), detail == fields.end() ? "" : ", ",
        detail == fields.end() ? "" : printable(detail->second));
  }
  return text;
}

void write(json::Writer& out, const EventFate& fate) {
  out.begin_object()
      .text("event", printable(fate.event))
      .text("outcome", printable(fate.outcome))
      .text("place", printable(fate.place));
  if (fate.user) out.text("user", printable(fate.user->str()));
  if (fate.stored) out.number("stored", to_unix(*fate.stored));
  out.end_object();
}

Answer all_events(const Context& context, const EventsOptions& options,
                  bool as_json) {
  const auto fields = heard(context);
  const Fates fates = newest_fates(context, options.most);
  Answer answer;
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.key("webhook").begin_object();
    for (const auto& [name, value] : fields) {
      out.text(printable(name), printable(value));
    }
    out.end_object()
        .number("total", fates.total)
        .boolean("all", fates.all)
        .key("events")
        .begin_array();
    for (const EventFate& fate : fates.newest) write(out, fate);
    out.end_array().end_object();
    return answer;
  }
  answer.text = text_of_heard(fields, context.now());
  if (fates.newest.empty()) {
    answer.text += fmt::format(
        "No event of the last 35 days is known under "
        "{}.\n",
        context.space());
    return answer;
  }
  answer.text += fmt::format(
      "{}{} events of the last 35 days are known under {}, of which the "
      "newest:\n\n",
      fates.all ? "" : "At least ", fates.total, context.space());
  Table table({"STORED", "EVENT", "OUTCOME", "PLACE", "USER"});
  for (const EventFate& fate : fates.newest) {
    table.add({fate.stored ? text_of_time(*fate.stored) : "?",
               printable(fate.event), printable(fate.outcome),
               printable(fate.place),
               fate.user ? printable(fate.user->str()) : "-"});
  }
  answer.text += table.text();
  return answer;
}

}  // namespace

Answer events(const Context& context, const EventsOptions& options,
              bool as_json) {
  return options.user.empty() ? all_events(context, options, as_json)
                              : events_of_user(context, options, as_json);
}

}  // namespace entitle::cli
