// How long after a change at Redis the gate's answers are right: cancels and
// renews one user's subscription in turn, each time as soon as the answer to
// the last is right, and asks the gate back to back until it is.
//
//   change_latency PORT URI REDIS-PORT KEY FIELD ACTIVE CANCELED CHANGES
//
// ACTIVE and CANCELED are files with the two values of FIELD in the hash KEY;
// the gate answers 200 and 402. One line of JSON at the end, in microseconds
// from Redis' acknowledgement to the end of the first right answer, and, as
// `unchanged_*`, what a request takes when nothing has changed. Changes whose
// first answer was already right are counted as `at_once`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/connection.h"

namespace {

using bench::Connection;
using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(std::string(path) + ": cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string command(const std::vector<std::string>& words) {
  std::string text = "*";
  text += std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    text += '$';
    text += std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return text;
}

void write_field(Connection& redis, const std::string& request) {
  redis.forget();
  redis.send(request);
  const std::string* answer = &redis.more();
  while (!answer->ends_with("\r\n")) answer = &redis.more();
  if (!answer->starts_with(":")) throw std::runtime_error(*answer);
}

int status_of(Connection& gate, const std::string& request) {
  gate.forget();
  gate.send(request);
  for (;;) {
    const std::string& answer = gate.more();
    std::size_t head = answer.find("\r\n\r\n");
    std::size_t length = answer.find("Content-Length: ");
    if (head == std::string::npos || length > head) continue;
    std::size_t body = std::strtoul(answer.c_str() + length + 16, nullptr, 10);
    if (answer.size() >= head + 4 + body) return std::atoi(&answer[9]);
  }
}

double percentile(const std::vector<double>& sorted, double share) {
  auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(share * last + 0.5)];
}

void measure(char** argv) {
  Connection gate(std::atoi(argv[1]));
  Connection redis(std::atoi(argv[3]));
  const std::string get =
      "GET " + std::string(argv[2]) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string set[2] = {
      command({"HSET", argv[4], argv[5], read_file(argv[7])}),
      command({"HSET", argv[4], argv[5], read_file(argv[6])})};
  const int expected[2] = {402, 200};

  std::vector<double> took, unchanged;
  long at_once = 0;
  const long changes = std::atol(argv[8]);
  for (long i = 0; i < changes; i++) {
    write_field(redis, set[i % 2]);
    const auto acknowledged = Clock::now();
    long answers = 1;
    while (status_of(gate, get) != expected[i % 2]) {
      answers++;
      if (Clock::now() - acknowledged > std::chrono::seconds(30)) {
        throw std::runtime_error("the gate never noticed");
      }
    }
    took.push_back(Microseconds(Clock::now() - acknowledged).count());
    at_once += answers == 1;

    const auto asked = Clock::now();
    status_of(gate, get);
    unchanged.push_back(Microseconds(Clock::now() - asked).count());
    // So that changes meet every moment of the heartbeat.
    std::this_thread::sleep_for(std::chrono::microseconds(i * 7919 % 2000));
  }
  std::sort(took.begin(), took.end());
  std::sort(unchanged.begin(), unchanged.end());
  std::printf(
      "{\"changes\":%ld,\"at_once\":%ld,\"p50\":%.1f,\"p99\":%.1f,"
      "\"max\":%.1f,\"unchanged_p50\":%.1f,\"unchanged_p99\":%.1f}\n",
      changes, at_once, percentile(took, 0.5), percentile(took, 0.99),
      took.back(), percentile(unchanged, 0.5), percentile(unchanged, 0.99));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr,
                 "usage: change_latency PORT URI REDIS-PORT KEY FIELD ACTIVE "
                 "CANCELED CHANGES\n");
    return 2;
  }
  try {
    measure(argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "change_latency: %s\n", error.what());
    return 1;
  }
  return 0;
}
