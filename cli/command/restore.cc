// entitlectl restore: puts back what export wrote, line by line.
#include "core/delivery/restore.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <variant>

#include "cli/base/progress.h"
#include "cli/base/text.h"
#include "cli/command/agree.h"
#include "cli/command/command.h"
#include "cli/kept/dump.h"
#include "core/record/keys.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kAtOnce = 64;            // hashes in one transaction
constexpr std::size_t kBytesAtOnce = 1 << 20;  // of lines, or one line
constexpr std::size_t kMostShown = 20;

using Kind = KeptHash::Kind;

// A file, or standard input, line by line.
class Lines {
 public:
  explicit Lines(const std::string& name) : name_(name) {
    if (name == "-") return;
    file_.open(name, std::ios::binary);
    if (!file_) {
      throw Stop(Exit::usage,
                 fmt::format("{}: {}", name, std::strerror(errno)));
    }
  }
  // Null: there are no more.
  std::optional<DumpLine> next() {
    std::istream& in = name_ == "-" ? std::cin : file_;
    while (std::getline(in, text_)) {
      ++number_;
      if (text_.empty()) continue;
      std::optional<DumpLine> line = decode_dump_line(text_);
      if (!line) {
        throw Stop(Exit::usage,
                   fmt::format("{}: line {} is none of an export, or not whole",
                               name_, number_));
      }
      return line;
    }
    return std::nullopt;
  }
  std::size_t bytes() const { return text_.size() + 1; }

 private:
  std::string name_;
  std::ifstream file_;
  std::string text_;
  std::size_t number_ = 0;
};

DumpHead head_of(Lines& lines, const std::string& name) {
  std::optional<DumpLine> line;
  try {
    line = lines.next();
  } catch (const Stop&) {
    line.reset();
  }
  const DumpHead* head = line ? std::get_if<DumpHead>(&*line) : nullptr;
  if (head == nullptr) {
    throw Stop(Exit::usage, name + ": that is no export of entitlectl's");
  }
  if (head->format != kDumpFormat) {
    throw Stop(Exit::usage,
               fmt::format("{}: format {} is not known here, {} is; a later "
                           "entitlectl wrote it",
                           name, head->format, kDumpFormat));
  }
  return *head;
}

void count(const DumpLine& line, DumpEnd& seen) {
  if (const KeptHash* hash = std::get_if<KeptHash>(&line)) {
    ++(hash->kind == Kind::place ? seen.places : seen.users);
  } else if (std::holds_alternative<DumpKey>(line)) {
    ++seen.others;
  }
}

// What the last line counts, and what there is.
std::string difference_of(const DumpEnd& said, const DumpEnd& seen) {
  if (said == seen) return {};
  return fmt::format(
      "its last line counts {} places, {} users and {} others, and there are "
      "{}, {} and {}",
      said.places, said.users, said.others, seen.places, seen.users,
      seen.others);
}

// Every line, before any is written: what is cut off or damaged is seen then.
void check_all(const std::string& name) {
  Lines lines(name);
  head_of(lines, name);
  Progress progress("lines read");
  DumpEnd seen;
  std::optional<DumpEnd> said;
  while (const std::optional<DumpLine> line = lines.next()) {
    progress.add(1);
    count(*line, seen);
    const DumpEnd* end = std::get_if<DumpEnd>(&*line);
    said = end ? std::optional(*end) : std::nullopt;
  }
  if (!said) {
    throw Stop(Exit::usage, name +
                                ": it is cut off: its last line is not "
                                "there");
  }
  if (const std::string wrong = difference_of(*said, seen); !wrong.empty()) {
    throw Stop(Exit::usage, name + ": it is not whole: " + wrong);
  }
}

struct Counts {
  std::int64_t made = 0, merged = 0, same = 0, keys = 0;
  std::size_t unreadable_in_all = 0;
  std::vector<std::string> unreadable;
};

