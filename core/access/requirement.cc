#include "core/access/requirement.h"

#include <algorithm>
#include <functional>

#include "core/base/ascii.h"

namespace entitle {
namespace {

bool is_met(const Alternatives& line, std::span<const std::string> held) {
  return std::any_of(line.begin(), line.end(), [&](std::string_view name) {
    return can_match(name) &&
           std::binary_search(held.begin(), held.end(), name, std::less<>());
  });
}

}  // namespace

bool can_match(std::string_view name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](char c) {
    return is_control_byte(c) || c == ',';
  });
}

bool all_met(std::span<const Alternatives> lines,
             std::span<const std::string> held) {
  return std::all_of(lines.begin(), lines.end(), [&](const Alternatives& line) {
    return is_met(line, held);
  });
}

std::vector<std::string> missing_names(std::span<const Alternatives> lines,
                                       std::span<const std::string> held) {
  std::vector<std::string> missing;
  for (const Alternatives& line : lines) {
    if (is_met(line, held)) continue;
    for (std::string_view name : line) {
      if (can_match(name)) missing.emplace_back(name);
    }
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

}  // namespace entitle
