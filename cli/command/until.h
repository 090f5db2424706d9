// Until when, as people write it.
#pragma once

#include <string>

#include "core/base/types.h"

namespace entitle::cli {

// "2027-01-31": the end of that day; "2027-01-31T12:00:00Z" (the seconds and
// the Z may be left out; a blank may stand for the T); unix seconds. All UTC.
// Throws Stop.
UnixTime until_of(const std::string& text);

}  // namespace entitle::cli