class Restoring {
 public:
  Restoring(const Context& context, OperatorsWord word)
      : context_(context),
        word_(std::move(word)),
        cluster_(context.redis().settings().address.kind ==
                 RedisAddress::Kind::cluster) {}

  void take(KeptHash kept, std::size_t bytes) {
    if (!hashes_.empty() && hashes_.front().kind != kept.kind) flush();
    hashes_.push_back(std::move(kept));
    bytes_ += bytes;
    if (hashes_.size() >= kAtOnce || bytes_ >= kBytesAtOnce) flush();
  }
  void take(const DumpKey& key) {
    flush();
    const std::string name = name_of(key);
    std::vector<Command> commands = commands_of(key, name);
    if (cluster_) {
      context_.redis().ask(name, std::move(commands));
    } else {
      for (Command& command : commands) pending_.push_back(std::move(command));
      if (pending_.size() >= 10 * kAtOnce) send();
    }
    ++counts_.keys;
  }
  const Counts& end() {
    flush();
    send();
    return counts_;
  }

 private:
  DeliveryOptions options() const {
    DeliveryOptions options = context_.delivery_options();
    options.one_server = !cluster_;
    return options;
  }

  void send() {
    if (pending_.empty()) return;
    context_.redis().ask("", std::exchange(pending_, {}));
  }

  void flush() {
    if (hashes_.empty()) return;
    std::vector<KeptHash> all = std::exchange(hashes_, {});
    bytes_ = 0;
    std::vector<bool> made(all.size(), false);
    if (!cluster_) made = context_.redis().hold(restore_new(all, options()));
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (made[i]) {
        ++counts_.made;
      } else {
        one(std::move(all[i]));
      }
    }
  }

  void one(KeptHash kept) {
    const std::string id = kept.id;
    const RestoreResult result =
        context_.redis().hold(restore(std::move(kept), word_, options()));
    switch (result.outcome) {
      case Restored::made:
        ++counts_.made;
        break;
      case Restored::merged:
        ++counts_.merged;
        break;
      case Restored::same:
        ++counts_.same;
        break;
      case Restored::unreadable:
        if (++counts_.unreadable_in_all <= kMostShown) {
          counts_.unreadable.push_back(printable(id));
        }
        break;
      case Restored::failed:
        throw Stop(Exit::cannot_tell,
                   fmt::format("{}: not stored: {}; the same file again goes "
                               "on from there",
                               printable(id), result.error));
    }
  }

  std::string name_of(const DumpKey& key) const {
    const Keys& keys = context_.keys();
    switch (key.kind) {
      case DumpKey::Kind::event:
        return keys.event(key.id);
      case DumpKey::Kind::email:
        return keys.email(key.id);
      case DumpKey::Kind::parked:
        return keys.parked();
      case DumpKey::Kind::unmatched:
        return keys.unmatched();
      case DumpKey::Kind::lost:
        return keys.lost();
      case DumpKey::Kind::ignored:
        return keys.ignored();
      case DumpKey::Kind::reconcile:
        return keys.reconcile();
      case DumpKey::Kind::webhook:
        break;
    }
    return keys.webhook();
  }

  // What is there already stays.
  static std::vector<Command> commands_of(const DumpKey& key,
                                          const std::string& name) {
    std::vector<Command> commands;
    if (!key.value.empty()) {
      Command set{"SET", name, key.value, "NX"};
      if (key.ttl) {
        set.insert(set.end(), {"EX", std::to_string(key.ttl->count())});
      }
      commands.push_back(std::move(set));
    }
    if (!key.members.empty()) {
      Command add{"SADD", name};
      add.insert(add.end(), key.members.begin(), key.members.end());
      commands.push_back(std::move(add));
    }
    const bool list = key.kind == DumpKey::Kind::parked ||
                      key.kind == DumpKey::Kind::unmatched ||
                      key.kind == DumpKey::Kind::lost;
    Command scores{"ZADD", name, "NX"};
    for (const auto& [member, value] : key.pairs) {
      if (list) {
        scores.insert(scores.end(), {value, member});
      } else {
        commands.push_back({"HSETNX", name, member, value});
      }
    }
    if (list && !key.pairs.empty()) commands.push_back(std::move(scores));
    return commands;
  }

  const Context& context_;
  OperatorsWord word_;
  bool cluster_;
  std::vector<KeptHash> hashes_;
  std::size_t bytes_ = 0;
  std::vector<Command> pending_;
  Counts counts_;
};

