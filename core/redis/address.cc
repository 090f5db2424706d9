#include "core/redis/address.h"

#include <utility>

#include "core/base/ascii.h"
#include "core/base/decimal.h"

namespace entitle {
namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr int kGreatestDb = 65535;

ParsedRedisAddress refuse(std::string why) {
  return {std::nullopt, std::move(why)};
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The part before the first `separator`; `text` keeps what follows it. Null
// where there is no separator, and `text` stays as it is.
std::optional<std::string_view> take_until(std::string_view& text,
                                           char separator) {
  std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view head = text.substr(0, at);
  text.remove_prefix(at + 1);
  return head;
}

bool valid_host(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (char c : host) {
    if (!is_alphanumeric(c) && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

bool valid_ipv6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         host.find_first_not_of("0123456789abcdefABCDEF:.") ==
             std::string_view::npos;
}

std::optional<RedisHost> parse_host(std::string_view text,
                                    std::uint16_t default_port) {
  RedisHost result{"", default_port};
  if (take_prefix(text, "[")) {
    std::optional<std::string_view> inside = take_until(text, ']');
    if (!inside || !valid_ipv6(*inside)) return std::nullopt;
    result.host = *inside;
    if (!text.empty() && !text.starts_with(':')) return std::nullopt;
  } else {
    std::size_t colon = text.find(':');
    std::string_view host = text.substr(0, colon);
    if (!valid_host(host)) return std::nullopt;
    result.host = host;
    text.remove_prefix(host.size());
  }
  if (take_prefix(text, ":")) {
    std::optional<int> port = parse_decimal<int>(text, 65535);
    if (!port || *port == 0) return std::nullopt;
    result.port = static_cast<std::uint16_t>(*port);
  }
  return result;
}

std::optional<std::string> parse_hosts(std::string_view text,
                                       std::uint16_t default_port,
                                       RedisAddress& address) {
  for (bool more = true; more;) {
    std::string_view rest = text;
    std::optional<std::string_view> head = take_until(rest, ',');
    std::string_view item = head ? *head : text;
    std::optional<RedisHost> host = parse_host(item, default_port);
    if (!host) {
      return "host \"" + std::string(item) +
             "\" must be name[:port], ipv4[:port] or [ipv6][:port]";
    }
    address.hosts.push_back(std::move(*host));
    more = head.has_value();
    text = rest;
  }
  return std::nullopt;
}

ParsedRedisAddress parse_unix(std::string_view text) {
  RedisAddress address;
  address.kind = RedisAddress::Kind::unix_socket;
  std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    std::optional<int> db =
        parse_decimal<int>(text.substr(colon + 1), kGreatestDb);
    if (!db) return refuse("database after the last \":\" must be a number");
    address.db = *db;
    text = text.substr(0, colon);
  }
  if (!text.starts_with('/')) return refuse("unix: needs an absolute path");
  address.path = text;
  return {std::move(address), {}};
}

// Strips `user@`; an error where a password was written.
std::optional<std::string> parse_user(std::string_view& text,
                                      RedisAddress& address) {
  std::optional<std::string_view> user = take_until(text, '@');
  if (!user) return std::nullopt;
  if (user->find(':') != std::string_view::npos) {
    return "a password may not be written here, use "
           "entitle_redis_password_file";
  }
  if (user->empty() || user->find_first_of("/ ") != std::string_view::npos) {
    return "the user before \"@\" must not be empty";
  }
  address.user = *user;
  return std::nullopt;
}

std::optional<std::string> parse_db(std::string_view text,
                                    RedisAddress& address) {
  if (text.empty()) return std::nullopt;
  std::optional<int> db = parse_decimal<int>(text, kGreatestDb);
  if (!db) {
    return "database \"" + std::string(text) + "\" must be a number";
  }
  address.db = *db;
  return std::nullopt;
}

ParsedRedisAddress parse_url(RedisAddress::Kind kind, bool ssl,
                             std::string_view text) {
  using Kind = RedisAddress::Kind;
  RedisAddress address;
  address.kind = kind;
  address.ssl = ssl;
  if (auto error = parse_user(text, address)) return refuse(*error);

  std::string_view path;
  std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    path = text.substr(slash + 1);
    text = text.substr(0, slash);
  }
  std::uint16_t port = kind == Kind::sentinel ? kSentinelPort : kRedisPort;
  if (auto error = parse_hosts(text, port, address)) return refuse(*error);

  if (kind == Kind::single && address.hosts.size() > 1) {
    return refuse("several hosts need sentinel:// or cluster://");
  }
  if (kind == Kind::cluster && !path.empty()) {
    return refuse("a cluster has no databases");
  }
  if (kind == Kind::sentinel) {
    std::string_view name = path.substr(0, path.find('/'));
    if (name.empty()) {
      return refuse("sentinel:// needs the master's name after the hosts");
    }
    address.master_name = name;
    path.remove_prefix(name.size());
    take_prefix(path, "/");
  }
  if (auto error = parse_db(path, address)) return refuse(*error);
  return {std::move(address), {}};
}

}  // namespace

ParsedRedisAddress parse_redis_address(std::string_view text) {
  using Kind = RedisAddress::Kind;
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) {
    return refuse("it must not contain white space");
  }
  if (take_prefix(text, "redis://"))
    return parse_url(Kind::single, false, text);
  if (take_prefix(text, "rediss://"))
    return parse_url(Kind::single, true, text);
  if (take_prefix(text, "sentinel://")) {
    return parse_url(Kind::sentinel, false, text);
  }
  if (take_prefix(text, "cluster://")) {
    return parse_url(Kind::cluster, false, text);
  }
  if (take_prefix(text, "unix:")) return parse_unix(text);
  return refuse(
      "it must begin with redis://, rediss://, unix:/, sentinel:// or "
      "cluster://");
}

}  // namespace entitle
