#include "core/stripe/signature.h"

#include <jansson.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/base/types.h"

using entitle::HmacSha256;
using entitle::Mac;
using entitle::Seconds;
using entitle::SignatureError;
using entitle::SignatureVerdict;
using entitle::unix_time;
using entitle::verify_signature;

namespace {

constexpr std::int64_t kNow = 1767225600;
constexpr Seconds kTolerance{300};
const std::string kSecret = "whsec_test_secret";
const std::string kBody = R"({"id":"evt_test_webhook","object":"event"})";

// `openssl dgst -sha256 -hmac whsec_test_secret` over "1767225600." + kBody.
const std::string kMac =
    "ea39823a9ff870c5ea2be9961fdbf5dcbe1056e7895a312bfede2475c7e436ce";
const std::string kHeader = "t=1767225600,v1=" + kMac;
const std::string kWrong(64, '0');

std::string outcome(const SignatureVerdict& verdict) {
  return verdict.payload ? "accepted" : std::string(name(verdict.error));
}

std::string outcome(std::string_view header, std::int64_t now = kNow) {
  std::vector<HmacSha256> secrets;
  secrets.emplace_back(kSecret);
  return outcome(
      verify_signature(header, kBody, secrets, unix_time(now), kTolerance));
}

void expect(std::string_view header, const std::string& expected) {
  std::string actual = outcome(header);
  if (actual != expected) {
    fail_msg("%s: %s, not %s", std::string(header).c_str(), actual.c_str(),
             expected.c_str());
  }
}

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

std::string text(const json_t* object, const char* key) {
  const json_t* value = json_object_get(object, key);
  return {json_string_value(value), json_string_length(value)};
}

std::string latin1_from_utf8(const std::string& utf8) {
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size(); i++) {
    auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte >= 0x80) {
      i++;
      byte = static_cast<unsigned char>((byte & 3) << 6 | (utf8[i] & 0x3f));
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// What `reference/stripe-webhooks.md` recommends where SDKs differ.
const std::map<std::string, std::string> kOurChoice = {
    {"t_dup_last_good", "signature_malformed"},
    {"space_after_comma", "accepted"},
    {"segment_without_equals", "accepted"},
    {"segment_with_two_equals", "accepted"},
    {"leading_zero_t", "signature_malformed"},
    {"plus_t", "signature_malformed"},
    {"200_v1", "signature_malformed"},
};

void check_vector(const json_t* vector) {
  std::vector<HmacSha256> secrets;
  std::size_t i;
  json_t* secret;
  json_array_foreach(json_object_get(vector, "secrets"), i, secret) {
    secrets.emplace_back(json_string_value(secret));
  }
  std::string body = latin1_from_utf8(text(vector, "body"));
  SignatureVerdict verdict = verify_signature(
      text(vector, "header"), body, secrets,
      unix_time(json_integer_value(json_object_get(vector, "now"))),
      Seconds(json_integer_value(json_object_get(vector, "tolerance"))));

  std::string name = text(vector, "name");
  std::string actual = outcome(verdict);
  const json_t* accept = json_object_get(vector, "accept");
  bool right = json_is_null(accept)
                   ? actual == kOurChoice.at(name)
                   : (actual == "accepted") == json_is_true(accept);
  if (!right) fail_msg("%s: %s", name.c_str(), actual.c_str());
  if (verdict.payload) assert_true(verdict.payload->bytes() == body);
}

void every_vector_has_its_verdict(void**) {
  json_error_t error;
  Json file(json_load_file(ENTITLE_FIXTURES "/signature_vectors.json",
                           JSON_ALLOW_NUL, &error),
            json_decref);
  if (!file) fail_msg("%s", error.text);
  const json_t* vectors = json_object_get(file.get(), "vectors");
  assert_true(json_array_size(vectors) >= 25);
  std::size_t i;
  json_t* vector;
  json_array_foreach(vectors, i, vector) { check_vector(vector); }
}

void absent_and_empty_headers_have_different_errors(void**) {
  std::vector<HmacSha256> secrets;
  secrets.emplace_back(kSecret);
  assert_string_equal(outcome(verify_signature(std::nullopt, kBody, secrets,
                                               unix_time(kNow), kTolerance))
                          .c_str(),
                      "signature_missing");
  expect("", "signature_malformed");
}

void headers_out_of_grammar_are_malformed(void**) {
  for (std::string header : {
           std::string(","),
           std::string("bad_header"),
           "v1=" + kMac,
           std::string("t=1767225600"),
           "t=1767225600,v0=" + kMac,
           "t=1767225600,V1=" + kMac,
           "t=1767225600,v1 =" + kMac,
           "T=1767225600,v1=" + kMac,
           "t=,v1=" + kMac,
           "t=-1767225600,v1=" + kMac,
           "t=1767225600.0,v1=" + kMac,
           "t=1e9,v1=" + kMac,
           "t= 1767225600,v1=" + kMac,
           "t=0,v1=" + kMac,
           "t=1234567890123,v1=" + kMac,
           "t=1767225600,t=1767225600,v1=" + kMac,
           "t=1767225600;v1=" + kMac,
       }) {
    expect(header, "signature_malformed");
  }
  expect(std::string("t=1767225600\0,v1=", 17) + kMac, "signature_malformed");
}

void order_case_and_white_space_do_not_matter(void**) {
  std::string upper = kMac;
  for (char& c : upper) c = static_cast<char>(c >= 'a' ? c - 32 : c);
  expect("v1=" + kMac + ",t=1767225600", "accepted");
  expect("t=1767225600,v1=" + upper, "accepted");
  expect(" \tt=1767225600\t , v1=" + kMac + " ,", "accepted");
  expect(",,t=1767225600,=,x,v2=z,v1=" + kMac, "accepted");
}

void signatures_that_are_no_mac_never_match(void**) {
  for (std::string v1 :
       {std::string(), std::string("potato"), kWrong, kMac + "00",
        kMac.substr(1), "g" + kMac.substr(1), kMac + " " + kMac}) {
    expect("t=1767225600,v1=" + v1, "signature_mismatch");
  }
}

void up_to_16_signatures_are_looked_at(void**) {
  auto header = [](int wrong_before) {
    std::string text = "t=1767225600";
    for (int i = 0; i < wrong_before; i++) text += ",v1=" + kWrong;
    return text + ",v1=" + kMac;
  };
  expect(header(15), "accepted");
  expect(header(16), "signature_malformed");
  std::string with_rubbish = "t=1767225600";
  for (int i = 0; i < 16; i++) with_rubbish += ",v1=x";
  expect(with_rubbish + ",v1=" + kMac, "signature_malformed");
}

void where_the_match_stands_does_not_matter(void**) {
  expect("t=1767225600,v1=" + kMac + ",v1=" + kWrong, "accepted");
  std::vector<HmacSha256> secrets;
  secrets.emplace_back(kSecret);
  secrets.emplace_back("whsec_other");
  assert_string_equal(outcome(verify_signature(kHeader, kBody, secrets,
                                               unix_time(kNow), kTolerance))
                          .c_str(),
                      "accepted");
}

void every_secret_is_tried_with_every_signature(void**) {
  std::vector<HmacSha256> secrets;
  for (int i = 0; i < 3; i++) secrets.emplace_back("whsec_other");
  secrets.emplace_back(kSecret);
  std::string header = "t=1767225600,v1=" + kWrong + ",v1=" + kMac;
  assert_string_equal(outcome(verify_signature(header, kBody, secrets,
                                               unix_time(kNow), kTolerance))
                          .c_str(),
                      "accepted");
  secrets.pop_back();
  assert_string_equal(outcome(verify_signature(header, kBody, secrets,
                                               unix_time(kNow), kTolerance))
                          .c_str(),
                      "signature_mismatch");
}

void without_secrets_nothing_matches(void**) {
  assert_string_equal(
      outcome(verify_signature(kHeader, kBody, {}, unix_time(kNow), kTolerance))
          .c_str(),
      "signature_mismatch");
}

void tolerance_holds_for_past_and_future(void**) {
  struct Case {
    std::int64_t skew;
    const char* outcome;
  };
  for (Case c :
       {Case{300, "accepted"}, Case{301, "timestamp_out_of_tolerance"},
        Case{-300, "accepted"}, Case{-301, "timestamp_out_of_tolerance"}}) {
    assert_string_equal(outcome(kHeader, kNow + c.skew).c_str(), c.outcome);
  }
}

void a_wrong_signature_is_reported_before_a_wrong_time(void**) {
  assert_string_equal(outcome("t=1767225600,v1=" + kWrong, kNow + 1000).c_str(),
                      "signature_mismatch");
}

void skew_tells_how_far_the_clocks_are_apart(void**) {
  std::vector<HmacSha256> secrets;
  secrets.emplace_back(kSecret);
  auto skew = [&](std::string_view header, std::int64_t now) {
    return verify_signature(header, kBody, secrets, unix_time(now), kTolerance)
        .skew.count();
  };
  assert_int_equal(skew(kHeader, kNow + 500), 500);
  assert_int_equal(skew(kHeader, kNow - 7), -7);
  assert_int_equal(skew("t=1767225600,v1=00", kNow + 9), 9);
}

void a_body_with_nul_and_invalid_utf8_is_signed_as_it_is(void**) {
  const std::string body("\xef\xbb\xbf{\0\xff}", 7);
  std::vector<HmacSha256> secrets;
  secrets.emplace_back(kSecret);
  // printf '1767225600.\xef\xbb\xbf{\0\xff}' | openssl dgst -sha256 -hmac ...
  const std::string header =
      "t=1767225600,v1="
      "2ea1b9be973ad9f0a0d84bef116013ed63d7c235467e0e85c138c08aa49e8f35";
  auto verify = [&](std::string_view bytes) {
    return outcome(
        verify_signature(header, bytes, secrets, unix_time(kNow), kTolerance));
  };
  assert_string_equal(verify(body).c_str(), "accepted");
  assert_string_equal(verify(std::string_view(body).substr(3)).c_str(),
                      "signature_mismatch");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_vector_has_its_verdict),
      cmocka_unit_test(absent_and_empty_headers_have_different_errors),
      cmocka_unit_test(headers_out_of_grammar_are_malformed),
      cmocka_unit_test(order_case_and_white_space_do_not_matter),
      cmocka_unit_test(signatures_that_are_no_mac_never_match),
      cmocka_unit_test(up_to_16_signatures_are_looked_at),
      cmocka_unit_test(where_the_match_stands_does_not_matter),
      cmocka_unit_test(every_secret_is_tried_with_every_signature),
      cmocka_unit_test(without_secrets_nothing_matches),
      cmocka_unit_test(tolerance_holds_for_past_and_future),
      cmocka_unit_test(a_wrong_signature_is_reported_before_a_wrong_time),
      cmocka_unit_test(skew_tells_how_far_the_clocks_are_apart),
      cmocka_unit_test(a_body_with_nul_and_invalid_utf8_is_signed_as_it_is),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
