// What entitle_poll tells a program that waited: that it is let in, and what
// the user has.
#pragma once

#include <cstdint>
#include <string>

#include "core/access/decision.h"

namespace entitle {

// {"decision":"allow","entitlements":["pro"],"version":1767000000001,
//  "until":1769592000}
//
// Of a ruling that lets in. The words are those of $entitle_decision,
// $entitle_entitlements, $entitle_version and $entitle_until; `until`, in unix
// seconds, is left out where there is no known end. On one line; a name that is
// no UTF-8 is left out.
std::string granted_json(const Ruling& ruling, std::int64_t version);

}  // namespace entitle
