// What a URL's location requires, found as nginx finds it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/conf/site.h"
#include "cli/kept/context.h"

namespace entitle::cli {

struct Url {
  std::string host;  // empty: only a path was said
  std::string path;  // decoded, as locations are compared with it
};
// "/path?x" or "https://host/path". Throws Stop where it is neither.
Url url_of(const std::string& text);

// The server of the context that takes the host; without a host the only one
// with a gate. Throws Stop where that is nobody, or several.
const Server& server_for(const Context& context, const Url& url);

// The location that serves the path, in the server's tree: its root where no
// location does.
const Location& location_for(const Server& server, const std::string& path);

// "location ~ \.mp4$ (/etc/nginx/nginx.conf:12)", for people.
std::string text_of(const Location& location);

}  // namespace entitle::cli
