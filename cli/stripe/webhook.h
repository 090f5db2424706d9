// An event sent to a webhook as Stripe sends it: signed, over HTTP.
#pragma once

#include <string>
#include <vector>

#include "cli/base/http.h"
#include "cli/kept/context.h"
#include "core/base/types.h"

namespace entitle::cli {

// The secrets of the location that takes this mode's events, or of `file` if it
// is named. Throws Stop where there is none.
std::vector<std::string> webhook_secrets(const Context& context,
                                         const std::string& file);

// The header Stripe-Signature.
std::string signature_of(const std::string& body, const std::string& secret,
                         UnixTime now);

HttpAnswer get_url(const std::string& url);
HttpAnswer post_event(const std::string& url, const std::string& body,
                      const std::string& signature);

}  // namespace entitle::cli
