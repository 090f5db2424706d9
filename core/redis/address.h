// How to reach Redis, as `entitle_redis` writes it:
//
//   redis://[user@]host[:port][/db]      rediss:// the same, with TLS
//   unix:/path[:db]
//   sentinel://[user@]a[:p],b[:p]/name[/db]
//   cluster://[user@]a[:p],b[:p]
//
// Hosts are names, IPv4 or [IPv6]; nothing is resolved here. A password has no
// place in a configuration that is shown in logs and `nginx -T`: it is refused
// with a hint to entitle_redis_password_file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

struct RedisHost {
  std::string host;  // without the brackets of IPv6
  std::uint16_t port = 0;
  bool operator==(const RedisHost&) const = default;
};

struct RedisAddress {
  enum class Kind { single, unix_socket, sentinel, cluster };

  Kind kind = Kind::single;
  std::vector<RedisHost> hosts;  // empty for unix_socket
  std::string path;              // of unix_socket
  std::string master_name;       // of sentinel
  std::string user;              // empty: the default user
  int db = 0;
  bool ssl = false;
};

struct ParsedRedisAddress {
  std::optional<RedisAddress> address;
  std::string error;  // when there is none: what is wrong and what is allowed
};

ParsedRedisAddress parse_redis_address(std::string_view text);

}  // namespace entitle
