// A customer's e-mail as an event said it. The newest counts: it is kept in the
// place (field `email`, docs/redis.md):
//
//   {"is":"ann@example.com","at":1700000000,"event":"evt_1"}
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/source/unknown.h"

namespace entitle {

// Stands for the e-mail of a customer who has none any more: no e-mail is it.
inline constexpr std::string_view kNoEmail = "-";

struct SaidEmail {
  UnixTime said;      // when it was said, whatever repeats it later
  std::string event;  // evt_...
  std::string text;   // ASCII letters in lower case
  UnknownMembers unknown = {};
  auto operator<=>(const SaidEmail&) const = default;  // the newest is greatest

  std::string encode() const;
  static std::optional<SaidEmail> decode(std::string_view json);
};

}  // namespace entitle
