#include "core/http/cache_control.h"

#include <algorithm>
#include <vector>

#include "core/base/ascii.h"

namespace entitle {
namespace {

// Directives are separated by commas outside quotes: private="a, b".
std::vector<std::string_view> directives(std::string_view line) {
  std::vector<std::string_view> found;
  bool quoted = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size()) {
      if (line[i] == '"') quoted = !quoted;
      if (line[i] != ',' || quoted) continue;
    }
    const std::string_view word = trim_ows(line.substr(start, i - start));
    if (!word.empty()) found.push_back(word);
    start = i + 1;
  }
  return found;
}

std::string_view name_of(std::string_view directive) {
  return trim_ows(directive.substr(0, directive.find('=')));
}

// `private="X"` speaks of one field only, so any form of private is replaced
// by the plain one.
bool contradicts_private(std::string_view directive) {
  const std::string_view name = name_of(directive);
  return equal_ignoring_case(name, "public") ||
         equal_ignoring_case(name, "private") ||
         equal_ignoring_case(name, "s-maxage") ||
         equal_ignoring_case(name, "proxy-revalidate");
}

// To a browser: `s-maxage` is none of its business, and `no-cache="X"` speaks
// of one field.
bool says_how_long(std::string_view directive) {
  return equal_ignoring_case(name_of(directive), "max-age") ||
         equal_ignoring_case(directive, "no-cache");
}

}  // namespace

std::string at_least_private(std::span<const std::string_view> lines,
                             bool expires) {
  std::string all;
  std::string kept = "private";
  bool no_store = false;
  bool freshness = expires;
  for (std::string_view line : lines) {
    for (std::string_view directive : directives(line)) {
      if (!all.empty()) all += ", ";
      all += directive;
      no_store |= equal_ignoring_case(directive, "no-store");
      freshness |= says_how_long(directive);
      if (contradicts_private(directive)) continue;
      kept += ", ";
      kept += directive;
    }
  }
  if (no_store) return all;
  return freshness ? kept : kept + ", no-cache";
}

bool is_targeted_cache_control(std::string_view header_name) {
  constexpr std::string_view cdn = "cdn-cache-control";
  if (header_name.size() < cdn.size()) return false;
  if (equal_ignoring_case(header_name, "Surrogate-Control")) return true;
  return equal_ignoring_case(
      header_name.substr(header_name.size() - cdn.size()), cdn);
}

}  // namespace entitle
