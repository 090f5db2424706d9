#include "core/access/memory.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>

extern "C" {
#include <cmocka.h>
}

using entitle::equal_secrets;
using entitle::Evidence;
using entitle::Memory;
using entitle::SipKey;

namespace {

constexpr SipKey kKey{1, 2};
constexpr std::size_t kMuch = 1 << 20;
const int kHere = 0, kThere = 0;  // places

Evidence evidence(const void* place,
                  std::initializer_list<std::string_view> texts) {
  Evidence made(place);
  for (std::string_view text : texts) made.add(text);
  return made;
}

void put(Memory<std::string>& memory, const Evidence& from, const char* what,
         std::uint64_t connection = 1) {
  memory.put(connection, from, std::make_shared<const std::string>(what),
             sizeof(std::string));
}

std::string found(Memory<std::string>& memory, const Evidence& from,
                  std::uint64_t connection = 1) {
  const auto value = memory.find(connection, from);
  return value ? *value : "(none)";
}

void expect(Memory<std::string>& memory, const Evidence& from, const char* what,
            std::uint64_t connection = 1) {
  assert_string_equal(found(memory, from, connection).c_str(), what);
}

// --- what is compared ---

void known_by_all_of_its_bytes_and_by_no_other(void**) {
  for (std::uint64_t connection : {1, 2}) {  // who said it, and somebody else
    Memory<std::string> memory(kKey, kMuch);
    const std::string cookies = "sid=of-ada; session=" + std::string(400, 's');
    put(memory, evidence(&kHere, {cookies, "host"}), "ada");
    expect(memory, evidence(&kHere, {cookies, "host"}), "ada", connection);
    for (std::size_t i = 0; i < cookies.size(); i++) {
      std::string other = cookies;
      other[i] ^= 1;
      expect(memory, evidence(&kHere, {other, "host"}), "(none)", connection);
    }
    expect(memory, evidence(&kHere, {cookies + "x", "host"}), "(none)",
           connection);
    expect(memory, evidence(&kHere, {cookies.substr(1), "host"}), "(none)",
           connection);
    expect(memory, evidence(&kHere, {cookies, "hosu"}), "(none)", connection);
    expect(memory, evidence(&kHere, {cookies}), "(none)", connection);
    expect(memory, evidence(&kHere, {cookies, "host", ""}), "(none)",
           connection);
  }
}

void known_at_its_place_alone(void**) {
  Memory<std::string> memory(kKey, kMuch);
  put(memory, evidence(&kHere, {"session"}), "ada");
  expect(memory, evidence(&kThere, {"session"}), "(none)");
  expect(memory, evidence(&kThere, {"session"}), "(none)", 2);
}

void where_one_text_ends_and_the_next_begins_counts(void**) {
  for (std::uint64_t connection : {1, 2}) {
    Memory<std::string> memory(kKey, kMuch);
    put(memory, evidence(&kHere, {"ab", "c"}), "ada");
    expect(memory, evidence(&kHere, {"a", "bc"}), "(none)", connection);
    expect(memory, evidence(&kHere, {"abc", ""}), "(none)", connection);
    expect(memory, evidence(&kHere, {"abc"}), "(none)", connection);
    // A text that looks like what stands between two.
    const std::string length("\1\0\0\0\0\0\0\0", 8);
    put(memory, evidence(&kHere, {"a", "b"}), "bob");
    expect(memory, evidence(&kHere, {"a" + length + "b"}), "(none)",
           connection);
  }
}

void what_is_replaced_is_gone(void**) {
  Memory<std::string> memory(kKey, kMuch);
  put(memory, evidence(&kHere, {"session"}), "old");
  const std::size_t bytes = memory.bytes();
  put(memory, evidence(&kHere, {"session"}), "new");
  expect(memory, evidence(&kHere, {"session"}), "new");
  assert_int_equal(memory.bytes(), bytes);
}

// A connection that several people's requests come over, as behind a proxy.
void who_shares_a_connection_is_told_apart(void**) {
  Memory<std::string> memory(kKey, kMuch);
  put(memory, evidence(&kHere, {"of ada"}), "ada");
  put(memory, evidence(&kHere, {"of bob"}), "bob");
  for (int i = 0; i < 3; i++) {
    expect(memory, evidence(&kHere, {"of ada"}), "ada");
    expect(memory, evidence(&kHere, {"of eve"}), "(none)");
    expect(memory, evidence(&kHere, {"of bob"}), "bob");
  }
}

// --- bounds ---

void too_much_is_not_remembered(void**) {
  Memory<std::string> memory(kKey, kMuch);
  const std::string most(Evidence::kMostBytes - 8, 'x');
  put(memory, evidence(&kHere, {most}), "fits");
  expect(memory, evidence(&kHere, {most}), "fits");
  const std::string more = most + "x";
  put(memory, evidence(&kHere, {more}), "does not");
  expect(memory, evidence(&kHere, {more}), "(none)");
  assert_false(evidence(&kHere, {most, ""}).whole());
  assert_false(evidence(&kHere, {std::string(20000, 'x'), "a"}).whole());

  Evidence many(&kHere);
  for (std::size_t i = 0; i < Evidence::kMostTexts; i++) many.add("x");
  assert_true(many.whole());
  many.add("x");
  assert_false(many.whole());
  put(memory, many, "too many");
  expect(memory, many, "(none)");
}

void bounded_and_the_least_recently_used_goes_first(void**) {
  Memory<std::string> one(kKey, kMuch);
  put(one, evidence(&kHere, {"user 0"}), "x");
  const std::size_t cost = one.bytes();
  assert_in_range(cost, 100, 1000);

  Memory<std::string> memory(kKey, 3 * cost);
  put(memory, evidence(&kHere, {"user 1"}), "1");
  put(memory, evidence(&kHere, {"user 2"}), "2");
  put(memory, evidence(&kHere, {"user 3"}), "3");
  expect(memory, evidence(&kHere, {"user 1"}), "1");
  put(memory, evidence(&kHere, {"user 4"}), "4");
  expect(memory, evidence(&kHere, {"user 1"}), "1");
  expect(memory, evidence(&kHere, {"user 2"}), "(none)");
  expect(memory, evidence(&kHere, {"user 3"}), "3");
  expect(memory, evidence(&kHere, {"user 4"}), "4");
  assert_int_equal(memory.bytes(), 3 * cost);

  Memory<std::string> none(kKey, cost - 1);
  put(none, evidence(&kHere, {"user 1"}), "1");
  expect(none, evidence(&kHere, {"user 1"}), "(none)");
  assert_int_equal(none.bytes(), 0);
}

// Who has been given something keeps it, whatever is forgotten meanwhile.
void what_was_given_outlives_the_memory(void**) {
  std::shared_ptr<const std::string> kept;
  {
    Memory<std::string> memory(kKey, kMuch);
    put(memory, evidence(&kHere, {"session"}), "ada");
    kept = memory.find(1, evidence(&kHere, {"session"}));
  }
  assert_string_equal(kept->c_str(), "ada");
}

// Against a plain list of what was put, over connections that many share.
void never_anything_but_what_was_put(void**) {
  std::mt19937_64 random(20261128);
  Memory<std::string> memory(kKey, 4000);
  std::string last[2][40];
  int known = 0;
  for (int i = 0; i < 40000; i++) {
    const std::size_t place = random() % 2;
    const std::size_t n = random() % 40;
    const std::uint64_t connection = random() % 5000;
    const std::string text = "session " + std::to_string(n);
    const Evidence from = evidence(place ? &kHere : &kThere, {text});
    if (random() % 3 == 0) {
      last[place][n] = std::to_string(i);
      put(memory, from, last[place][n].c_str(), connection);
    } else if (const auto value = memory.find(connection, from)) {
      assert_string_equal(value->c_str(), last[place][n].c_str());
      known++;
    }
    assert_true(memory.bytes() <= 4000);
  }
  assert_true(known > 1000);
}

void secrets_are_equal_when_all_of_them_is(void**) {
  for (std::size_t size = 0; size < 40; size++) {
    const std::string a(size, 'a');
    assert_true(equal_secrets(a, std::string(size, 'a')));
    assert_false(equal_secrets(a, a + 'a'));
    for (std::size_t i = 0; i < size; i++) {
      for (int bit = 0; bit < 8; bit++) {
        std::string b = a;
        b[i] = static_cast<char>(b[i] ^ 1 << bit);
        assert_false(equal_secrets(a, b));
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(known_by_all_of_its_bytes_and_by_no_other),
      cmocka_unit_test(known_at_its_place_alone),
      cmocka_unit_test(where_one_text_ends_and_the_next_begins_counts),
      cmocka_unit_test(what_is_replaced_is_gone),
      cmocka_unit_test(who_shares_a_connection_is_told_apart),
      cmocka_unit_test(too_much_is_not_remembered),
      cmocka_unit_test(bounded_and_the_least_recently_used_goes_first),
      cmocka_unit_test(what_was_given_outlives_the_memory),
      cmocka_unit_test(never_anything_but_what_was_put),
      cmocka_unit_test(secrets_are_equal_when_all_of_them_is),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
