// The response to Stripe, per outcome: HTTP status and JSON body. Never
// anything internal; what went wrong is in the log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/delivery/outcome.h"
#include "core/source/identifier.h"

namespace entitle {

struct Response {
  int status;  // 200, 202 or 503 (send Retry-After)
  std::string body;
};

// 200 where the event is stored or there is nothing to store; 202 where it is
// taken but a person should look; 503 where Stripe must send it again.
// `unlocks` are the user's entitlements now; only a 200 names them.
// `carries`: what a purchase that unlocks nothing is known by; `awaits`: the
// type of the event that would say what becomes of it, or nothing.
Response response_to(Outcome outcome, const std::vector<std::string>& unlocks,
                     const std::vector<Identifier>& carries = {},
                     std::string_view awaits = {});

// The body of a 4xx: {"error":"signature_mismatch"}.
std::string error_body(std::string_view error);

}  // namespace entitle
