// entitlectl export: all that is kept under a prefix and mode, as lines of
// JSON, a few keys at a time.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>

#include "cli/base/progress.h"
#include "cli/base/text.h"
#include "cli/command/command.h"
#include "cli/kept/dump.h"
#include "cli/kept/find.h"
#include "cli/kept/lookup.h"
#include "core/record/fields.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kAtOnce = 32;     // keys: a record may have 3 MiB
constexpr std::size_t kMostShown = 20;  // keys that are left out
constexpr std::chrono::hours kNoLimit{24 * 7};

// A file that is there once it is whole, for its owner alone; or standard
// output.
class Out {
 public:
  explicit Out(const std::string& name) : name_(name) {
    if (name == "-") {
      file_ = stdout;
      return;
    }
    part_ = name_ + ".part";
    const int fd = open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) file_ = fdopen(fd, "w");
    if (file_ == nullptr) fail();
  }
  ~Out() {
    if (part_.empty()) return;
    if (file_ != nullptr) std::fclose(file_);
    std::remove(part_.c_str());
  }
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;

  void line(const std::string& text) {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), file_) == text.size() &&
        std::fputc('\n', file_) != EOF;
    if (!written) fail();
  }
  void close() {
    if (std::fflush(file_) != 0) fail();
    if (part_.empty()) return;
    if (fsync(fileno(file_)) != 0) fail();
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail();
    if (std::rename(part_.c_str(), name_.c_str()) != 0) fail();
    part_.clear();
  }

 private:
  [[noreturn]] void fail() const {
    throw Stop(Exit::cannot_tell,
               fmt::format("{}: {}", name_, std::strerror(errno)));
  }

  std::string name_, part_;
  std::FILE* file_ = nullptr;
};

struct Exporting {
  const Context& context;
  Out& out;
  Progress& progress;
  DumpEnd end{};
  std::vector<std::string> left_out{};
  std::size_t left_out_in_all = 0;

  void leave_out(const std::string& key) {
    ++left_out_in_all;
    if (left_out.size() < kMostShown) left_out.push_back(printable(key));
  }
};

std::int64_t size_of(const Context& context) {
  std::int64_t size = 0;
  context.redis().each_primary([&](Connection& node) {
    const std::vector<Command> question{{"DBSIZE"}};
    size += node.ask(question).front().integer;
  });
  return size;
}

void take_pairs(const Reply& reply,
                std::vector<std::pair<std::string, std::string>>& pairs) {
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    pairs.emplace_back(reply.elements[i].text, reply.elements[i + 1].text);
  }
}

std::vector<std::string> texts_of(const Reply& reply) {
  std::vector<std::string> texts;
  for (const Reply& element : reply.elements) texts.push_back(element.text);
  return texts;
}

std::optional<Seconds> ttl_of(const Reply& reply) {
  if (reply.type != Reply::Type::integer || reply.integer <= 0) return {};
  return Seconds{reply.integer};
}

void write_hash(Exporting& e, const std::string& key, const KeptHash& kept) {
  // Gone since it was seen.
  if (kept.fields.empty()) return;
  if (!is_sound(kept)) return e.leave_out(key);
  ++(kept.kind == KeptHash::Kind::place ? e.end.places : e.end.users);
  e.out.line(encode(kept));
}

void write_places(Exporting& e, Connection& node,
                  std::span<const std::string> keys) {
  std::vector<Command> commands;
  for (const std::string& key : keys) {
    commands.push_back({"HGETALL", key});
    commands.push_back({"TTL", key});
  }
  const std::vector<Reply> replies = node.ask(commands);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto id = name_in_key(e.context, keys[i], "p:");
    if (!id || replies[2 * i].is_error()) {
      e.leave_out(keys[i]);
      continue;
    }
    KeptHash kept{
        KeptHash::Kind::place, *id, {}, {}, ttl_of(replies[2 * i + 1])};
    take_pairs(replies[2 * i], kept.fields);
    write_hash(e, keys[i], kept);
  }
}

void write_records(Exporting& e, Connection& node,
                   const std::vector<std::string>& keys) {
  std::vector<Command> commands;
  for (const std::string& key : keys) {
    commands.push_back({"HGETALL", key});
    commands.push_back({"LRANGE", key + ":log", "0", "-1"});
  }
  const std::vector<Reply> replies = node.ask(commands);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto id = name_in_key(e.context, keys[i], "u:");
    if (!id || replies[2 * i].is_error()) {
      e.leave_out(keys[i]);
      continue;
    }
    KeptHash kept{KeptHash::Kind::record, *id, {}, {}, {}};
    take_pairs(replies[2 * i], kept.fields);
    kept.log = texts_of(replies[2 * i + 1]);
    write_hash(e, keys[i], kept);
  }
}

void write_key(Exporting& e, const DumpKey& key) {
  ++e.end.others;
  e.out.line(encode(key));
}

// Keys to look things up by; all are small.
void write_lookups(Exporting& e, Connection& node,
                   const std::vector<std::string>& keys, DumpKey::Kind kind,
                   const std::string& begin) {
  const bool events = kind != DumpKey::Kind::email;
  std::vector<Command> commands;
  for (const std::string& key : keys) {
    commands.push_back({events ? "GET" : "SMEMBERS", key});
    commands.push_back({"TTL", key});
  }
  const std::vector<Reply> replies = node.ask(commands);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Reply& reply = replies[2 * i];
    if (reply.is_error()) {
      e.leave_out(keys[i]);
      continue;
    }
    DumpKey key{kind, keys[i].substr(begin.size()), {}, {}, {}, {}};
    key.ttl = ttl_of(replies[2 * i + 1]);
    if (events) key.value = reply.text;
    if (!events) key.members = texts_of(reply);
    if (key.value.empty() && key.members.empty()) continue;
    write_key(e, key);
  }
}

