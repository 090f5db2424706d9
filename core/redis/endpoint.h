// Where a connection to Redis goes and how it greets. A value: copied freely,
// compared to see whether a connection has to be made anew.
#pragma once

#include <string>

#include "core/redis/address.h"

namespace entitle {

struct Endpoint {
  // Whose password is given: nobody's, the Redis user's, the Sentinels'.
  enum class Login { none, redis, sentinel };

  RedisHost host;    // a name, or an IPv4 or IPv6 address in text
  std::string path;  // of a unix socket: then there is no host
  bool ssl = false;
  Login login = Login::none;
  int db = 0;

  // host:port, [ipv6]:port or unix:/path, for logs and as an instance's name.
  std::string text() const;
  bool operator==(const Endpoint&) const = default;
};

}  // namespace entitle
