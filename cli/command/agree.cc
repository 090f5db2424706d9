#include "cli/command/agree.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/ascii.h"
#include "core/base/types.h"
#include "core/base/utf8.h"
#include "core/identity/browser_id.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMostBytes = 500;

std::string whoever() {
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && *sudo != '\0') return sudo;
  const passwd* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : std::to_string(geteuid());
}

void check(std::string_view what, const std::string& text) {
  if (const auto wrong = wrong_with_words(what, text)) {
    throw Stop(Exit::usage, *wrong);
  }
}

}  // namespace

// It stands in a line of JSON, which everybody reads.
std::optional<std::string> wrong_with_words(std::string_view what,
                                            const std::string& text) {
  if (text.size() <= kMostBytes && is_utf8(text) && !has_control_bytes(text)) {
    return std::nullopt;
  }
  return fmt::format("{} takes text of at most {} bytes, no control bytes",
                     what, kMostBytes);
}

std::optional<std::string> wrong_with_user(const std::string& text) {
  const std::optional<User> user = User::from(text);
  if (!user) return "a user has 1 to 255 bytes, no control bytes";
  if (text.starts_with("guest:") && !is_browser_user(*user)) {
    return fmt::format(
        "\"{}\" is no browser's id: that has 22 characters after \"guest:\"",
        printable(text));
  }
  return std::nullopt;
}

OperatorsWord word_of(const WriteOptions& options) {
  check("--by", options.by);
  check("--reason", options.reason);
  std::string by = options.by.empty() ? whoever() : options.by;
  if (options.by.empty()) check("SUDO_USER, for want of --by,", by);
  return {std::move(by), options.reason};
}

void agree(const std::string& plan, const WriteOptions& options) {
  if (options.yes) return;
  if (isatty(STDIN_FILENO) == 0) {
    throw Stop(Exit::refused, plan + "Nothing was written: --yes does it.");
  }
  fmt::print(stderr, "{}Do it? [y/N] ", plan);
  const int answer = std::getchar();
  if (answer != 'y' && answer != 'Y') {
    throw Stop(Exit::refused, "nothing was written");
  }
}

}  // namespace entitle::cli
