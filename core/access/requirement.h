// `entitle_require`: each line names alternatives, and every line must hold.
// What is no is_entitlement_name() never matches, whatever the user holds.
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

// Whether of every line some alternative is held; no lines: true. `held` is
// sorted. A line without alternatives is never met. Allocates nothing.
bool all_met(std::span<const Alternatives> lines,
             std::span<const std::string> held);

// What would have opened the lines that are not met: all their alternatives
// that can match at all, sorted, unique.
std::vector<std::string> missing_names(std::span<const Alternatives> lines,
                                       std::span<const std::string> held);

}  // namespace entitle
