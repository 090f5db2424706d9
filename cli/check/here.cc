#include "cli/check/here.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/base/text.h"
#include "core/base/ascii.h"

namespace entitle::cli {
namespace {

constexpr std::chrono::milliseconds kTime{5000};

bool is_port(const std::string& text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), is_digit);
}

// Where to connect: "80" and "*:80" are all addresses, this machine's too.
std::string address_of(const std::string& listen) {
  if (is_port(listen)) return "127.0.0.1:" + listen;
  const std::size_t colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  const bool has_port =
      colon != std::string::npos && is_port(listen.substr(colon + 1));
  const std::string port = has_port ? listen.substr(colon + 1) : "80";
  if (!has_port) return listen + ":80";
  if (host == "*" || host == "0.0.0.0") return "127.0.0.1:" + port;
  if (host == "[::]") return "[::1]:" + port;
  return listen;
}

// What Host says: the first name that is one.
std::string host_of(const Server& server) {
  for (const std::string& name : server.names) {
    if (!name.empty() && name != "_" &&
        name.find_first_of("*~$/ ") == std::string::npos) {
      return name.front() == '.' ? name.substr(1) : name;
    }
  }
  return "localhost";
}

}  // namespace

std::optional<HttpRequest> request_here(const Server& server,
                                        const std::string& path) {
  const auto plain =
      std::find_if(server.listens.begin(), server.listens.end(),
                   [](const Listen& listen) { return !listen.tls; });
  Listen listen{"80", false};
  if (!server.listens.empty()) {
    listen = plain != server.listens.end() ? *plain : server.listens.front();
  }
  if (listen.address.find('$') != std::string::npos) return std::nullopt;
  HttpRequest request;
  request.url = (listen.tls ? "https://" : "http://") + host_of(server) + path;
  request.time = kTime;
  if (listen.address.starts_with("unix:")) {
    request.socket = listen.address.substr(5);
  } else {
    request.address = address_of(listen.address);
  }
  return request;
}

std::string path_of(const Location& location) {
  const bool plain =
      (location.modifier.empty() || location.modifier == "=" ||
       location.modifier == "^~") &&
      location.path.starts_with('/') &&
      std::none_of(location.path.begin(), location.path.end(), [](char c) {
        return is_control_byte(c) || c == ' ' || c == '?' || c == '#' ||
               c == '%';
      });
  return plain ? location.path : "";
}

std::string text_of(const HttpAnswer& answer) {
  if (answer.status == 0) return "does not answer: " + answer.error;
  if (answer.location.empty()) return fmt::format("answers {}", answer.status);
  return fmt::format("answers {} to {}", answer.status,
                     printable(answer.location));
}

}  // namespace entitle::cli
