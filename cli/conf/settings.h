// What `entitle_redis...` says: how Redis is reached. The same words are
// options of the command line.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "core/redis/address.h"

namespace entitle::cli {

struct RedisSsl {
  bool on = false;
  bool verify = true;
  std::string name;
  std::string trusted_certificate;  // paths
  std::string certificate;
  std::string certificate_key;
};

struct RedisSettings {
  RedisAddress address;
  std::string text = "redis://127.0.0.1:6379";  // as it was written
  std::string user;
  std::string password;
  std::string sentinel_password;
  RedisSsl ssl;
  // A person waits longer than a request does.
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds timeout{2000};
  int wait_replicas = 0;
  std::chrono::milliseconds wait_time{0};
};

RedisSettings default_redis();

// Reads a file that is named, and a name as a path.
struct NamedFiles {
  std::function<std::string(const std::string&)> read;
  std::function<std::string(const std::string&)> path;
};

// Takes one directive or option, `entitle_redis_user` for one, and its first
// value. False: it is not about Redis. Throws Stop where it cannot be.
bool take_redis_word(RedisSettings& redis, const std::string& name,
                     const std::string& value, const NamedFiles& files);

// A time as nginx has them: 30s, 1h30m, 500ms. Throws Stop.
std::chrono::milliseconds time_of(const std::string& text);

}  // namespace entitle::cli
