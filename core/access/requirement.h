// `entitle_require`: each line names alternatives, and every line must hold.
// No keyword exists here: whatever a variable expands to is a name or nothing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

// The names of one line, variables expanded. A name whose variable part came
// out empty is given as "".
using Alternatives = std::vector<std::string_view>;

// Empty names and names with control bytes or commas never match, whatever the
// user holds.
bool can_match(std::string_view name);

// Whether of every line some alternative is held; no lines: true. `held` is
// sorted. A line without alternatives is never met. Allocates nothing.
bool all_met(std::span<const Alternatives> lines,
             std::span<const std::string> held);

// What would have opened the lines that are not met: all their alternatives
// that can match at all, sorted, unique.
std::vector<std::string> missing_names(std::span<const Alternatives> lines,
                                       std::span<const std::string> held);

}  // namespace entitle
