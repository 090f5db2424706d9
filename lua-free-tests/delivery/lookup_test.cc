// Members of the index of what opens nothing: docs/redis.md.
#include "core/delivery/lookup.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <set>
#include <string>
#include <vector>

#include "core/source/target.h"

using namespace entitle;

namespace {

std::string member(const char* target, const char* source) {
  return unmatched_member(Target(target), source);
}

void assert_parts(const std::string& text, const char* target,
                  const char* source) {
  std::optional<Unmatched> parts = unmatched_of(text);
  if (!parts) fail_msg("not read: %s", text.c_str());
  assert_string_equal(parts->target.str().c_str(), target);
  assert_string_equal(parts->source.c_str(), source);
}

void a_member_is_the_target_and_the_source(void**) {
  assert_string_equal(member("u:42", "cs_1").c_str(), "u:42|cs_1");
  assert_string_equal(member("u:auth0|7", "sub_1").c_str(), "u:auth0|7|sub_1");
  assert_string_equal(member("p:acct_1/cus_2", "acct_1/cs_1").c_str(),
                      "p:acct_1/cus_2|acct_1/cs_1");
  assert_string_equal(member("u:42", "grant:a|b%").c_str(),
                      "u:42|grant:a%7Cb%25");
}

void a_member_is_taken_apart_as_it_was_made(void**) {
  std::set<std::string> members;
  std::size_t made = 0;
  for (const char* target :
       {"u:42", "u:auth0|7", "u:a|b|c", "u:42|", "u:50%", "u:%7C", "u:é{}",
        "p:cus_1", "p:cus|1", "p:acct_1/cus|2"}) {
    for (const char* source :
         {"cs_1", "sub_1", "cus|1", "grant:a|b", "grant:a|cs_1", "|", "%", "a%",
          "a%7Cb", "acct_1/cs_1", "acct_1/cus|2", "mycustomer"}) {
      const std::string text = member(target, source);
      assert_parts(text, target, source);
      assert_true(members.insert(text).second);
      ++made;
    }
  }
  assert_int_equal(members.size(), made);
}

// Before, a bar in a source's id stood as it is.
void a_member_of_the_version_before_is_read(void**) {
  assert_parts("u:42|grant:a|b", "u:42", "grant:a|b");
  assert_parts("u:auth0|7|grant:a|b", "u:auth0|7", "grant:a|b");
  assert_parts("p:cus|1|cs_1|x", "p:cus|1", "cs_1|x");
  assert_parts("p:acct_1/cus_2|acct_1/in_1|x", "p:acct_1/cus_2",
               "acct_1/in_1|x");
  assert_parts("u:42|grant:50%", "u:42", "grant:50%");
}

void what_is_no_member_is_none(void**) {
  for (const char* text : {"", "|", "a note", "u:42", "u:42|", "u:|cs_1",
                           "p:|cs_1", "x:42|cs_1", "u:4%2|cs_1", "|cs_1"}) {
    if (unmatched_of(text)) fail_msg("read: %s", text);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_member_is_the_target_and_the_source),
      cmocka_unit_test(a_member_is_taken_apart_as_it_was_made),
      cmocka_unit_test(a_member_of_the_version_before_is_read),
      cmocka_unit_test(what_is_no_member_is_none),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
