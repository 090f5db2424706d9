// One connection to one Redis server or Sentinel: logged in, and asked
// commands, which are all answered before the next are sent.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "cli/conf/settings.h"
#include "cli/redis/stream.h"
#include "core/redis/endpoint.h"
#include "core/redis/reply.h"
#include "core/redis/resp.h"

namespace entitle::cli {

class Connection {
 public:
  // Connects and logs in. Throws Unreachable, also where Redis refuses.
  Connection(const Endpoint& endpoint, const RedisSettings& settings);

  // The replies, one a command, in order. Throws Unreachable; the connection
  // is of no use then.
  std::vector<Reply> ask(std::span<const Command> commands,
                         std::chrono::milliseconds more_time = {});
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  void log_in(const RedisSettings& settings);

  Endpoint endpoint_;
  std::chrono::milliseconds timeout_;
  Stream stream_;
  ReplyReader reader_;
};

}  // namespace entitle::cli