std::optional<std::int64_t> kilobytes_of(const std::string& name) {
  std::error_code error;
  const auto size = std::filesystem::file_size(name, error);
  if (error) return std::nullopt;
  return static_cast<std::int64_t>(size / 1024);
}

Counts restore_all(const Context& context, Lines& lines,
                   const RestoreOptions& options, const OperatorsWord& word,
                   std::string& broken) {
  DumpEnd seen;
  broken = "it is cut off: its last line is not there";
  Restoring restoring(context, word);
  Progress progress("kB", kilobytes_of(options.file));
  std::size_t bytes = 0;
  while (std::optional<DumpLine> line = lines.next()) {
    count(*line, seen);
    const DumpEnd* end = std::get_if<DumpEnd>(&*line);
    broken = end ? difference_of(*end, seen)
                 : "it is cut off: its last line is not there";
    if (KeptHash* hash = std::get_if<KeptHash>(&*line)) {
      restoring.take(std::move(*hash), lines.bytes());
    } else if (const DumpKey* key = std::get_if<DumpKey>(&*line)) {
      restoring.take(*key);
    }
    bytes += lines.bytes();
    progress.add(static_cast<std::int64_t>(bytes / 1024));
    bytes %= 1024;
  }
  return restoring.end();
}

// `broken`: why what was read is not whole; empty: it is.
Answer answer_of(const Context& context, const Counts& counts,
                 const std::string& broken, bool as_json) {
  Answer answer;
  if (counts.unreadable_in_all > 0) answer.how = Exit::found;
  if (!broken.empty()) answer.how = Exit::cannot_tell;
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.number("made", counts.made)
        .number("merged", counts.merged)
        .number("same", counts.same)
        .number("others", counts.keys)
        .boolean("whole", broken.empty())
        .key("unreadable")
        .strings(counts.unreadable)
        .end_object();
    return answer;
  }
  answer.text = fmt::format(
      "Under {}: {} made, {} merged with what is there, {} were the same; {} "
      "lists and keys to look up.\n",
      context.space(), counts.made, counts.merged, counts.same, counts.keys);
  if (counts.unreadable_in_all > 0) {
    answer.text +=
        fmt::format("{} cannot be read here, and stayed: {}\n",
                    counts.unreadable_in_all, listed(counts.unreadable));
  }
  if (!broken.empty()) {
    answer.text += "What was read is not whole: " + broken + ".\n";
  }
  return answer;
}

}  // namespace

Answer restore(const Context& context, const RestoreOptions& options,
               bool as_json) {
  const OperatorsWord word = word_of(options);
  if (options.file != "-") check_all(options.file);
  Lines lines(options.file);
  const DumpHead head = head_of(lines, options.file);
  if (head.mode != name(context.mode())) {
    throw Stop(Exit::refused,
               fmt::format("that is of mode {}, and {} is not: what is {} "
                           "opens nothing that is {}",
                           printable(head.mode), context.space(),
                           printable(head.mode), name(context.mode())));
  }
  agree(fmt::format("Under {}, what {}{} was at {} is put back, beside what is "
                    "there.\n",
                    context.space(), printable(head.prefix),
                    printable(head.mode), text_of_time(head.time)),
        options);
  std::string broken;
  const Counts counts = restore_all(context, lines, options, word, broken);
  return answer_of(context, counts, broken, as_json);
}

}  // namespace entitle::cli
