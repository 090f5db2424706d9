// What a server's configuration comes to, as far as it decides what a purchase
// gives: told by entitle_status, compared by entitlectl with the files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/access/grants.h"
#include "core/access/policy.h"
#include "core/base/types.h"
#include "core/json/writer.h"

namespace entitle {

// Of one server.
struct ServerSettings {
  std::string name;  // the first of its names, or the line it begins at
  std::string prefix;
  Mode mode = Mode::live;
  const GrantMap* grants = nullptr;
  Policy policy;
};

// The same for the same prefix, mode, grants and graces, whoever computes it:
// 32 hex digits. Names count for nothing.
std::string fingerprint(const ServerSettings& server);

// {"server":…,"prefix":…,"mode":…,"fingerprint":…,"grace":…,…,
//  "grants":{"pro":["price_1",…],…}}
void write(json::Writer& out, const ServerSettings& server);

}  // namespace entitle
