// One HTTP request, as a browser or Stripe would make it, and what answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace entitle::cli {

struct HttpRequest {
  std::string url;
  std::optional<std::string> body = {};   // none: GET
  std::vector<std::string> headers = {};  // "Name: value"
  // Where to connect, whatever the URL's name resolves to: "127.0.0.1:80", or
  // the path of a socket. Empty: where the name leads.
  std::string address = {};
  std::string socket = {};
  std::chrono::milliseconds time{30'000};
  std::size_t most = 16384;  // bytes of the answer's body that are kept
};

struct HttpAnswer {
  unsigned status = 0;   // 0: none; then `error`
  std::string body;      // its beginning
  std::string location;  // whereto it redirects; empty: nowhere
  std::string error;
};

// Redirects are not followed. Throws Stop where there is no asking at all.
HttpAnswer ask(const HttpRequest& request);

}  // namespace entitle::cli
