#include "core/stripe/client_reference.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/base/types.h"

using entitle::ClientReference;
using entitle::User;

namespace {

const std::string kRawKey(32, 'k');

// Made with Python's hmac, hashlib and base64.
const std::string kPlain = "ent1-ybJC33yOBazPZklQt_pgbQ-user_1";
const std::string kEncoded = "ent1b-FBeNE1X4Zj9owxTfw_rtNA-bWVAZXhhbXBsZS5jb20";

ClientReference references(std::vector<std::string> raw = {kRawKey}) {
  return ClientReference(raw);
}

User user(std::string_view text) { return *User::from(text); }

void expect_closed(std::string_view reference) {
  if (references().open(reference)) {
    fail_msg("opened: %s", std::string(reference).c_str());
  }
}

void a_user_in_stripes_alphabet_stays_readable(void**) {
  assert_string_equal(references().make(user("user_1")).c_str(),
                      kPlain.c_str());
  assert_true(references().open(kPlain) == user("user_1"));
}

void any_other_user_is_encoded(void**) {
  assert_string_equal(references().make(user("me@example.com")).c_str(),
                      kEncoded.c_str());
  assert_true(references().open(kEncoded) == user("me@example.com"));
  for (std::string text :
       {"a b", "\xff\xfe", "Zo\xc3\xab", "%00", "ent1-x y"}) {
    std::string reference = references().make(user(text));
    assert_true(reference.find_first_not_of(
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                    "0123456789-_") == std::string::npos);
    assert_true(references().open(reference) == user(text));
  }
}

void what_stripe_would_not_take_is_not_made(void**) {
  std::string longest = references().make(user(std::string(172, 'u')));
  assert_int_equal(longest.size(), 200);
  assert_true(references().open(longest) == user(std::string(172, 'u')));
  assert_true(references().make(user(std::string(173, 'u'))).empty());

  longest = references().make(user(std::string(128, ' ')));
  assert_int_equal(longest.size(), 200);
  assert_true(references().open(longest) == user(std::string(128, ' ')));
  assert_true(references().make(user(std::string(129, ' '))).empty());
}

void any_changed_byte_closes_it(void**) {
  for (const std::string& reference : {kPlain, kEncoded}) {
    for (std::size_t i = 0; i < reference.size(); i++) {
      for (int bit = 0; bit < 8; bit++) {
        std::string changed = reference;
        changed[i] = static_cast<char>(changed[i] ^ 1 << bit);
        expect_closed(changed);
      }
    }
  }
}

void a_cut_or_extended_reference_stays_closed(void**) {
  for (std::size_t size = 0; size < kPlain.size(); size++) {
    expect_closed(kPlain.substr(0, size));
    expect_closed(kPlain.substr(kPlain.size() - size));
  }
  expect_closed(kPlain + "0");
  expect_closed(kPlain + "-");
  expect_closed("ent1-" + std::string(300, 'A'));
}

void one_form_never_passes_for_the_other(void**) {
  expect_closed("ent1b-" + kPlain.substr(5));
  expect_closed("ent1-" + kEncoded.substr(6));
}

void references_survive_key_rotation(void**) {
  const std::string newer(32, 'n');
  assert_true(references({newer, kRawKey}).open(kPlain) == user("user_1"));
  assert_true(references({kRawKey, newer}).open(kPlain) == user("user_1"));
  assert_false(references({newer}).open(kPlain).has_value());
  assert_true(references({newer, kRawKey}).make(user("user_1")) ==
              references({newer}).make(user("user_1")));
}

void a_forged_or_damaged_reference_is_told_from_a_plain_id(void**) {
  for (std::string reference :
       {kPlain, kEncoded, std::string("ent1-"), std::string("ent1b-x"),
        std::string("ent1-ybJC33yOBazPZklQt_pgbQ-someone-else")}) {
    assert_true(ClientReference::has_our_form(reference));
  }
  for (std::string id : {"", "user_1", "ent1", "ent2-x", "entity-1", "42"}) {
    assert_false(ClientReference::has_our_form(id));
  }
}

void at_least_one_key_is_needed(void**) {
  bool thrown = false;
  try {
    references({});
  } catch (const std::exception&) {
    thrown = true;
  }
  assert_true(thrown);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_user_in_stripes_alphabet_stays_readable),
      cmocka_unit_test(any_other_user_is_encoded),
      cmocka_unit_test(what_stripe_would_not_take_is_not_made),
      cmocka_unit_test(any_changed_byte_closes_it),
      cmocka_unit_test(a_cut_or_extended_reference_stays_closed),
      cmocka_unit_test(one_form_never_passes_for_the_other),
      cmocka_unit_test(references_survive_key_rotation),
      cmocka_unit_test(a_forged_or_damaged_reference_is_told_from_a_plain_id),
      cmocka_unit_test(at_least_one_key_is_needed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
