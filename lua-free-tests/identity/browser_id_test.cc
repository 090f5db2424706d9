// The id of a browser: who can make one, and where and how long it is good.
#include "core/identity/browser_id.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/identity/edge_session.h"
#include "core/stripe/client_reference.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;

constexpr std::int64_t kIssued = 1'700'000'000;
constexpr Seconds kLifetime{400 * 86400};
const std::string kAudience = "entitle:live#x";
const std::string kRawKey(32, 'k');

// Made with Python's hmac, hashlib and base64.
const std::string kToken =
    "1.AAECAwQFBgcICQoLDA0ODw.1700000000."
    "SWQvEoym8Vs2ogIrA4fXrTfmcz95egp6220F-ujRPOA";
const std::string kUser = "guest:AAECAwQFBgcICQoLDA0ODw";

BrowserKeys keys(std::vector<std::string> raw = {kRawKey}) {
  return BrowserKeys(raw);
}

User browser() {
  return browser_user({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
}

BrowserVerdict verify(std::string_view token, std::int64_t now = kIssued,
                      const BrowserKeys& with = keys(),
                      std::string_view audience = kAudience) {
  return verify_browser_id(with, audience, token, kLifetime, unix_time(now));
}

void expect_refused(std::string_view token, SessionError error) {
  const BrowserVerdict verdict = verify(token);
  if (verdict.browser || verdict.error != error) {
    fail_msg("taken, or refused otherwise: %s", std::string(token).c_str());
  }
}

void an_id_is_a_user_and_a_token(void**) {
  assert_string_equal(browser().str().c_str(), kUser.c_str());
  assert_string_equal(
      sign_browser_id(keys(), kAudience, browser(), unix_time(kIssued)).c_str(),
      kToken.c_str());
  const BrowserVerdict verdict = verify(kToken);
  assert_true(verdict.browser.has_value());
  assert_true(verdict.browser->user == browser());
  assert_true(verdict.browser->issued_at == unix_time(kIssued));
  assert_true(verdict.browser->by_first_key);
}

void nobody_makes_one_without_the_key(void**) {
  for (std::size_t i = 0; i < kToken.size(); i++) {
    for (char other : {'A', 'B', '0', '1', '.', '-', '\0', ' '}) {
      std::string forged = kToken;
      if (forged[i] == other) continue;
      forged[i] = other;
      if (verify(forged).browser) fail_msg("taken: %s", forged.c_str());
    }
    if (verify(kToken.substr(0, i)).browser) fail_msg("cut at %zu", i);
    if (verify(kToken.substr(i + 1)).browser) fail_msg("begins at %zu", i);
  }
  for (const char* more : {"A", "=", ".", " ", "; x"}) {
    assert_false(verify(kToken + more).browser.has_value());
  }
  expect_refused("", SessionError::malformed);
  expect_refused(std::string(100'000, '1'), SessionError::malformed);
  const BrowserKeys others = keys({std::string(32, 'o')});
  expect_refused(
      sign_browser_id(others, kAudience, browser(), unix_time(kIssued)),
      SessionError::bad_signature);
}

void what_others_may_see_or_hold_makes_none(void**) {
  const std::vector<std::string> raw{kRawKey};
  expect_refused(ClientReference(raw).make(browser()), SessionError::malformed);
  const std::string session =
      sign_session(SessionKeys(raw), kAudience,
                   {browser(), 1, unix_time(kIssued), unix_time(kIssued + 9),
                    std::string()});
  assert_false(session.empty());
  expect_refused(session, SessionError::malformed);
  expect_refused(kUser, SessionError::malformed);
}

void and_it_makes_nothing_else(void**) {
  const std::vector<std::string> raw{kRawKey};
  assert_false(ClientReference(raw).open(kToken).has_value());
  assert_false(
      verify_session(SessionKeys(raw), kAudience, kToken, unix_time(kIssued))
          .session.has_value());
}

void it_is_good_at_its_own_site_alone(void**) {
  for (const char* elsewhere : {"entitle:test#x", "entitle:live#y",
                                "entitle:live#x1.", "entitle:live#", ""}) {
    const BrowserVerdict verdict = verify(kToken, kIssued, keys(), elsewhere);
    assert_false(verdict.browser.has_value());
    assert_true(verdict.error == SessionError::bad_signature);
  }
}

void it_ends_with_its_lifetime(void**) {
  const std::int64_t end = kIssued + kLifetime.count();
  assert_true(verify(kToken, end - 1).browser.has_value());
  assert_true(verify(kToken, end).error == SessionError::expired);
  assert_true(verify(kToken, kIssued - 60).browser.has_value());
  assert_true(verify(kToken, kIssued - 61).error ==
              SessionError::not_yet_valid);
}

void keys_are_rotated(void**) {
  const std::string next(32, 'n');
  const BrowserVerdict verdict = verify(kToken, kIssued, keys({next, kRawKey}));
  assert_true(verdict.browser.has_value());
  assert_false(verdict.browser->by_first_key);
  const std::string renewed = sign_browser_id(
      keys({next, kRawKey}), kAudience, browser(), unix_time(kIssued + 5));
  assert_true(verify(renewed, kIssued, keys({next})).browser.has_value());
  assert_true(verify(kToken, kIssued, keys({next})).error ==
              SessionError::bad_signature);
}

// Apps have users of their own, of whatever name; that of a browser they have
// not.
void only_the_exact_form_is_a_browser(void**) {
  assert_true(is_browser_user(*User::from(kUser)));
  for (const char* other :
       {"guest:", "guest:1", "guest", "Guest:AAECAwQFBgcICQoLDA0ODw",
        "guest:AAECAwQFBgcICQoLDA0OD", "guest:AAECAwQFBgcICQoLDA0ODwA",
        "guest:AAECAwQFBgcICQoLDA0OD=", "guest:AAECAwQFBgcICQoLDA0ODx",
        " guest:AAECAwQFBgcICQoLDA0ODw"}) {
    if (is_browser_user(*User::from(other))) fail_msg("taken: %s", other);
  }
}

void a_reference_of_it_fits_stripe(void**) {
  const std::vector<std::string> raw{kRawKey};
  const ClientReference references(raw);
  const std::string reference = references.make(browser());
  assert_true(!reference.empty() && reference.size() <= 200);
  assert_true(references.open(reference) == browser());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_id_is_a_user_and_a_token),
      cmocka_unit_test(nobody_makes_one_without_the_key),
      cmocka_unit_test(what_others_may_see_or_hold_makes_none),
      cmocka_unit_test(and_it_makes_nothing_else),
      cmocka_unit_test(it_is_good_at_its_own_site_alone),
      cmocka_unit_test(it_ends_with_its_lifetime),
      cmocka_unit_test(keys_are_rotated),
      cmocka_unit_test(only_the_exact_form_is_a_browser),
      cmocka_unit_test(a_reference_of_it_fits_stripe),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
