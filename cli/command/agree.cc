#include "cli/command/agree.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/base/stop.h"
#include "core/base/ascii.h"
#include "core/base/utf8.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMostBytes = 500;

std::string whoever() {
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && *sudo != '\0') return sudo;
  const passwd* user = getpwuid(geteuid());
  return user != nullptr ? user->pw_name : std::to_string(geteuid());
}

// It stands in a line of JSON, which everybody reads.
void check(const char* option, const std::string& text) {
  if (text.size() <= kMostBytes && is_utf8(text) && !has_control_bytes(text)) {
    return;
  }
  throw Stop(Exit::usage,
             fmt::format("{} takes text of at most {} bytes, no control bytes",
                         option, kMostBytes));
}

}  // namespace

OperatorsWord word_of(const WriteOptions& options) {
  check("--by", options.by);
  check("--reason", options.reason);
  return {options.by.empty() ? whoever() : options.by, options.reason};
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
