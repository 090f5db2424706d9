#include "cli/why/url.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <memory>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "core/base/ascii.h"
#include "core/base/percent.h"

namespace entitle::cli {
namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const {
    pcre2_match_data_free(match);
  }
};

bool matches(const std::string& pattern, bool any_case,
             const std::string& text) {
  int error = 0;
  std::size_t at = 0;
  const std::unique_ptr<pcre2_code, FreeCode> code(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
      any_case ? PCRE2_CASELESS : 0, &error, &at, nullptr));
  if (!code) {
    throw Stop(Exit::cannot_tell, fmt::format("\"{}\" is no regular expression",
                                              printable(pattern)));
  }
  const std::unique_ptr<pcre2_match_data, FreeMatch> match(
      pcre2_match_data_create_from_pattern(code.get(), nullptr));
  return pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                     text.size(), 0, 0, match.get(), nullptr) >= 0;
}

// As nginx makes $uri of it: decoded, slashes merged, dots resolved.
// Source: nginx src/http/ngx_http_parse.c (ngx_http_parse_complex_uri).
std::string normalized(const std::string& path) {
  const std::optional<std::string> decoded = percent_decode(path);
  if (!decoded) {
    throw Stop(Exit::usage, fmt::format("\"{}\" is no path: a % begins two hex "
                                        "digits",
                                        printable(path)));
  }
  std::vector<std::string> parts;
  bool folder = true;
  for (std::size_t at = 0; at < decoded->size();) {
    const std::size_t end = std::min(decoded->find('/', at), decoded->size());
    const std::string part = decoded->substr(at, end - at);
    folder = end < decoded->size() || part == "." || part == "..";
    if (part == "..") {
      if (parts.empty()) throw Stop(Exit::usage, "the path leaves the site");
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string& part : parts) out += '/' + part;
  return out.empty() || folder ? out + '/' : out;
}

// --- servers -----------------------------------------------------------------

bool takes_host(const Server& server, const std::string& host) {
  for (const std::string& name : server.names) {
    if (name.starts_with('~')) {
      if (matches(name.substr(1), true, host)) return true;
    } else if (name.starts_with('.')) {
      if (equal_ignoring_case(host, name.substr(1)) ||
          lower_case(host).ends_with(lower_case(name))) {
        return true;
      }
    } else if (name.starts_with("*.")) {
      if (lower_case(host).ends_with(lower_case(name.substr(1)))) return true;
    } else if (name.ends_with(".*")) {
      const std::string begin = name.substr(0, name.size() - 1);
      if (lower_case(host).starts_with(lower_case(begin))) return true;
    } else if (equal_ignoring_case(host, name)) {
      return true;
    }
  }
  return false;
}

// --- locations ---------------------------------------------------------------

struct Found {
  const Location* location = nullptr;
  bool final = false;  // nothing else is looked at
};

// Source: nginx src/http/ngx_http_core_module.c (ngx_http_core_find_location).
Found find(const std::vector<Location>& locations, const std::string& path) {
  Found best;
  for (const Location& location : locations) {
    if (location.modifier == "=" && location.path == path) {
      return {&location, true};
    }
    const bool prefix =
        (location.modifier.empty() || location.modifier == "^~") &&
        path.starts_with(location.path);
    if (prefix && (best.location == nullptr ||
                   location.path.size() > best.location->path.size())) {
      best.location = &location;
    }
  }
  bool regular = true;
  if (best.location != nullptr) {
    regular = best.location->modifier != "^~";
    const Found inner = find(best.location->locations, path);
    if (inner.final) return inner;
    if (inner.location != nullptr) best.location = inner.location;
  }
  if (!regular) return best;
  for (const Location& location : locations) {
    if (!location.modifier.starts_with('~')) continue;
    if (!matches(location.path, location.modifier == "~*", path)) continue;
    const Found inner = find(location.locations, path);
    return {inner.location != nullptr ? inner.location : &location, true};
  }
  return best;
}

}  // namespace

Url url_of(const std::string& text) {
  std::string rest = text;
  Url url;
  if (const std::size_t scheme = rest.find("://");
      scheme != std::string::npos && rest.starts_with("http")) {
    rest.erase(0, scheme + 3);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    url.host = rest.substr(0, end);
    if (const std::size_t port = url.host.rfind(':');
        port != std::string::npos && !url.host.ends_with(']')) {
      url.host.erase(port);
    }
    rest.erase(0, end);
    if (rest.empty()) rest = "/";
  }
  if (!rest.starts_with('/')) {
    throw Stop(Exit::usage,
               fmt::format("\"{}\" is neither /a/path nor https://host/a/path",
                           printable(text)));
  }
  url.path = normalized(rest.substr(0, rest.find_first_of("?#")));
  return url;
}

const Server& server_for(const Context& context, const Url& url) {
  std::vector<const Server*> candidates;
  std::vector<std::string> names;
  for (const Server* server : context.servers()) {
    if (!server->has_gate()) continue;
    names.push_back(server->name());
    if (url.host.empty() || takes_host(*server, url.host)) {
      candidates.push_back(server);
    }
  }
  if (context.grants() == nullptr) {
    throw Stop(Exit::usage, "--url needs the configuration: --config FILE");
  }
  if (candidates.empty()) {
    throw Stop(
        Exit::usage,
        fmt::format("no server with a gate is named \"{}\"; there {} {}",
                    printable(url.host), names.size() == 1 ? "is" : "are",
                    names.empty() ? "none" : listed(names)));
  }
  if (candidates.size() > 1 && url.host.empty()) {
    throw Stop(Exit::usage,
               fmt::format("several servers have gates: {}; say --server, or "
                           "the whole URL",
                           listed(names)));
  }
  return *candidates.front();
}

const Location& location_for(const Server& server, const std::string& path) {
  const Found found = find(server.root.locations, path);
  return found.location != nullptr ? *found.location : server.root;
}

std::string text_of(const Location& location) {
  if (location.path.empty()) return fmt::format("server ({})", location.at);
  return fmt::format("location {}{}{} ({})", location.modifier,
                     location.modifier.empty() ? "" : " ",
                     printable(location.path), location.at);
}

}  // namespace entitle::cli
