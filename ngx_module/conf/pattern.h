// What can be told of a regular expression by its text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle::ngx {

// What every match of a pattern begins with, in lower case; null: it may match
// in the middle.
std::optional<std::string> literal_beginning(std::string_view pattern);

// Some texts that it may match, of each alternative one as far as they are few.
// A guess: whoever wants to be sure tries them.
std::vector<std::string> samples_of(std::string_view pattern);

}  // namespace entitle::ngx
