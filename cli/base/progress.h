// How far something long has come, on standard error: how much, how fast, and
// how long it will take still. Nothing where that is no terminal, and nothing
// of what takes no second.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/types.h"

namespace entitle::cli {

// The line, of columns at most 79: "keys: 1200 of 5000 (24%), 400/s, 9 seconds
// left". Without a total neither the share nor what is left.
std::string text_of_progress(const std::string& what, std::int64_t done,
                             std::optional<std::int64_t> total,
                             std::chrono::milliseconds spent);

class Progress {
 public:
  // `what` is counted: "keys". No total: nobody knows how many there are.
  explicit Progress(std::string what,
                    std::optional<std::int64_t> total = std::nullopt);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::int64_t count);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::optional<std::int64_t> total_;
  std::int64_t done_ = 0;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point begun_;
  Clock::time_point next_;  // when it is shown again
};

}  // namespace entitle::cli
