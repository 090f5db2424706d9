// Nothing one user may see is left in a cache that serves many.
#include "core/http/cache_control.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::at_least_private;
using entitle::is_targeted_cache_control;

std::string merged(std::vector<std::string_view> lines, bool expires = false) {
  return at_least_private(lines, expires);
}

void expect(const std::string& got, const char* wanted) {
  assert_string_equal(got.c_str(), wanted);
}

void silence_becomes_private_and_is_asked_again(void**) {
  expect(merged({}), "private, no-cache");
  expect(merged({""}), "private, no-cache");
  expect(merged({" , ,"}), "private, no-cache");
  expect(merged({"private"}), "private, no-cache");
  expect(merged({"public"}), "private, no-cache");
  expect(merged({"must-revalidate"}), "private, must-revalidate, no-cache");
  expect(merged({"immutable"}), "private, immutable, no-cache");
}

void a_time_said_is_believed(void**) {
  expect(merged({}, true), "private");
  expect(merged({"public"}, true), "private");
  expect(merged({"max-age=60"}), "private, max-age=60");
  expect(merged({"MAX-AGE=0"}, true), "private, MAX-AGE=0");
}

void what_speaks_to_shared_caches_goes(void**) {
  expect(merged({"public, s-maxage=600"}), "private, no-cache");
  expect(merged({"Public,S-MaxAge=600, proxy-revalidate, max-age=1"}),
         "private, max-age=1");
}

void what_the_browser_needs_stays(void**) {
  expect(merged({"no-cache"}), "private, no-cache");
  expect(merged({"public, max-age=315360000, immutable"}),
         "private, max-age=315360000, immutable");
}

void lines_are_one_list(void**) {
  expect(merged({"max-age=60", "public", "s-maxage=1"}), "private, max-age=60");
}

void no_store_keeps_its_own_words(void**) {
  expect(merged({"no-store"}), "no-store");
  expect(merged({"No-Store, max-age=0"}), "No-Store, max-age=0");
  expect(merged({"public", "no-store"}), "public, no-store");
}

void what_is_said_of_a_field_is_not_said_of_all(void**) {
  expect(merged({"no-cache=\"no-store\""}),
         "private, no-cache=\"no-store\", no-cache");
}

void private_for_some_fields_becomes_private_for_all(void**) {
  expect(merged({"private=\"Set-Cookie, X-A\", max-age=5"}),
         "private, max-age=5");
}

void commas_in_quotes_do_not_separate(void**) {
  expect(merged({"ext=\"a, public\", max-age=5"}),
         "private, ext=\"a, public\", max-age=5");
  expect(merged({"max-age=5, ext=\"a, public"}),
         "private, max-age=5, ext=\"a, public");
}

void caches_with_headers_of_their_own_are_known(void**) {
  assert_true(is_targeted_cache_control("Surrogate-Control"));
  assert_true(is_targeted_cache_control("cdn-cache-control"));
  assert_true(is_targeted_cache_control("Cloudflare-CDN-Cache-Control"));
  assert_false(is_targeted_cache_control("Cache-Control"));
  assert_false(is_targeted_cache_control("CDN-Cache-Control-Not"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(silence_becomes_private_and_is_asked_again),
      cmocka_unit_test(a_time_said_is_believed),
      cmocka_unit_test(what_speaks_to_shared_caches_goes),
      cmocka_unit_test(what_the_browser_needs_stays),
      cmocka_unit_test(lines_are_one_list),
      cmocka_unit_test(no_store_keeps_its_own_words),
      cmocka_unit_test(what_is_said_of_a_field_is_not_said_of_all),
      cmocka_unit_test(private_for_some_fields_becomes_private_for_all),
      cmocka_unit_test(commas_in_quotes_do_not_separate),
      cmocka_unit_test(caches_with_headers_of_their_own_are_known),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
