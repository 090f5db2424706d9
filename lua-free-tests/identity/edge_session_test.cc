#include "core/identity/edge_session.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "core/base/base64url.h"
#include "core/base/types.h"

using entitle::BoundTo;
using entitle::Session;
using entitle::session_audience;
using entitle::SessionError;
using entitle::SessionKeys;
using entitle::SessionVerdict;
using entitle::to_unix;
using entitle::unix_time;
using entitle::User;

namespace {

constexpr std::int64_t kNow = 1767225600;
const std::string kAudience = "live";
const std::string kRawKey(32, 'k');
const std::string kHeader = R"({"alg":"HS256","typ":"entitle+jwt"})";
const std::string kPayload =
    R"({"aud":"live","sub":"user_1","sv":1767225600123,"iat":1767225600,)"
    R"("exp":1767268800,"bnd":""})";

// Made with Python's hmac, hashlib and base64 from kRawKey and kPayload.
const std::string kToken =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6ImVudGl0bGUrand0In0."
    "eyJhdWQiOiJsaXZlIiwic3ViIjoidXNlcl8xIiwic3YiOjE3NjcyMjU2MDAxMjMsImlhdCI6"
    "MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjY4ODAwLCJibmQiOiIifQ."
    "q75fkBgkBK4ko50X2mCTsjZ2nH0BgbCqZyfDk80SiQc";
const std::vector<BoundTo> kBoundTo = {{"cookie", "sid", "1"},
                                       {"variable", "$x", "ab"}};
const std::string kBinding = "DyIZTCSIzpGk2RQ4mRkTOw";  // likewise

SessionKeys keys(std::vector<std::string> raw = {kRawKey}) {
  return SessionKeys(raw);
}

Session session(std::string_view user = "user_1") {
  return {*User::from(user), 1767225600123, unix_time(kNow),
          unix_time(kNow + 43200), ""};
}

SessionVerdict verify(std::string_view token, std::int64_t now = kNow,
                      std::string_view audience = kAudience) {
  return verify_session(keys(), audience, token, unix_time(now));
}

std::string text(const entitle::Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

// A token that holds the key but not to the form.
std::string signed_token(const std::string& payload,
                         const std::string& header = kHeader) {
  std::string token = entitle::base64url_encode(header) + "." +
                      entitle::base64url_encode(payload);
  std::string key = text(entitle::derive_key(kRawKey, "entitle session v1"));
  std::string mac = text(entitle::HmacSha256(key)({token}));
  return token + "." + entitle::base64url_encode(mac);
}

void expect(std::string_view token, SessionError error) {
  SessionVerdict verdict = verify(token);
  if (verdict.session || verdict.error != error) {
    fail_msg("%.*s: %s, error %d", static_cast<int>(token.size()), token.data(),
             verdict.session ? "accepted" : "refused",
             static_cast<int>(verdict.error));
  }
}

std::string replaced(std::string payload, std::string_view from,
                     std::string_view to) {
  std::size_t at = payload.find(from);
  assert_true(at != std::string::npos);
  return payload.replace(at, from.size(), to);
}

void a_session_is_a_standard_jwt(void**) {
  assert_string_equal(sign_session(keys(), kAudience, session()).c_str(),
                      kToken.c_str());
  assert_true(signed_token(kPayload) == kToken);
}

void what_was_signed_comes_back(void**) {
  SessionVerdict verdict = verify(kToken);
  assert_true(verdict.session.has_value());
  assert_string_equal(verdict.session->user.str().c_str(), "user_1");
  assert_int_equal(verdict.session->version, 1767225600123);
  assert_int_equal(to_unix(verdict.session->issued_at), kNow);
  assert_int_equal(to_unix(verdict.session->expires_at), kNow + 43200);
  assert_string_equal(verdict.session->binding.c_str(), "");
}

void any_user_in_utf8_survives(void**) {
  for (std::string user :
       {std::string("a\"b\\c/d"), std::string("\\\\\"\""),
        std::string(255, '"'), std::string(255, '\\'),
        std::string("Zo\xc3\xab \xf0\x9f\x98\x80"), std::string("{u}%.,;")}) {
    std::string token = sign_session(keys(), "a\"\\ud", session(user));
    SessionVerdict verdict = verify(token, kNow, "a\"\\ud");
    if (!verdict.session) fail_msg("refused: %s", user.c_str());
    assert_true(verdict.session->user.str() == user);
  }
}

void what_has_no_canonical_form_is_not_signed(void**) {
  auto refused = [](const Session& s, std::string_view audience = kAudience) {
    return sign_session(keys(), audience, s).empty();
  };
  for (std::string user : {"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xe0\x80\x80", "\x80"}) {
    assert_true(refused(session(user)));
  }
  assert_true(refused(session(), "a\nb"));
  assert_true(refused(session(), "\xff"));
  assert_true(refused(session(), std::string(4000, 'a')));
  Session s = session();
  s.version = -1;
  assert_true(refused(s));
  s = session();
  s.issued_at = unix_time(-1);
  assert_true(refused(s));
  s = session();
  s.expires_at = unix_time(-1);
  assert_true(refused(s));
  s = session();
  s.binding = "short";
  assert_true(refused(s));
  s.binding = std::string(22, '"');
  assert_true(refused(s));
}

void any_changed_byte_is_refused(void**) {
  for (std::size_t i = 0; i < kToken.size(); i++) {
    for (int bit = 0; bit < 8; bit++) {
      std::string token = kToken;
      token[i] = static_cast<char>(token[i] ^ 1 << bit);
      assert_false(verify(token).session.has_value());
    }
  }
}

void a_cut_or_extended_token_is_refused(void**) {
  for (std::size_t size = 0; size < kToken.size(); size++) {
    assert_false(verify(kToken.substr(0, size)).session.has_value());
    assert_false(
        verify(kToken.substr(kToken.size() - size)).session.has_value());
  }
  expect(kToken + "A", SessionError::malformed);
  expect(kToken + ".", SessionError::malformed);
  expect(kToken + "." + kToken, SessionError::bad_signature);
  expect(std::string(8192, 'x'), SessionError::malformed);
  expect(kToken.substr(0, 48) + std::string(8192, 'A') + kToken.substr(48),
         SessionError::malformed);
}

void only_our_header_is_accepted(void**) {
  for (std::string header :
       {R"({"alg":"none","typ":"entitle+jwt"})", R"({"alg":"none"})",
        R"({"alg":"HS256","typ":"JWT"})",
        R"({"typ":"entitle+jwt","alg":"HS256"})",
        R"({"alg":"HS512","typ":"entitle+jwt"})", "{}", ""}) {
    expect(signed_token(kPayload, header), SessionError::malformed);
  }
  std::string unsigned_token = kToken.substr(0, kToken.rfind('.') + 1);
  expect(unsigned_token, SessionError::malformed);
}

void only_the_canonical_payload_is_accepted(void**) {
  for (std::string payload : {
           std::string(),
           std::string("{}"),
           kPayload + " ",
           " " + kPayload,
           kPayload + kPayload,
           kPayload.substr(0, kPayload.size() - 1),
           replaced(kPayload, R"("aud":"live","sub":"user_1")",
                    R"("sub":"user_1","aud":"live")"),
           replaced(kPayload, R"("sub")", R"("sub2":"x","sub")"),
           replaced(kPayload, R"("sub":"user_1")", R"("sub":"a","sub":"b")"),
           replaced(kPayload, ",\"sub\"", ", \"sub\""),
           replaced(kPayload, "user_1", R"(user\u005f1)"),
           replaced(kPayload, "user_1", R"(user\/1)"),
           replaced(kPayload, "user_1", R"(user\n1)"),
           replaced(kPayload, "user_1", R"(user_1\)"),
           replaced(kPayload, "user_1", "user\n1"),
           replaced(kPayload, "user_1", ""),
           replaced(kPayload, "user_1", std::string(256, 'u')),
           replaced(kPayload, "user_1", "\xff"),
           replaced(kPayload, "1767225600123", "01767225600123"),
           replaced(kPayload, "1767225600123", "-1"),
           replaced(kPayload, "1767225600123", "-0"),
           replaced(kPayload, "1767225600123", "+1"),
           replaced(kPayload, "1767225600123", "1.0"),
           replaced(kPayload, "1767225600123", "1e3"),
           replaced(kPayload, "1767225600123", "\"1\""),
           replaced(kPayload, "1767225600123", ""),
           replaced(kPayload, "1767225600123", "99999999999999999999"),
           replaced(kPayload, R"("bnd":"")", R"("bnd":"short")"),
           replaced(kPayload, R"("bnd":"")",
                    "\"bnd\":\"" + std::string(21, 'A') + "B\""),
           replaced(kPayload, R"("bnd":"")",
                    "\"bnd\":\"" + std::string(43, 'A') + "\""),
           replaced(kPayload, R"(,"bnd":"")", ""),
       }) {
    expect(signed_token(payload), SessionError::malformed);
  }
  assert_true(verify(signed_token(replaced(kPayload, "1767225600123", "0")))
                  .session.has_value());
}

void another_audience_is_refused(void**) {
  assert_true(verify(kToken, kNow, "test").error ==
              SessionError::wrong_audience);
  assert_false(verify(kToken, kNow, "live2").session.has_value());
  assert_false(verify(kToken, kNow, "liv").session.has_value());
  assert_false(verify(kToken, kNow, "").session.has_value());
}

void a_session_ends_at_its_second(void**) {
  assert_true(verify(kToken, kNow + 43199).session.has_value());
  assert_true(verify(kToken, kNow + 43200).error == SessionError::expired);
  assert_false(verify(kToken, kNow + 43200).session.has_value());
}

void a_session_from_the_future_waits_beyond_clock_skew(void**) {
  assert_true(verify(kToken, kNow - 60).session.has_value());
  assert_false(verify(kToken, kNow - 61).session.has_value());
  assert_true(verify(kToken, kNow - 61).error == SessionError::not_yet_valid);
}

void keys_rotate(void**) {
  const std::string newer(32, 'n');
  SessionKeys rotated = keys({newer, kRawKey});
  assert_true(verify_session(rotated, kAudience, kToken, unix_time(kNow))
                  .session.has_value());

  assert_true(
      verify_session(keys({kRawKey, newer}), kAudience, kToken, unix_time(kNow))
          .session.has_value());

  std::string token = sign_session(rotated, kAudience, session());
  assert_true(verify_session(keys({newer}), kAudience, token, unix_time(kNow))
                  .session.has_value());
  SessionVerdict old = verify(token);
  assert_false(old.session.has_value());
  assert_true(old.error == SessionError::bad_signature);
}

void at_least_one_key_is_needed(void**) {
  bool thrown = false;
  try {
    keys({});
  } catch (const std::exception&) {
    thrown = true;
  }
  assert_true(thrown);
}

// Computed by Python's hmac, from the same words.
void an_audience_stands_for_where_a_session_was_made(void**) {
  using Parts = std::vector<std::string_view>;
  const Parts parts = {"server:shop.example", "/whoami", "header=x-user"};
  assert_string_equal(session_audience("entitle:test", parts).c_str(),
                      "entitle:test#JJC4Tr4POeLpClR75BIF5g");
  for (const Parts& other :
       {Parts{"server:shop", ".example/whoami", "header=x-user"},
        Parts{"server:shop.example", "/staff", "header=x-user"},
        Parts{"server:shop.example", "/whoami", "json=/id"},
        Parts{"server:shop.example", "/whoami"}}) {
    assert_true(session_audience("entitle:test", other) !=
                session_audience("entitle:test", parts));
  }
  assert_true(session_audience("entitle:live", parts) !=
              session_audience("entitle:test", parts));
}

void a_binding_holds_for_the_same_values_of_the_same_places_only(void**) {
  assert_string_equal(bind(keys(), kBoundTo).c_str(), kBinding.c_str());
  assert_true(bind_matches(keys(), kBinding, kBoundTo));

  using To = std::vector<BoundTo>;
  const BoundTo sid = kBoundTo[0], x = kBoundTo[1];
  for (const To& other : {
           To{sid, {"variable", "$x", "ac"}},
           To{sid, {"variable", "$xa", "b"}},
           To{sid, {"variable", "$y", "ab"}},
           To{sid, {"asked", "$x", "ab"}},
           To{{"cookie", "si", "d1"}, x},
           To{{"cookie", "remember", "1"}, x},
           To{{"cookie", "sid", "ab"}, {"variable", "$x", "1"}},
           To{x, sid},
           To{sid},
           To{x},
           To{sid, x, {"cookie", "b", ""}},
           To{},
       }) {
    assert_false(bind_matches(keys(), kBinding, other));
  }
}

void what_is_bound_to_nothing_holds_where_nothing_is(void**) {
  assert_string_equal(bind(keys(), {}).c_str(), "");
  assert_true(bind_matches(keys(), "", {}));
  assert_false(bind_matches(keys(), "", kBoundTo));
  assert_false(bind_matches(keys(), kBinding, {}));
}

void a_damaged_binding_matches_nothing(void**) {
  for (std::string binding :
       {std::string(), kBinding.substr(1), kBinding + "A",
        kBinding.substr(0, 21) + "A",
        kBinding.substr(0, 20) + "==", std::string(22, 'A')}) {
    assert_false(bind_matches(keys(), binding, kBoundTo));
  }
}

void bindings_survive_key_rotation(void**) {
  SessionKeys rotated = keys({std::string(32, 'n'), kRawKey});
  assert_true(bind_matches(rotated, kBinding, kBoundTo));
  assert_true(
      bind_matches(keys({kRawKey, std::string(32, 'n')}), kBinding, kBoundTo));
  assert_true(bind(rotated, kBoundTo) != kBinding);
  assert_false(bind_matches(keys({std::string(32, 'n')}), kBinding, kBoundTo));
}

void a_bound_session_carries_its_binding(void**) {
  Session s = session();
  s.binding = kBinding;
  SessionVerdict verdict = verify(sign_session(keys(), kAudience, s));
  assert_true(verdict.session.has_value());
  assert_string_equal(verdict.session->binding.c_str(), kBinding.c_str());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_session_is_a_standard_jwt),
      cmocka_unit_test(what_was_signed_comes_back),
      cmocka_unit_test(any_user_in_utf8_survives),
      cmocka_unit_test(what_has_no_canonical_form_is_not_signed),
      cmocka_unit_test(any_changed_byte_is_refused),
      cmocka_unit_test(a_cut_or_extended_token_is_refused),
      cmocka_unit_test(only_our_header_is_accepted),
      cmocka_unit_test(only_the_canonical_payload_is_accepted),
      cmocka_unit_test(another_audience_is_refused),
      cmocka_unit_test(a_session_ends_at_its_second),
      cmocka_unit_test(a_session_from_the_future_waits_beyond_clock_skew),
      cmocka_unit_test(keys_rotate),
      cmocka_unit_test(at_least_one_key_is_needed),
      cmocka_unit_test(an_audience_stands_for_where_a_session_was_made),
      cmocka_unit_test(
          a_binding_holds_for_the_same_values_of_the_same_places_only),
      cmocka_unit_test(what_is_bound_to_nothing_holds_where_nothing_is),
      cmocka_unit_test(a_damaged_binding_matches_nothing),
      cmocka_unit_test(bindings_survive_key_rotation),
      cmocka_unit_test(a_bound_session_carries_its_binding),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
