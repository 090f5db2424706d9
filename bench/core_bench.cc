// What the pure parts cost: everything between bytes that arrived and an
// answer, without nginx and without Redis. Floors are measured beside them.
//
//   cmake -B build -DENTITLE_BENCH=ON && cmake --build build -t core_bench
//   build/bench/core_bench
#include <benchmark/benchmark.h>
#include <openssl/hmac.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/access/memory.h"
#include "core/access/requirement.h"
#include "core/base/types.h"
#include "core/crypto/hmac.h"
#include "core/http/cookie.h"
#include "core/identity/edge_session.h"
#include "core/redis/lease.h"
#include "core/stripe/client_reference.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"
#include "core/stripe/signature.h"

namespace {

using benchmark::DoNotOptimize;
using benchmark::State;
using entitle::HmacSha256;
using entitle::Seconds;
using entitle::unix_time;

constexpr std::int64_t kNow = 1767225600;
const std::string kSecret = "whsec_0123456789abcdef0123456789abcdef";

std::string event_body() {
  const char* path = ENTITLE_FIXTURES
      "/stripe/2024-06-20/customer.subscription.created.active.json";
  std::ifstream file(path, std::ios::binary);
  std::string body{std::istreambuf_iterator<char>(file), {}};
  if (body.empty()) throw std::runtime_error(path);
  return body;
}

std::vector<HmacSha256> secrets(std::size_t count) {
  std::vector<HmacSha256> keyed;
  while (keyed.size() + 1 < count) keyed.emplace_back("whsec_another");
  keyed.emplace_back(kSecret);
  return keyed;
}

std::string signature_header(const std::string& body) {
  std::string t = std::to_string(kNow);
  std::string header = "t=" + t + ",v1=";
  for (std::uint8_t byte : HmacSha256(kSecret)({t, ".", body})) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    header += hex;
  }
  return header;
}

void report_bytes(State& state, std::size_t bytes) {
  state.SetBytesProcessed(
      static_cast<std::int64_t>(state.iterations() * bytes));
}

void hmac_keyed(State& state) {
  std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  HmacSha256 hmac(kSecret);
  for (auto _ : state) DoNotOptimize(hmac({data}));
  report_bytes(state, data.size());
}
BENCHMARK(hmac_keyed)->Arg(240)->Arg(3584);

void hmac_one_shot(State& state) {
  std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  unsigned char mac[32];
  for (auto _ : state) {
    DoNotOptimize(HMAC(EVP_sha256(), kSecret.data(),
                       static_cast<int>(kSecret.size()),
                       reinterpret_cast<const unsigned char*>(data.data()),
                       data.size(), mac, nullptr));
  }
  report_bytes(state, data.size());
}
BENCHMARK(hmac_one_shot)->Arg(240)->Arg(3584);

// Arg: secrets configured (rolling: two).
void verify_signature(State& state) {
  std::string body = event_body();
  std::string header = signature_header(body);
  auto keyed = secrets(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto verdict = entitle::verify_signature(header, body, keyed,
                                             unix_time(kNow), Seconds(300));
    if (!verdict.payload) state.SkipWithError("not accepted");
    DoNotOptimize(verdict);
  }
  report_bytes(state, body.size());
}
BENCHMARK(verify_signature)->Arg(1)->Arg(2);

// Arg: whether facts are taken from the event, too.
void verified_event(State& state) {
  std::string body = event_body();
  std::string header = signature_header(body);
  auto keyed = secrets(1);
  entitle::FactsOptions options{entitle::default_user_from(), nullptr};
  for (auto _ : state) {
    auto verdict = entitle::verify_signature(header, body, keyed,
                                             unix_time(kNow), Seconds(300));
    auto parsed = entitle::parse_event(*verdict.payload);
    if (!parsed.event) state.SkipWithError("not an event");
    if (state.range(0) != 0) {
      DoNotOptimize(entitle::facts_of(*parsed.event, options));
    }
    DoNotOptimize(parsed);
  }
  report_bytes(state, body.size());
}
BENCHMARK(verified_event)->Arg(0)->Arg(1);

entitle::SessionKeys session_keys(std::size_t count) {
  std::vector<std::string> raw;
  while (raw.size() + 1 < count) raw.emplace_back(32, 'n');
  raw.emplace_back(32, 'k');
  return entitle::SessionKeys(raw);
}

entitle::Session session() {
  return {*entitle::User::from("3f0c4a2e-9d5b-4a52-8a53-0d7c3f2a9b11"),
          1767225600123, unix_time(kNow), unix_time(kNow + 43200),
          "di0OFi7vFarHCo1FWFdQ6A"};
}

void sign_session(State& state) {
  auto keys = session_keys(1);
  auto claims = session();
  for (auto _ : state) {
    DoNotOptimize(entitle::sign_session(keys, "live", claims));
  }
}
BENCHMARK(sign_session);

// Arg: keys in the file (rotating: two).
void verify_session(State& state) {
  std::string token = entitle::sign_session(session_keys(1), "live", session());
  auto keys = session_keys(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto verdict =
        entitle::verify_session(keys, "live", token, unix_time(kNow));
    if (!verdict.session) state.SkipWithError("not accepted");
    DoNotOptimize(verdict);
  }
}
BENCHMARK(verify_session)->Arg(1)->Arg(2);