// A list that may be long: some members a line.
void write_list(Exporting& e, Connection& node, const std::string& key,
                DumpKey::Kind kind) {
  const char* scan = kind == DumpKey::Kind::ignored   ? "SSCAN"
                     : kind == DumpKey::Kind::webhook ? "HSCAN"
                                                      : "ZSCAN";
  std::string cursor = "0";
  do {
    const std::vector<Command> command{{scan, key, cursor, "COUNT", "500"}};
    const Reply reply = node.ask(command).front();
    if (reply.elements.size() != 2) return e.leave_out(key);
    cursor = reply.elements[0].text;
    if (reply.elements[1].elements.empty()) continue;
    DumpKey line{kind, {}, {}, {}, {}, {}};
    if (kind == DumpKey::Kind::ignored) {
      line.members = texts_of(reply.elements[1]);
    } else {
      take_pairs(reply.elements[1], line.pairs);
    }
    write_key(e, line);
  } while (cursor != "0");
}

// All but places.
void write_rest(Exporting& e, Connection& node,
                std::span<const std::string> keys) {
  using Kind = DumpKey::Kind;
  const Keys& names = e.context.keys();
  const std::string events = names.event(""), emails = names.email("");
  const std::string records = e.context.space() + ":{u:";
  const std::pair<std::string, Kind> lists[] = {
      {names.parked(), Kind::parked},
      {names.unmatched(), Kind::unmatched},
      {names.lost(), Kind::lost},
      {names.ignored(), Kind::ignored},
      {names.webhook(), Kind::webhook}};
  std::vector<std::string> of_records, of_events, of_emails;
  for (const std::string& key : keys) {
    const auto list =
        std::find_if(std::begin(lists), std::end(lists),
                     [&](const auto& one) { return one.first == key; });
    if (list != std::end(lists)) {
      write_list(e, node, key, list->second);
    } else if (key.starts_with(records) && key.ends_with('}')) {
      of_records.push_back(key);
    } else if (key.starts_with(records) && key.ends_with("}:log")) {
      continue;
    } else if (key == names.reconcile()) {
      write_lookups(e, node, {key}, Kind::reconcile, key);
    } else if (key.starts_with(events)) {
      of_events.push_back(key);
    } else if (key.starts_with(emails)) {
      of_emails.push_back(key);
    } else if (!name_in_key(e.context, key, "p:")) {
      e.leave_out(key);
    }
  }
  if (!of_records.empty()) write_records(e, node, of_records);
  if (!of_events.empty()) {
    write_lookups(e, node, of_events, Kind::event, events);
  }
  if (!of_emails.empty()) {
    write_lookups(e, node, of_emails, Kind::email, emails);
  }
}

template <class Write>
void each_few_keys(Exporting& e, const std::string& pattern, Write write) {
  each_key(e.context, pattern, kNoLimit,
           [&](Connection& node, const std::vector<std::string>& keys) {
             for (std::size_t i = 0; i < keys.size(); i += kAtOnce) {
               const std::size_t count = std::min(kAtOnce, keys.size() - i);
               write(e, node, std::span(keys).subspan(i, count));
               e.progress.add(static_cast<std::int64_t>(count));
             }
             return true;
           });
}

Answer answer_of(const Exporting& e, const ExportOptions& options,
                 bool as_json) {
  const bool to_file = options.file != "-";
  Answer answer;
  answer.how = e.left_out_in_all > 0 ? Exit::found : Exit::fine;
  if (as_json && to_file) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, e.context);
    out.text("file", printable(options.file))
        .number("places", e.end.places)
        .number("users", e.end.users)
        .number("others", e.end.others);
    out.number("left_out", static_cast<std::int64_t>(e.left_out_in_all))
        .key("keys")
        .strings(e.left_out)
        .end_object();
    return answer;
  }
  std::string text;
  if (to_file) {
    text = fmt::format("{}: {} users and {} places of {}.\n",
                       printable(options.file), e.end.users, e.end.places,
                       e.context.space());
  }
  std::string left;
  if (e.left_out_in_all > 0) {
    left = fmt::format(
        "{} keys were left out: they cannot be read, or are no "
        "kind of key that is known here:\n",
        e.left_out_in_all);
    for (const std::string& key : e.left_out) left += "    " + key + '\n';
    fmt::print(stderr, "{}", left);
  }
  answer.text = text;
  return answer;
}

}  // namespace

Answer export_all(const Context& context, const ExportOptions& options,
                  bool as_json) {
  if (options.file == "-" && as_json) {
    throw Stop(Exit::usage,
               "--json is for a file: what goes to standard output is JSON");
  }
  Out out(options.file);
  Progress progress("keys", size_of(context));
  Exporting e{context, out, progress};
  out.line(encode(DumpHead{kDumpFormat, context.prefix(),
                           std::string(name(context.mode())), context.now()}));
  const std::string begin = literal_pattern(context.space() + ':');
  // First whose everything is.
  each_few_keys(e, begin + "{p:*}", write_places);
  each_few_keys(e, begin + '*', write_rest);
  out.line(encode(e.end));
  out.close();
  return answer_of(e, options, as_json);
}

}  // namespace entitle::cli
