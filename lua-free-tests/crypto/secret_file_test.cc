#include "core/crypto/secret_file.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

using entitle::parse_session_keys;
using entitle::parse_webhook_secrets;

namespace {

using Secrets = std::vector<std::string>;

const std::string kHexKey(64, 'a');  // 32 bytes
const std::string kKey(32, '\xaa');

void expect_refused(std::optional<Secrets> secrets, const std::string& error,
                    const char* expected) {
  if (secrets) fail_msg("accepted, not refused as \"%s\"", expected);
  if (error.find(expected) == std::string::npos) {
    fail_msg("\"%s\" does not say \"%s\"", error.c_str(), expected);
  }
}

void expect_webhook_refused(std::string_view content, const char* expected) {
  std::string error;
  auto secrets = parse_webhook_secrets(content, error);
  expect_refused(secrets, error, expected);
}

void expect_keys_refused(std::string_view content, const char* expected) {
  std::string error;
  auto keys = parse_session_keys(content, error);
  expect_refused(keys, error, expected);
}

void a_webhook_secret_is_taken_whole_with_its_prefix(void**) {
  std::string error;
  assert_true(parse_webhook_secrets("whsec_abc\n", error) ==
              Secrets{"whsec_abc"});
  assert_true(parse_webhook_secrets("whsec_abc", error) ==
              Secrets{"whsec_abc"});
  assert_true(parse_webhook_secrets("whsec_a+/=_-", error) ==
              Secrets{"whsec_a+/=_-"});
}

void editors_traces_comments_and_empty_lines_are_skipped(void**) {
  std::string error;
  assert_true(parse_webhook_secrets("\xef\xbb\xbf# live\r\n\r\n  whsec_a \t\r\n"
                                    "\n\t# whsec_old\nwhsec_b",
                                    error) == (Secrets{"whsec_a", "whsec_b"}));
}

void a_webhook_file_without_a_secret_is_refused(void**) {
  expect_webhook_refused("", "no webhook secret");
  expect_webhook_refused("\n \r\n", "no webhook secret");
  expect_webhook_refused("# whsec_a\n", "no webhook secret");
}

void a_wrong_webhook_line_is_refused_by_its_number(void**) {
  expect_webhook_refused("whsec_a\n\nsk_live_b\n", "line 3: ");
  expect_webhook_refused("sk_live_b", "begins with \"whsec_\"");
  expect_webhook_refused("WHSEC_b", "begins with \"whsec_\"");
  expect_webhook_refused("\"whsec_b\"", "begins with \"whsec_\"");
  expect_webhook_refused("secret whsec_b", "begins with \"whsec_\"");
  expect_webhook_refused("whsec_", "nothing follows");
  expect_webhook_refused("whsec_ ", "nothing follows");
  expect_webhook_refused("whsec_a whsec_b", "without white space");
  expect_webhook_refused("whsec_a # live", "without white space");
  expect_webhook_refused("whsec_a\tb", "without white space");
  expect_webhook_refused(std::string("whsec_a\0b", 9), "printable ASCII");
  expect_webhook_refused("whsec_\xc3\xab", "printable ASCII");
}

void a_session_key_may_be_hex_or_base64(void**) {
  std::string error;
  std::string base64 = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo";
  for (std::string line : {kHexKey, std::string(64, 'A'), base64, base64 + "=",
                           " " + base64 + "=\r"}) {
    auto keys = parse_session_keys(line + "\n", error);
    if (!keys) fail_msg("%s: %s", line.c_str(), error.c_str());
    assert_true(*keys == Secrets{kKey});
  }
  auto keys = parse_session_keys(
      "-__-++//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", error);
  assert_true(keys.has_value());
  assert_int_equal(keys->front().size(), 36);
}

void several_keys_keep_their_order(void**) {
  std::string error;
  auto keys = parse_session_keys(
      "# new\n" + std::string(66, 'b') + "\n# old\n" + kHexKey, error);
  assert_true(keys == (Secrets{std::string(33, '\xbb'), kKey}));
}

void a_short_key_is_refused_with_its_length(void**) {
  expect_keys_refused(std::string(62, 'a'), "31 bytes, at least 32");
  expect_keys_refused("c2VjcmV0", "6 bytes, at least 32");
  // 44 characters that base64 would read as 33 bytes.
  expect_keys_refused(std::string(44, 'a'), "22 bytes, at least 32");
}

void a_line_that_is_no_key_is_refused(void**) {
  expect_keys_refused("", "no session key");
  expect_keys_refused("#\n", "no session key");
  expect_keys_refused(kHexKey + "\n" + kHexKey + " " + kHexKey, "line 2: ");
  expect_keys_refused(std::string(65, 'a'), "odd number");
  expect_keys_refused("correct horse battery staple", "hex, base64");
  expect_keys_refused(kHexKey + "!", "hex, base64");
  expect_keys_refused("0x" + kHexKey, "hex, base64");
}

void no_error_shows_a_secret(void**) {
  std::string error;
  for (std::string line :
       {"topsecret", "whsec_topsecret x", "topsecret!", "746f70736563726574"}) {
    parse_webhook_secrets(line, error);
    assert_null(strstr(error.c_str(), "topsecret"));
    parse_session_keys(line, error);
    assert_null(strstr(error.c_str(), "topsecret"));
    assert_null(strstr(error.c_str(), "746f"));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_webhook_secret_is_taken_whole_with_its_prefix),
      cmocka_unit_test(editors_traces_comments_and_empty_lines_are_skipped),
      cmocka_unit_test(a_webhook_file_without_a_secret_is_refused),
      cmocka_unit_test(a_wrong_webhook_line_is_refused_by_its_number),
      cmocka_unit_test(a_session_key_may_be_hex_or_base64),
      cmocka_unit_test(several_keys_keep_their_order),
      cmocka_unit_test(a_short_key_is_refused_with_its_length),
      cmocka_unit_test(a_line_that_is_no_key_is_refused),
      cmocka_unit_test(no_error_shows_a_secret),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
