#include "core/redis/exec_reply.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace entitle {
namespace {

bool says(const Reply& reply, std::string_view word) {
  return reply.type == Reply::Type::status && reply.text == word;
}

// Of what transactions write, all else is answered with a number.
bool fits(const Command& command, const Reply& reply) {
  constexpr std::array<std::string_view, 2> kAnsweredOk = {"LTRIM", "SET"};
  const bool ok = std::find(kAnsweredOk.begin(), kAnsweredOk.end(),
                            command.front()) != kAnsweredOk.end();
  return ok ? says(reply, "OK") : reply.type == Reply::Type::integer;
}

// What EXEC gave, one for each command; errors are answers too.
bool all_fit(std::span<const Command> written, const Reply& exec) {
  return exec.elements.size() == written.size() &&
         std::equal(written.begin(), written.end(), exec.elements.begin(),
                    [](const Command& command, const Reply& reply) {
                      return reply.is_error() || fits(command, reply);
                    });
}

CommitReply refused(std::string why) {
  return {Commit::refused, std::move(why)};
}

}  // namespace

// Redis refuses a command when it is queued (then EXEC says EXECABORT) or when
// it runs (then it is an element of EXEC's answer).
CommitReply judge_exec(std::span<const Command> commands,
                       std::span<const Reply> replies,
                       std::size_t dispensable) {
  for (const Reply& reply : replies) {
    if (reply.is_error()) return refused(reply.text);
  }
  if (replies.empty()) return refused("no answer to EXEC");
  if (replies.size() != commands.size()) return refused("answers are missing");
  if (!says(replies.front(), "OK")) return refused("MULTI was not taken");
  const auto queued = replies.subspan(1, replies.size() - 2);
  if (!std::all_of(queued.begin(), queued.end(),
                   [](const Reply& reply) { return says(reply, "QUEUED"); })) {
    return refused("a command was not queued for EXEC");
  }
  const Reply& exec = replies.back();
  if (exec.is_nil()) return {Commit::conflict, {}};
  if (!exec.is_array()) return refused("EXEC gave no list");
  const auto written = commands.subspan(1, commands.size() - 2);
  if (!all_fit(written, exec)) {
    return refused("what EXEC gave does not fit what was asked");
  }
  const std::size_t needed =
      written.size() - std::min(dispensable, written.size());
  for (std::size_t i = 0; i < written.size(); i++) {
    if (!exec.elements[i].is_error()) continue;
    return {i < needed ? Commit::refused : Commit::committed,
            exec.elements[i].text, i};
  }
  return {Commit::committed, {}};
}

bool leaves_doubt(std::span<const Command> commands,
                  std::span<const Reply> replies) {
  if (replies.size() != commands.size()) return true;
  std::size_t multi = 0;  // where it stands, counted from one
  for (std::size_t i = 0; i < commands.size(); i++) {
    const std::string& verb = commands[i].front();
    const Reply& reply = replies[i];
    if (verb == "EXEC") {
      const bool over = reply.is_nil() ||
                        (reply.is_array() &&
                         all_fit(commands.subspan(multi, i - multi), reply));
      if (!over) return true;
      multi = 0;
    } else if (multi != 0) {
      if (!reply.is_error() && !says(reply, "QUEUED")) return true;
    } else if (verb == "WATCH" || verb == "UNWATCH" || verb == "MULTI") {
      if (!says(reply, "OK")) return true;
      if (verb == "MULTI") multi = i + 1;
    }
  }
  return multi != 0;
}

}  // namespace entitle
