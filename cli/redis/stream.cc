#include "cli/redis/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace entitle::cli {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

bool is_address(const std::string& name) {
  in6_addr address;
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection was closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace

Stream::Stream(const Endpoint& endpoint, const RedisSettings& settings,
               Clock::time_point until)
    : name_(endpoint.text()) {
  try {
    connect(endpoint, until);
    if (endpoint.ssl) secure(endpoint, settings.ssl, until);
  } catch (...) {
    if (fd_ >= 0) close(fd_);
    throw;
  }
}

Stream::~Stream() {
  if (ssl_) SSL_shutdown(ssl_.get());  // says goodbye, and waits for nothing
  if (fd_ >= 0) close(fd_);
}

void Stream::fail(std::string_view why) const {
  throw Unreachable(fmt::format("Redis at {}: {}", name_, why));
}

void Stream::wait(short events, Clock::time_point until) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) fail("no answer in time");
    pollfd waiting{fd_, events, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) fail(strerror(errno));
  }
}

bool Stream::connect_to(const void* address, unsigned size, int family,
                        Clock::time_point until, std::string& why) {
  fd_ = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail(strerror(errno));
  int error = 0;
  if (::connect(fd_, static_cast<const sockaddr*>(address), size) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      wait(POLLOUT, until);
      socklen_t length = sizeof(error);
      if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
      }
    }
  }
  if (error == 0) return true;
  why = strerror(error);
  close(std::exchange(fd_, -1));
  return false;
}

void Stream::connect(const Endpoint& endpoint, Clock::time_point until) {
  std::string why = "no address";
  if (!endpoint.path.empty()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (endpoint.path.size() >= sizeof(address.sun_path)) {
      fail("the path of a socket has at most 107 bytes");
    }
    endpoint.path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (connect_to(&address, sizeof(address), AF_UNIX, until, why)) return;
    fail(why);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      getaddrinfo(endpoint.host.host.c_str(),
                  std::to_string(endpoint.host.port).c_str(), &hints, &found);
  if (failed != 0) fail(gai_strerror(failed));
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (connect_to(one->ai_addr, one->ai_addrlen, one->ai_family, until, why)) {
      return;
    }
  }
  fail(why);
}

void Stream::secure(const Endpoint& endpoint, const RedisSsl& settings,
                    Clock::time_point until) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!context_) fail(openssl_error());
  SSL_CTX* context = context_.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const std::string& trusted = settings.trusted_certificate;
  const int known = trusted.empty() ? SSL_CTX_set_default_verify_paths(context)
                                    : SSL_CTX_load_verify_locations(
                                          context, trusted.c_str(), nullptr);
  if (known != 1) fail("no certificates in \"" + trusted + '"');
  if (!settings.certificate.empty() &&
      (SSL_CTX_use_certificate_chain_file(context,
                                          settings.certificate.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, settings.certificate_key.c_str(),
                                   SSL_FILETYPE_PEM) != 1)) {
    fail("the certificate to show: " + openssl_error());
  }
  SSL_CTX_set_verify(
      context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);

  ssl_.reset(SSL_new(context));
  if (!ssl_) fail(openssl_error());
  const std::string& name =
      settings.name.empty() ? endpoint.host.host : settings.name;
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_.get());
  if (is_address(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str());
  } else {
    X509_VERIFY_PARAM_set_hostflags(expected,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set1_host(expected, name.data(), name.size());
    // RFC 6066 section 3: no addresses in SNI.
    SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
  }
  SSL_set_fd(ssl_.get(), fd_);
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_.get());
    if (result == 1) return;
    wait_as(result, "the TLS handshake failed", until);
  }
}

void Stream::wait_as(int result, std::string_view doing,
                     Clock::time_point until) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wait(POLLIN, until);
      return;
    case SSL_ERROR_WANT_WRITE:
      wait(POLLOUT, until);
      return;
    default:
      break;
  }
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) {
    fail(fmt::format("its certificate is not to be trusted ({}: {})", verified,
                     X509_verify_cert_error_string(verified)));
  }
  fail(fmt::format("{} ({})", doing, openssl_error()));
}

void Stream::write(std::string_view bytes, Clock::time_point until) {
  while (!bytes.empty()) {
    std::size_t done = 0;
    if (ssl_) {
      ERR_clear_error();
      const int result =
          SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &done);
      if (result != 1) wait_as(result, "writing failed", until);
    } else {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        done = static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        wait(POLLOUT, until);
      } else if (errno != EINTR) {
        fail(strerror(errno));
      }
    }
    bytes.remove_prefix(done);
  }
}

void Stream::read(std::string& into, Clock::time_point until) {
  std::array<char, 65536> piece;
  for (;;) {
    if (ssl_) {
      ERR_clear_error();
      std::size_t got = 0;
      const int result =
          SSL_read_ex(ssl_.get(), piece.data(), piece.size(), &got);
      if (result == 1) {
        into.append(piece.data(), got);
        return;
      }
      wait_as(result, "reading failed", until);
      continue;
    }
    const ssize_t got = recv(fd_, piece.data(), piece.size(), 0);
    if (got > 0) {
      into.append(piece.data(), static_cast<std::size_t>(got));
      return;
    }
    if (got == 0) fail("it closed the connection");
    if (errno == EAGAIN) {
      wait(POLLIN, until);
    } else if (errno != EINTR) {
      fail(strerror(errno));
    }
  }
}

}  // namespace entitle::cli
