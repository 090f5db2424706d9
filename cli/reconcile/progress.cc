#include "cli/reconcile/progress.h"

#include <algorithm>
#include <map>
#include <utility>

#include "cli/base/stop.h"
#include "core/json/writer.h"
#include "core/record/fields.h"

namespace entitle::cli {
namespace {

constexpr Drift kAllDrifts[] = {Drift::missing, Drift::stale,
                                Drift::extra,   Drift::moved,
                                Drift::unowned, Drift::unmatched};
constexpr Stage kAllStages[] = {Stage::refunds,       Stage::disputes,
                                Stage::subscriptions, Stage::sessions,
                                Stage::invoices,      Stage::records};

template <class Kind>
std::size_t at(Kind kind) {
  return static_cast<std::size_t>(kind);
}

void add(Command& command, std::string field, std::int64_t number) {
  command.push_back(std::move(field));
  command.push_back(std::to_string(number));
}

std::string progress_key(const Context& context) {
  return context.keys().reconcile() + ":progress";
}

Command hash_of(const Context& context, const Tally& tally, UnixTime started) {
  Command command{"HSET", progress_key(context)};
  add(command, "started", to_unix(started));
  for (Stage stage : kAllStages) {
    add(command, "looked:" + std::string(name(stage)), tally.looked[at(stage)]);
  }
  for (Drift drift : kAllDrifts) {
    add(command, "found:" + std::string(name(drift)), tally.found[at(drift)]);
    if (!can_be_healed(drift)) continue;
    add(command, "healed:" + std::string(name(drift)), tally.healed[at(drift)]);
  }
  return command;
}

void write(const Context& context, std::vector<Command> commands) {
  for (const Reply& reply :
       context.redis().ask(progress_key(context), std::move(commands))) {
    if (reply.is_error()) throw Stop(Exit::cannot_tell, reply.text);
  }
}

// What entitle_status shows.
std::string text_of_last(const Tally& tally, UnixTime finished) {
  std::string text;
  json::Writer out(text);
  out.begin_object()
      .number("time", to_unix(finished))
      .boolean("finished", true)
      .boolean("healed", true)
      .key("counts")
      .begin_object();
  for (Drift drift : kAllDrifts) out.number(name(drift), tally.left(drift));
  out.end_object().end_object();
  return text;
}

}  // namespace

std::string_view name(Stage stage) {
  switch (stage) {
    case Stage::refunds:
      return "refunds";
    case Stage::disputes:
      return "disputes";
    case Stage::subscriptions:
      return "subscriptions";
    case Stage::sessions:
      return "sessions";
    case Stage::invoices:
      return "invoices";
    case Stage::records:
      return "records";
  }
  return "";
}

std::int64_t Tally::left(Drift drift) const {
  return found[at(drift)] - healed[at(drift)];
}

bool Tally::all_is_well() const {
  return unreadable == 0 &&
         std::all_of(std::begin(kAllDrifts), std::end(kAllDrifts),
                     [&](Drift drift) { return left(drift) == 0; });
}

std::string Cursor::text() const {
  std::string text(name(stage));
  return after.empty() ? text : text + ':' + after;
}

std::optional<Cursor> Cursor::parse(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  for (Stage stage : kAllStages) {
    if (name(stage) != text.substr(0, colon)) continue;
    Cursor cursor;
    cursor.stage = stage;
    if (colon < text.size()) cursor.after = text.substr(colon + 1);
    return cursor;
  }
  return std::nullopt;
}

void keep_progress(const Context& context, const Cursor& cursor,
                   const Tally& tally, UnixTime started) {
  Command command = hash_of(context, tally, started);
  command.push_back("cursor");
  command.push_back(cursor.text());
  write(context, {std::move(command)});
}

void keep_finished(const Context& context, const Tally& tally, UnixTime started,
                   UnixTime finished) {
  Command command = hash_of(context, tally, started);
  add(command, "finished", to_unix(finished));
  write(context,
        {std::move(command), {"HDEL", progress_key(context), "cursor"}});
  const std::string key = context.keys().reconcile();
  const Reply reply = context.redis().ask(
      key, Command{"SET", key, text_of_last(tally, finished)});
  if (reply.is_error()) throw Stop(Exit::cannot_tell, reply.text);
}

std::optional<Unfinished> unfinished(const Context& context) {
  const std::string key = progress_key(context);
  const Reply reply = context.redis().ask(key, Command{"HGETALL", key});
  std::map<std::string, std::string> fields;
  each_field(reply, [&](const std::string& name, const std::string& value) {
    fields[name] = value;
    return true;
  });
  const std::optional<Cursor> cursor = Cursor::parse(fields["cursor"]);
  if (!cursor) return std::nullopt;
  const auto number = [&](const std::string& name) {
    std::int64_t value = 0;
    read_integer(fields[name], value);
    return value;
  };
  Unfinished was{*cursor, {}, unix_time(number("started"))};
  for (Stage stage : kAllStages) {
    was.tally.looked[at(stage)] = number("looked:" + std::string(name(stage)));
  }
  for (Drift drift : kAllDrifts) {
    was.tally.found[at(drift)] = number("found:" + std::string(name(drift)));
    was.tally.healed[at(drift)] = number("healed:" + std::string(name(drift)));
  }
  return was;
}

}  // namespace entitle::cli
