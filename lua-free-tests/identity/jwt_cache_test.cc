#include "core/identity/jwt_cache.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "core/base/types.h"

using entitle::JwtCache;
using entitle::JwtClaims;
using entitle::JwtScope;
using entitle::kForever;
using entitle::to_unix;
using entitle::unix_time;
using entitle::User;

namespace {

constexpr JwtScope kScope{1, 1};
const auto kNow = unix_time(1767225600);
const auto kLater = unix_time(1767225600 + 300);

JwtClaims claims(std::string_view user, entitle::UnixTime until = kLater) {
  JwtClaims made{*User::from(user), {}, {}};
  made.usable_until = until;
  return made;
}

std::string user_of(const JwtClaims* found) {
  return found ? found->user.str() : "(none)";
}

void expect(JwtCache& cache, JwtScope scope, std::string_view token,
            const char* user, entitle::UnixTime now = kNow) {
  assert_string_equal(user_of(cache.find(scope, token, now)).c_str(), user);
}

// Bytes that one entry of these tests takes.
std::size_t one_entry() {
  JwtCache cache(1 << 20);
  cache.put(kScope, "a.b.1", claims("u1"));
  return cache.bytes();
}

void a_token_is_known_by_its_full_text(void**) {
  JwtCache cache(1 << 20);
  std::string token = std::string(700, 'h') + ".payload.signature";
  cache.put(kScope, token, claims("ann"));
  expect(cache, kScope, token, "ann");
  expect(cache, kScope, token + 'x', "(none)");
  expect(cache, kScope, token.substr(1), "(none)");
  for (std::size_t i = 0; i < token.size(); i++) {
    std::string other = token;
    other[i] ^= 1;
    expect(cache, kScope, other, "(none)");
  }
  expect(cache, kScope, "", "(none)");
}

void the_claims_come_back_whole(void**) {
  JwtCache cache(1 << 20);
  JwtClaims whole{*User::from("ann"), 17, unix_time(5), unix_time(1767225700),
                  unix_time(1767225730)};
  cache.put(kScope, "t", whole);
  assert_true(*cache.find(kScope, "t", kNow) == whole);
}

void an_expired_token_is_forgotten_at_its_second(void**) {
  JwtCache cache(1 << 20);
  cache.put(kScope, "t", claims("ann"));
  expect(cache, kScope, "t", "ann", unix_time(to_unix(kLater) - 1));
  expect(cache, kScope, "t", "(none)", kLater);
  assert_int_equal(cache.bytes(), 0);
}

void a_token_without_expiry_stays(void**) {
  JwtCache cache(1 << 20);
  cache.put(kScope, "t", claims("ann", kForever));
  expect(cache, kScope, "t", "ann", unix_time(253402300799));
}

void new_keys_mean_a_new_verification(void**) {
  JwtCache cache(1 << 20);
  cache.put({1, 1}, "t", claims("ann"));
  expect(cache, {1, 2}, "t", "(none)");
  assert_int_equal(cache.bytes(), 0);
  cache.put({1, 2}, "t", claims("ann"));
  expect(cache, {1, 2}, "t", "ann");
}

void a_token_good_at_one_location_says_nothing_about_another(void**) {
  JwtCache cache(1 << 20);
  cache.put({1, 1}, "t", claims("ann"));
  expect(cache, {2, 1}, "t", "(none)");
  cache.put({2, 1}, "t", claims("tenant_9"));
  expect(cache, {1, 1}, "t", "ann");
  expect(cache, {2, 1}, "t", "tenant_9");
}

void putting_again_replaces(void**) {
  JwtCache cache(1 << 20);
  cache.put(kScope, "a.b.1", claims("u1"));
  cache.put(kScope, "a.b.1", claims("u2"));
  expect(cache, kScope, "a.b.1", "u2");
  assert_int_equal(cache.bytes(), one_entry());
}

void the_least_recently_used_go_first(void**) {
  JwtCache cache(3 * one_entry());
  for (const char* token : {"a.b.1", "a.b.2", "a.b.3"}) {
    cache.put(kScope, token, claims("u1"));
  }
  assert_int_equal(cache.bytes(), 3 * one_entry());
  expect(cache, kScope, "a.b.1", "u1");
  cache.put(kScope, "a.b.4", claims("u4"));
  expect(cache, kScope, "a.b.2", "(none)");
  expect(cache, kScope, "a.b.1", "u1");
  expect(cache, kScope, "a.b.3", "u1");
  expect(cache, kScope, "a.b.4", "u4");
}

void bytes_stay_bounded_and_counted(void**) {
  constexpr std::size_t kBound = 64 * 1024;
  JwtCache cache(kBound);
  for (int i = 0; i < 5000; i++) {
    std::string token(static_cast<std::size_t>(i * 37 % 9000), 't');
    cache.put({static_cast<std::uint64_t>(i % 7), 1}, token + std::to_string(i),
              claims("u"));
    assert_true(cache.bytes() <= kBound);
  }
  assert_true(cache.bytes() > kBound / 2);
}

void what_does_not_fit_is_not_remembered_and_evicts_nothing(void**) {
  JwtCache cache(one_entry());
  cache.put(kScope, "a.b.1", claims("u1"));
  cache.put(kScope, "a.b.1-longer", claims("u2"));
  expect(cache, kScope, "a.b.1", "u1");
  JwtCache none(0);
  none.put(kScope, "t", claims("ann"));
  expect(none, kScope, "t", "(none)");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_token_is_known_by_its_full_text),
      cmocka_unit_test(the_claims_come_back_whole),
      cmocka_unit_test(an_expired_token_is_forgotten_at_its_second),
      cmocka_unit_test(a_token_without_expiry_stays),
      cmocka_unit_test(new_keys_mean_a_new_verification),
      cmocka_unit_test(a_token_good_at_one_location_says_nothing_about_another),
      cmocka_unit_test(putting_again_replaces),
      cmocka_unit_test(the_least_recently_used_go_first),
      cmocka_unit_test(bytes_stay_bounded_and_counted),
      cmocka_unit_test(what_does_not_fit_is_not_remembered_and_evicts_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
