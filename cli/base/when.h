// Times as people write them.
#pragma once

#include <string>

#include "core/base/types.h"

namespace entitle::cli {

// "7d" and "12h" are so long ago; "2026-11-01" begins that day (UTC); a number
// of nine digits or more is unix seconds. Throws Stop.
UnixTime time_since(const std::string& text, UnixTime now);

}  // namespace entitle::cli
