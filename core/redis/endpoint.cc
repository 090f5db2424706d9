#include "core/redis/endpoint.h"

namespace entitle {

std::string Endpoint::text() const {
  if (!path.empty()) return "unix:" + path;
  const bool ipv6 = host.host.find(':') != std::string::npos;
  return (ipv6 ? '[' + host.host + ']' : host.host) + ':' +
         std::to_string(host.port);
}

}  // namespace entitle
