// Words for people, in the page of entitle_status and in the log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace entitle {

// "12 seconds", "14 minutes", "5 hours", "3 days": the greatest unit of which
// there are at least two.
std::string span_words(std::int64_t seconds);
// "2026-11-28 09:37:00 UTC"
std::string time_words(std::int64_t unix_seconds);
// "1 customer", "2 customers"
std::string count_words(std::int64_t count, std::string_view one,
                        std::string_view several);
// What an operator types, in the space that is meant: `entitlectl WORDS`, with
// the options that lead there. `argument` is quoted for a shell; empty: none.
std::string command_words(std::string_view words, std::string_view argument,
                          std::string_view prefix, Mode mode);

}  // namespace entitle
