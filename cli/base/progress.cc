#include "cli/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/base/text.h"

namespace entitle::cli {
namespace {

constexpr std::chrono::seconds kUnseen{1};
constexpr std::chrono::milliseconds kBetween{200};
constexpr std::size_t kColumns = 79;

}  // namespace

std::string text_of_progress(const std::string& what, std::int64_t done,
                             std::optional<std::int64_t> total,
                             std::chrono::milliseconds spent) {
  const std::int64_t rate =
      done * 1000 / std::max<std::int64_t>(spent.count(), 1);
  std::string text = fmt::format("{}: {}", what, done);
  if (total && *total > 0) {
    text += fmt::format(" of {} ({}%)", *total,
                        std::min<std::int64_t>(100, done * 100 / *total));
  }
  text += fmt::format(", {}/s", rate);
  if (total && rate > 0) {
    const std::int64_t left = std::max<std::int64_t>(*total - done, 0);
    text += fmt::format(", {} left", text_of_span(Seconds{left / rate}));
  }
  return text.substr(0, kColumns);
}

Progress::Progress(std::string what, std::optional<std::int64_t> total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      begun_(Clock::now()),
      next_(begun_ + kUnseen) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::add(std::int64_t count) {
  done_ += count;
  if (!terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kBetween;
  shown_ = true;
  const auto spent =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - begun_);
  fmt::print(stderr, "\r{}\x1b[K",
             text_of_progress(what_, done_, total_, spent));
  std::fflush(stderr);
}

}  // namespace entitle::cli