void refuse_forged_session(State& state) {
  std::string token = entitle::sign_session(session_keys(1), "live", session());
  token[60] = token[60] == 'A' ? 'B' : 'A';
  auto keys = session_keys(1);
  for (auto _ : state) {
    DoNotOptimize(
        entitle::verify_session(keys, "live", token, unix_time(kNow)));
  }
}
BENCHMARK(refuse_forged_session);

void bind_matches(State& state) {
  auto keys = session_keys(1);
  const std::vector<entitle::BoundTo> to = {
      {"cookie", "connect.sid",
       "s%3AJx1mV0f8Q2c7pYt5wLr9.Zk3nD6hB1sXg4eUoTqiWaMlNvCyRjKfPb0E"}};
  std::string binding = entitle::bind(keys, to);
  for (auto _ : state) {
    DoNotOptimize(entitle::bind_matches(keys, binding, to));
  }
}
BENCHMARK(bind_matches);

void find_cookie(State& state) {
  std::string header =
      "_ga=GA1.2.1234567890.1767225600; theme=dark; "
      "sid=s%3AJx1mV0f8Q2c7pYt5wLr9.Zk3nD6hB1sXg4eUoTqiWaMlNvCyRjKfPb0E; "
      "__Host-entitle=" +
      entitle::sign_session(session_keys(1), "live", session());
  std::vector<std::string_view> values;
  for (auto _ : state) {
    values.clear();
    entitle::cookie_values(header, "__Host-entitle", values);
    DoNotOptimize(values);
  }
}
BENCHMARK(find_cookie);

void requirements_met(State& state) {
  const std::vector<entitle::Alternatives> lines = {{"pro", "team"}, {"beta"}};
  const std::vector<std::string> held = {"beta", "early", "team"};
  for (auto _ : state) DoNotOptimize(entitle::all_met(lines, held));
}
BENCHMARK(requirements_met);

void client_reference(State& state) {
  const std::vector<std::string> raw = {std::string(32, 'k')};
  entitle::ClientReference references(raw);
  auto user = session().user;
  for (auto _ : state) DoNotOptimize(references.make(user));
}
BENCHMARK(client_reference);

// --- a cached record, by many at once ---

// What a look into the zone does under its mutex, and what a remembered hit
// reads instead. Threads stand for workers.
struct SharedZone {
  std::array<entitle::FillNumbers::Word, 4097> words{};
  std::array<std::array<char, 192>, 64> entries{};
  std::array<char*, 64> recent{};
  alignas(64) std::atomic<int> mutex{0};

  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  // As nginx's: tries for a while, pausing longer each time, then yields.
  void lock() {
    for (;;) {
      for (int pause = 1; pause < 2048; pause *= 2) {
        if (mutex.load(std::memory_order_relaxed) == 0 &&
            mutex.exchange(1) == 0) {
          return;
        }
        for (int i = 0; i < pause; i++) relax();
      }
      sched_yield();
    }
  }
  void unlock() { mutex.store(0); }
};
SharedZone zone;

void record_with_the_lock(State& state) {
  const entitle::FillNumbers numbers(zone.words.data(), zone.words.size());
  std::array<char, 192> copy;
  std::uint64_t user = static_cast<std::uint64_t>(state.thread_index()) << 56;
  for (auto _ : state) {
    user += 0x9e3779b97f4a7c15u;
    const std::size_t at = user >> 58;
    zone.lock();
    copy = zone.entries[at];
    std::swap(zone.recent[0], zone.recent[at]);
    zone.unlock();
    DoNotOptimize(copy);
    DoNotOptimize(numbers.of(user));
  }
}
BENCHMARK(record_with_the_lock)->ThreadRange(1, 8)->UseRealTime();

void record_without_the_lock(State& state) {
  const entitle::FillNumbers numbers(zone.words.data(), zone.words.size());
  std::uint64_t user = static_cast<std::uint64_t>(state.thread_index()) << 56;
  for (auto _ : state) {
    user += 0x9e3779b97f4a7c15u;
    DoNotOptimize(numbers.of(user));
  }
}
BENCHMARK(record_without_the_lock)->ThreadRange(1, 8)->UseRealTime();

// --- what was found out before ---

// `same`: over the connection it was last found for.
void recall(State& state, bool same) {
  const std::string cookies =
      "_ga=GA1.2.1234567890.1767225600; theme=dark; "
      "sid=s%3AJx1mV0f8Q2c7pYt5wLr9.Zk3nD6hB1sXg4eUoTqiWaMlNvCyRjKfPb0E; "
      "__Host-entitle=" +
      entitle::sign_session(session_keys(1), "live", session());
  entitle::Memory<int> memory(entitle::SipKey{1, 2}, 4 << 20);
  entitle::Evidence evidence(&memory);
  evidence.add(cookies);
  memory.put(1, evidence, std::make_shared<const int>(1), sizeof(int));
  std::uint64_t connection = 1;
  for (auto _ : state) {
    if (!same) connection++;
    DoNotOptimize(memory.find(connection, evidence));
  }
}
BENCHMARK_CAPTURE(recall, by_the_same_connection, true);
BENCHMARK_CAPTURE(recall, by_another, false);

}  // namespace

BENCHMARK_MAIN();
