#include "core/access/requirement.h"

#include <algorithm>
#include <functional>

#include "core/source/identifier.h"

namespace entitle {
namespace {

bool is_met(const Alternatives& line, std::span<const std::string> held) {
  return std::any_of(line.begin(), line.end(), [&](std::string_view name) {
    return is_entitlement_name(name) &&
           std::binary_search(held.begin(), held.end(), name, std::less<>());
  });
}

}  // namespace

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
      if (is_entitlement_name(name)) missing.emplace_back(name);
    }
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

}  // namespace entitle
