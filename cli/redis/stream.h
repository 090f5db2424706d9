// Bytes to and from a server, in the clear or over TLS, each within a time of
// its own. Nothing here waits for ever.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "cli/conf/settings.h"
#include "core/redis/endpoint.h"

namespace entitle::cli {

// Why a server cannot be talked to; the text names it.
class Unreachable : public std::exception {
 public:
  explicit Unreachable(std::string why) : why_(std::move(why)) {}
  const char* what() const noexcept override { return why_.c_str(); }

 private:
  std::string why_;
};

using Clock = std::chrono::steady_clock;

class Stream {
 public:
  // Connects; with TLS the server is known before anything is said to it.
  Stream(const Endpoint& endpoint, const RedisSettings& settings,
         Clock::time_point until);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void write(std::string_view bytes, Clock::time_point until);
  // At least one byte, into `into`.
  void read(std::string& into, Clock::time_point until);

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  void connect(const Endpoint& endpoint, Clock::time_point until);
  bool connect_to(const void* address, unsigned size, int family,
                  Clock::time_point until, std::string& why);
  void secure(const Endpoint& endpoint, const RedisSsl& settings,
              Clock::time_point until);
  void wait(short events, Clock::time_point until);
  // Waits as OpenSSL asks to; throws where it is no matter of waiting.
  void wait_as(int result, std::string_view doing, Clock::time_point until);
  [[noreturn]] void fail(std::string_view why) const;

  std::string name_;
  int fd_ = -1;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace entitle::cli
