#include "cli/conf/names.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle::cli {
namespace {

void add_required(const Location& location, std::set<std::string>& names) {
  for (const RequireLine& line : location.require) {
    names.insert(line.names.begin(), line.names.end());
  }
  for (const Location& inner : location.locations) add_required(inner, names);
}

// Of the pattern's beginning, which is a '$'.
std::size_t length_of_variable(std::string_view pattern) {
  if (pattern.substr(1).starts_with('{')) {
    return std::min(pattern.find('}'), pattern.size() - 1) + 1;
  }
  std::size_t length = 1;
  while (length < pattern.size() &&
         (is_alphanumeric(pattern[length]) || pattern[length] == '_')) {
    ++length;
  }
  return length;
}

bool fits(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (!pattern.starts_with('$')) {
    return !name.empty() && pattern.front() == name.front() &&
           fits(pattern.substr(1), name.substr(1));
  }
  // A variable that is empty makes a name that never matches.
  const std::string_view rest = pattern.substr(length_of_variable(pattern));
  for (std::size_t taken = 1; taken <= name.size(); ++taken) {
    if (fits(rest, name.substr(taken))) return true;
  }
  return false;
}

}  // namespace

std::set<std::string> known_names(const std::vector<const Server*>& servers,
                                  const GrantMap& grants) {
  std::set<std::string> names;
  for (const Server* server : servers) add_required(server->root, names);
  for (const Identifier& identifier : grants.identifiers()) {
    for (std::string_view name : grants.entitlements_of(identifier)) {
      names.emplace(name);
    }
  }
  return names;
}

bool is_known_name(const std::set<std::string>& known, std::string_view name) {
  return std::any_of(
      known.begin(), known.end(),
      [&](const std::string& pattern) { return fits(pattern, name); });
}

}  // namespace entitle::cli
