#include "cli/conf/settings.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "cli/base/stop.h"
#include "core/base/decimal.h"

namespace entitle::cli {
namespace {

using std::chrono::milliseconds;

// A number's unit at the beginning of `text`; a bare number is seconds.
milliseconds take_unit(std::string_view& text) {
  struct Unit {
    std::string_view name;
    milliseconds is;
  };
  // The longer of two that begin alike comes first.
  constexpr Unit units[] = {
      {"ms", milliseconds(1)},        {"s", milliseconds(1000)},
      {"m", std::chrono::minutes(1)}, {"h", std::chrono::hours(1)},
      {"d", std::chrono::hours(24)},  {"w", std::chrono::hours(24 * 7)},
      {"M", std::chrono::hours(720)}, {"y", std::chrono::hours(8760)},
  };
  for (const Unit& unit : units) {
    if (text.starts_with(unit.name)) {
      text.remove_prefix(unit.name.size());
      return unit.is;
    }
  }
  return text.empty() || text.front() == ' ' ? milliseconds(1000)
                                             : milliseconds(0);
}

bool is_on(const std::string& name, const std::string& value) {
  if (value != "on" && value != "off") {
    throw Stop(Exit::usage, fmt::format("\"{}\" must be on or off", name));
  }
  return value == "on";
}

RedisAddress address_of(const std::string& text) {
  ParsedRedisAddress parsed = parse_redis_address(text);
  if (!parsed.address) {
    throw Stop(Exit::usage,
               fmt::format("no address of a Redis: {}", parsed.error));
  }
  return *std::move(parsed.address);
}

std::string password_in(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

bool take_ssl_word(RedisSettings& redis, std::string_view name,
                   const std::string& value, const NamedFiles& files) {
  RedisSsl& ssl = redis.ssl;
  if (name == "ssl") {
    ssl.on = is_on("entitle_redis_ssl", value);
  } else if (name == "ssl_verify") {
    ssl.verify = is_on("entitle_redis_ssl_verify", value);
  } else if (name == "ssl_name") {
    ssl.name = value;
  } else if (name == "ssl_trusted_certificate") {
    ssl.trusted_certificate = files.path(value);
  } else if (name == "ssl_certificate") {
    ssl.certificate = files.path(value);
  } else if (name == "ssl_certificate_key") {
    ssl.certificate_key = files.path(value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

milliseconds time_of(const std::string& text) {
  constexpr milliseconds kMostTime{1'000'000'000'000'000};
  std::string_view rest = text;
  milliseconds sum{0};
  bool valid = !rest.empty();
  while (valid && !rest.empty()) {
    const std::string_view digits = take_digits(rest);
    const auto number = parse_decimal<std::int64_t>(digits, 1'000'000'000);
    const milliseconds unit = take_unit(rest);
    valid = !digits.empty() && number && unit.count() != 0 &&
            *number <= kMostTime / unit;
    if (valid) sum += *number * unit;
    while (valid && rest.starts_with(' ')) rest.remove_prefix(1);
  }
  if (!valid) {
    throw Stop(Exit::usage,
               fmt::format("\"{}\" must be a time, like 30s, 5m or 7d", text));
  }
  return sum;
}

RedisSettings default_redis() {
  RedisSettings redis;
  redis.address = address_of(redis.text);
  return redis;
}

bool take_redis_word(RedisSettings& redis, const std::string& name,
                     const std::string& value, const NamedFiles& files) {
  constexpr std::string_view kind = "entitle_redis";
  if (!name.starts_with(kind)) return false;
  std::string_view rest = name;
  rest.remove_prefix(kind.size());
  if (rest.empty()) {
    redis.address = address_of(value);
    redis.text = value;
    return true;
  }
  if (!rest.starts_with('_')) return false;
  rest.remove_prefix(1);
  if (rest == "user") {
    redis.user = value;
  } else if (rest == "password_file") {
    redis.password = password_in(files.read(value));
  } else if (rest == "sentinel_password_file") {
    redis.sentinel_password = password_in(files.read(value));
  } else {
    return take_ssl_word(redis, rest, value, files);
  }
  return true;
}

}  // namespace entitle::cli
