// How this machine's nginx is asked, whatever the world's name for a server
// leads to: at an address it listens on.
#pragma once

#include <optional>
#include <string>

#include "cli/base/http.h"
#include "cli/conf/site.h"

namespace entitle::cli {

// For a path of that server. Null: it listens nowhere that can be asked.
std::optional<HttpRequest> request_here(const Server& server,
                                        const std::string& path);

// A URL that leads to that location and no other; empty: none can be said, as
// of a regular expression.
std::string path_of(const Location& location);

// "GET 401", or why there is no answer; for people.
std::string text_of(const HttpAnswer& answer);

}  // namespace entitle::cli
