// What Redis says about itself (INFO): lines of "field:value" that end in
// CRLF, and "# Section" between them.
#pragma once

#include <string_view>

namespace entitle {

// The value of the first such line, within `info`; empty where there is none.
std::string_view info_field(std::string_view info, std::string_view field);

}  // namespace entitle
