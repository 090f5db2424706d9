#include "core/stripe/object.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

json::Document parsed(std::string_view text) {
  json::Error error;
  std::optional<json::Document> document = json::parse(text, 8, error);
  assert_true(document.has_value());
  return *std::move(document);
}

void an_id_is_a_string_or_the_id_of_the_expanded_object(void**) {
  json::Document document =
      parsed(R"({"n":null,"i":5,"a":["x"],"s":"x","o":{"id":"cus_1"},)"
             R"("bad":{"id":"a b"},"none":{}})");
  const json::Node* root = document.root();
  assert_true(stripe::id(root, "s") == "x");
  assert_true(stripe::id(root, "o") == "cus_1");
  for (const char* key : {"n", "i", "a", "bad", "none", "absent"}) {
    assert_true(stripe::id(root, key).empty());
  }
  assert_true(stripe::id(nullptr, "id").empty());
}

void a_time_is_one_that_stripe_could_mean(void**) {
  json::Document document = parsed(
      R"({"t":5,"last":1099511627775,"zero":0,"minus":-1,"far":1099511627776,)"
      R"("text":"5","real":5.0})");
  const json::Node* root = document.root();
  assert_int_equal(to_unix(*stripe::time(root, "t")), 5);
  assert_int_equal(to_unix(*stripe::time(root, "last")), 1099511627775);
  for (const char* key : {"zero", "minus", "far", "text", "real", "absent"}) {
    assert_false(stripe::time(root, key).has_value());
  }
}

void a_list_has_its_elements_in_data(void**) {
  json::Document document =
      parsed(R"({"l":{"data":[7]},"o":{"data":{}},"a":[7]})");
  const json::Node* root = document.root();
  assert_int_equal(stripe::list(root, "l")->size(), 1);
  for (const char* key : {"o", "a", "absent"}) {
    assert_null(stripe::list(root, key));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_id_is_a_string_or_the_id_of_the_expanded_object),
      cmocka_unit_test(a_time_is_one_that_stripe_could_mean),
      cmocka_unit_test(a_list_has_its_elements_in_data),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
