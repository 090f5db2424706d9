// A connection to a server of this machine, for what measures it.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench {

class Connection {
 public:
  // Throws std::runtime_error, as all of it does.
  explicit Connection(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address),
                sizeof address) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::string_view text) const {
    while (!text.empty()) {
      ssize_t n = write(socket_, text.data(), text.size());
      if (n <= 0) throw std::runtime_error("cannot send");
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  // What has come, after at least one more read.
  const std::string& more() {
    char buffer[4096];
    ssize_t n = read(socket_, buffer, sizeof buffer);
    if (n <= 0) throw std::runtime_error("connection closed");
    return text_.append(buffer, static_cast<std::size_t>(n));
  }
  void forget() { text_.clear(); }

 private:
  int socket_;
  std::string text_;
};

}  // namespace bench
