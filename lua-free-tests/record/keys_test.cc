#include "core/record/keys.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "core/redis/slots.h"

namespace {

using namespace entitle;

void assert_key(const std::string& key, const char* expected) {
  assert_string_equal(key.c_str(), expected);
}

User user(std::string_view name) { return *User::from(name); }

void keys_are_as_documented(void**) {
  Keys keys("entitle:", Mode::live);
  assert_key(keys.record(user("alice")), "entitle:live:{u:alice}");
  assert_key(keys.log(user("alice")), "entitle:live:{u:alice}:log");
  assert_key(keys.place("cus_1"), "entitle:live:{p:cus_1}");
  assert_key(keys.place("acct_1/cus_1"), "entitle:live:{p:acct_1/cus_1}");
  assert_key(keys.event("evt_1"), "entitle:live:event:evt_1");
  assert_key(keys.email("a@b.example"), "entitle:live:email:a@b.example");
  assert_key(keys.parked(), "entitle:live:parked");
  assert_key(keys.webhook(), "entitle:live:webhook");
}

void modes_and_prefixes_never_meet(void**) {
  assert_key(Keys("entitle:", Mode::test).record(user("alice")),
             "entitle:test:{u:alice}");
  assert_key(Keys("shop:", Mode::live).place("cus_1"), "shop:live:{p:cus_1}");
  assert_key(Keys("", Mode::live).parked(), "live:parked");
}

void hash_tag_ends_where_it_should(void**) {
  Keys keys("entitle:", Mode::live);
  assert_key(keys.record(user("a}b{c%d")), "entitle:live:{u:a%7Db%7Bc%25d}");
  assert_key(keys.record(user("J\xc3\xbcrgen M")),
             "entitle:live:{u:J%C3%BCrgen M}");
}

void quarantine_is_in_the_same_slot(void**) {
  assert_key(Keys::quarantine("entitle:live:{u:alice}"),
             "entitle:live:{u:alice}:quarantine");
}

void a_record_and_its_log_share_a_slot(void**) {
  entitle::Keys keys("entitle:", entitle::Mode::live);
  for (std::string_view id : {"42", "a}b", "{", "}{", "%7D", "j\xc3\xb6rg"}) {
    entitle::User user = *entitle::User::from(id);
    assert_int_equal(entitle::key_slot(keys.record(user)),
                     entitle::key_slot(keys.log(user)));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(keys_are_as_documented),
      cmocka_unit_test(modes_and_prefixes_never_meet),
      cmocka_unit_test(hash_tag_ends_where_it_should),
      cmocka_unit_test(quarantine_is_in_the_same_slot),
      cmocka_unit_test(a_record_and_its_log_share_a_slot),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
