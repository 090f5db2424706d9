// Sends Stripe events to a webhook location as fast as it answers, and counts
// the answers. Signs with OpenSSL directly, not with the code it measures.
//
//   webhook_load PORT PATH SECRET CONNECTIONS FIRST USERS TEMPLATE...
//
// Each user gets every template once, in order, with @U@ replaced by the user's
// number (8 digits); connections share the users. One line of JSON at the end.
#include <openssl/hmac.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/connection.h"

namespace {

using bench::Connection;
using Counts = std::map<std::string, long>;

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(std::string(path) + ": cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string for_user(std::string text, const std::string& user) {
  for (std::size_t at = 0; (at = text.find("@U@", at)) != std::string::npos;) {
    text.replace(at, 3, user);
  }
  return text;
}

std::string signature(const std::string& secret, const std::string& body) {
  std::string time = std::to_string(std::time(nullptr));
  std::string message = time + "." + body;
  unsigned char mac[32];
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
       mac, nullptr);
  std::string hex;
  for (unsigned char byte : mac) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return "t=" + time + ",v1=" + hex;
}

// The answer, headers and body.
std::string exchange(Connection& connection, const std::string& request) {
  connection.forget();
  connection.send(request);
  for (;;) {
    const std::string& answer = connection.more();
    std::size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    std::size_t length = answer.find("Content-Length: ");
    if (length == std::string::npos) continue;
    std::size_t body = std::strtoul(answer.c_str() + length + 16, nullptr, 10);
    if (answer.size() >= head + 4 + body) return answer;
  }
}

// "200 applied", "503".
std::string kind_of(const std::string& answer) {
  std::string kind = answer.substr(9, 3);
  std::size_t at = answer.find("\"outcome\":\"");
  if (at == std::string::npos) return kind;
  at += 11;
  return kind + " " + answer.substr(at, answer.find('"', at) - at);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) {
    std::fprintf(stderr,
                 "usage: webhook_load PORT PATH SECRET CONNECTIONS FIRST USERS "
                 "TEMPLATE...\n");
    return 2;
  }
  int port = std::atoi(argv[1]);
  std::string path = argv[2];
  std::string secret = argv[3];
  int connections = std::atoi(argv[4]);
  long first = std::atol(argv[5]);
  long users = std::atol(argv[6]);
  std::vector<std::string> templates;
  for (int i = 7; i < argc; i++) templates.push_back(read_file(argv[i]));

  std::vector<Counts> counts(static_cast<std::size_t>(connections));
  std::vector<std::thread> threads;
  auto began = std::chrono::steady_clock::now();
  for (int c = 0; c < connections; c++) {
    threads.emplace_back([&, c] {
      Counts& mine = counts[static_cast<std::size_t>(c)];
      try {
        Connection connection(port);
        for (long u = first + c; u < first + users; u += connections) {
          char user[16];
          std::snprintf(user, sizeof user, "%08ld", u);
          for (const std::string& text : templates) {
            std::string body = for_user(text, user);
            mine[kind_of(exchange(
                connection,
                "POST " + path +
                    " HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    "application/json\r\nStripe-Signature: " +
                    signature(secret, body) + "\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body))]++;
          }
        }
      } catch (const std::exception& error) {
        mine[error.what()]++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

  Counts all;
  for (const Counts& some : counts) {
    for (const auto& [kind, n] : some) all[kind] += n;
  }
  std::printf("{\"seconds\":%.3f", took.count());
  for (const auto& [kind, n] : all) std::printf(",\"%s\":%ld", kind.c_str(), n);
  std::printf("}\n");
}
