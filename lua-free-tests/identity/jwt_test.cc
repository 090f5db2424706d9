#include "core/identity/jwt.h"

#include <openssl/err.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/types.h"
#include "lua-free-tests/support/jwt_minter.h"

extern "C" {
#include <cmocka.h>
}

using entitle::bearer_token;
using entitle::JwtClaims;
using entitle::JwtError;
using entitle::JwtKeys;
using entitle::JwtRules;
using entitle::JwtVerdict;
using entitle::kForever;
using entitle::read_jwt_keys;
using entitle::Seconds;
using entitle::unix_time;
using entitle::verify_jwt;

namespace {

constexpr std::int64_t kNow = 1767225600;
const std::string kSecret(64, 's');
const std::string kClaims = R"({"sub":"user_1","exp":1767225900})";

// Made once: RSA keys are slow to find.
minter::Pkey rsa_key, other_rsa_key, p256_key, p384_key, ed25519_key;

int make_keys(void**) {
  rsa_key = minter::rsa(2048);
  other_rsa_key = minter::rsa(2048);
  p256_key = minter::ec("P-256");
  p384_key = minter::ec("P-384");
  ed25519_key = minter::okp("ED25519");
  return 0;
}

int free_keys(void**) {
  for (minter::Pkey* key :
       {&rsa_key, &other_rsa_key, &p256_key, &p384_key, &ed25519_key}) {
    key->reset();
  }
  return 0;
}

std::string rsa_jwk(const std::string& more = "", EVP_PKEY* key = nullptr) {
  return '{' + minter::rsa_members(key ? key : rsa_key.get()) + more + '}';
}
std::string p256_jwk(const std::string& more = "") {
  return '{' + minter::ec_members(p256_key.get(), "P-256") + more + '}';
}
std::string oct_jwk(const std::string& more = "",
                    const std::string& secret = kSecret) {
  return '{' + minter::oct_members(secret) + more + '}';
}

JwtKeys keys_of(std::initializer_list<std::string> jwks) {
  std::string text;
  for (const std::string& jwk : jwks) text += (text.empty() ? "" : ",") + jwk;
  auto reading = read_jwt_keys(R"({"keys":[)" + text + "]}");
  assert_int_equal(reading.refused.size(), 0);
  return std::move(reading.keys);
}

JwtKeys all_keys() {
  return keys_of({rsa_jwk(), p256_jwk(),
                  '{' + minter::ec_members(p384_key.get(), "P-384") + '}',
                  '{' + minter::okp_members(ed25519_key.get()) + '}',
                  oct_jwk()});
}

// The user, or the error's name; whatever happens, OpenSSL's queue is clean.
std::string who(const JwtKeys& keys, std::string_view token,
                const JwtRules& rules = {}, std::int64_t now = kNow) {
  JwtVerdict verdict = verify_jwt(keys, rules, token, unix_time(now));
  assert_int_equal(ERR_peek_error(), 0);
  return verdict.claims ? verdict.claims->user.str()
                        : std::string(name(verdict.error));
}

void expect(const JwtKeys& keys, std::string_view token, const char* answer,
            const JwtRules& rules = {}, std::int64_t now = kNow) {
  assert_string_equal(who(keys, token, rules, now).c_str(), answer);
}

std::string hs256(std::string_view claims,
                  std::string_view header = R"({"alg":"HS256"})") {
  return minter::mac_token(kSecret, "HS256", header, claims);
}

// What the claims alone decide.
void expect_claims(std::string_view claims, const char* answer,
                   const JwtRules& rules = {}, std::int64_t now = kNow) {
  static const JwtKeys keys = keys_of({oct_jwk()});
  expect(keys, hs256(claims), answer, rules, now);
}

// What the header alone decides, signed with the right key.
void expect_header(std::string_view header, const char* answer) {
  static const JwtKeys keys = keys_of({oct_jwk()});
  expect(keys, hs256(kClaims, header), answer);
}

std::string signed_by(EVP_PKEY* key, const std::string& alg,
                      const std::string& more = "",
                      std::string_view claims = kClaims) {
  return minter::token(key, alg, R"({"alg":")" + alg + '"' + more + '}',
                       claims);
}

struct Algorithm {
  const char* name;
  EVP_PKEY* key;  // null: kSecret
};
std::vector<Algorithm> algorithms() {
  return {{"HS256", nullptr},        {"HS384", nullptr},
          {"HS512", nullptr},        {"RS256", rsa_key.get()},
          {"RS384", rsa_key.get()},  {"RS512", rsa_key.get()},
          {"PS256", rsa_key.get()},  {"ES256", p256_key.get()},
          {"ES384", p384_key.get()}, {"EdDSA", ed25519_key.get()}};
}
std::string minted(const Algorithm& by) {
  if (by.key) return signed_by(by.key, by.name);
  return minter::mac_token(
      kSecret, by.name, R"({"alg":")" + std::string(by.name) + "\"}", kClaims);
}

// RFC 7515 appendices A.1 to A.3: claims {"iss":"joe","exp":1300819380,...}.
const std::string kRfcPayload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

void expect_rfc(const std::string& jwk, const std::string& token) {
  JwtKeys keys = keys_of({jwk});
  JwtRules rules;
  rules.user_claim = "iss";
  expect(keys, token, "joe", rules, 1300819379);
  expect(keys, token, "expired", rules, 1300819380);
  std::string forged = token;
  forged[token.rfind('.') + 3] ^= 1;
  expect(keys, forged, "bad_signature", rules, 1300819379);
}

void rfc_7515_a1_hs256_holds(void**) {
  expect_rfc(R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQ)"
             R"(Lr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})",
             "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + kRfcPayload +
                 ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

void rfc_7515_a2_rs256_holds(void**) {
  expect_rfc(
      R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0)"
      R"(l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgN)"
      R"(MsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5)"
      R"(z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3)"
      R"(qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM)"
      R"(Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})",
      "eyJhbGciOiJSUzI1NiJ9." + kRfcPayload +
          ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
          "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
          "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
          "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
          "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
          "p0igcN_IoypGlUPQGe77Rw");
}

void rfc_7515_a3_es256_holds(void**) {
  expect_rfc(
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9)"
      R"(uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
      "eyJhbGciOiJFUzI1NiJ9." + kRfcPayload +
          ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
          "pmWQxfKTUJqPP3-Kg6NU1Q");
}

// Its payload is text, so the furthest it can get is past its signature.
void rfc_8037_a4_ed25519_holds(void**) {
  JwtKeys keys =
      keys_of({R"({"kty":"OKP","crv":"Ed25519",)"
               R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"});
  std::string token =
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsP"
      "t9g7sVvpAr_MuM0KAg";
  expect(keys, token, "claims_malformed");
  token[token.rfind('.') + 3] ^= 1;
  expect(keys, token, "bad_signature");
}

void every_algorithm_verifies_what_openssl_signed(void**) {
  JwtKeys keys = all_keys();
  for (const Algorithm& by : algorithms()) {
    expect(keys, minted(by), "user_1");
  }
}

void a_changed_byte_of_any_part_is_never_accepted(void**) {
  JwtKeys keys = all_keys();
  for (const Algorithm& by : algorithms()) {
    std::string token = minted(by);
    std::size_t stride = by.key ? 7 : 1;
    for (std::size_t i = 0; i < token.size(); i += stride) {
      for (char other : {'A', 'B', '.', '=', '\0'}) {
        if (token[i] == other) continue;
        std::string forged = token;
        forged[i] = other;
        assert_string_not_equal(who(keys, forged).c_str(), "user_1");
      }
    }
  }
}

void a_cut_or_longer_token_is_never_accepted(void**) {
  JwtKeys keys = all_keys();
  for (const Algorithm& by : algorithms()) {
    std::string token = minted(by);
    for (std::size_t i = 0; i < token.size(); i += 3) {
      assert_string_not_equal(who(keys, token.substr(0, i)).c_str(), "user_1");
    }
    for (const char* more : {"A", "AA", "AAAA", "=", "==", ".", " ", "\n"}) {
      assert_string_not_equal(who(keys, token + more).c_str(), "user_1");
    }
    expect(keys, token.substr(0, token.rfind('.') + 1), "bad_signature");
  }
}

// Or one token would have several texts.
void an_ecdsa_signature_has_one_length(void**) {
  JwtKeys keys = all_keys();
  std::string input = minter::signing_input(R"({"alg":"ES256"})", kClaims);
  std::string signature;
  do {
    signature = minter::sign(p256_key.get(), "ES256", input);
  } while (signature[32] != 0);
  auto with = [&](const std::string& raw) {
    return input + '.' + minter::base64url(raw);
  };
  expect(keys, with(signature), "user_1");
  expect(keys, with(signature.substr(0, 32) + signature.substr(33)),
         "bad_signature");
  expect(keys, with(signature + std::string(1, '\0')), "bad_signature");
  expect(keys, with(std::string(64, '\0')), "bad_signature");
  expect(keys, with(std::string(64, '\xff')), "bad_signature");
}

void a_pss_salt_is_as_long_as_its_hash(void**) {
  JwtKeys keys = all_keys();
  std::string input = minter::signing_input(R"({"alg":"PS256"})", kClaims);
  auto with_salt = [&](int bytes) {
    return input + '.' +
           minter::base64url(
               minter::sign(rsa_key.get(), "PS256", input, bytes));
  };
  expect(keys, with_salt(32), "user_1");
  for (int bytes : {0, 20, 31, 33, 64}) {
    expect(keys, with_salt(bytes), "bad_signature");
  }
}

void another_key_of_the_type_is_refused(void**) {
  minter::Pkey p256 = minter::ec("P-256"), ed25519 = minter::okp("ED25519");
  JwtKeys keys = all_keys();
  for (const char* alg : {"RS256", "RS384", "RS512", "PS256"}) {
    expect(keys, signed_by(other_rsa_key.get(), alg), "bad_signature");
  }
  expect(keys, signed_by(p256.get(), "ES256"), "bad_signature");
  expect(keys, signed_by(ed25519.get(), "EdDSA"), "bad_signature");
  expect(keys,
         minter::mac_token(std::string(64, 'x'), "HS256", R"({"alg":"HS256"})",
                           kClaims),
         "bad_signature");
}

void a_public_key_is_never_a_secret(void**) {
  JwtKeys keys = keys_of({rsa_jwk()});
  for (const std::string& secret :
       {minter::public_pem(rsa_key.get()), rsa_jwk()}) {
    for (const char* alg : {"HS256", "HS384", "HS512"}) {
      expect(
          keys,
          minter::mac_token(secret, alg,
                            R"({"alg":")" + std::string(alg) + "\"}", kClaims),
          "alg_not_allowed");
    }
  }
}

void the_algorithm_is_the_keys_choice(void**) {
  JwtKeys pss_only = keys_of({rsa_jwk(R"(,"alg":"PS256")")});
  expect(pss_only, signed_by(rsa_key.get(), "PS256"), "user_1");
  expect(pss_only, signed_by(rsa_key.get(), "RS256"), "alg_not_allowed");
  JwtKeys hs512_only = keys_of({oct_jwk(R"(,"alg":"HS512")")});
  expect(hs512_only, hs256(kClaims), "alg_not_allowed");
  JwtKeys short_secret = keys_of({oct_jwk("", std::string(32, 'k'))});
  expect(short_secret,
         minter::mac_token(std::string(32, 'k'), "HS512", R"({"alg":"HS512"})",
                           kClaims),
         "alg_not_allowed");
  // Signed one way, labelled another.
  expect(all_keys(),
         minter::token(rsa_key.get(), "PS256", R"({"alg":"RS256"})", kClaims),
         "bad_signature");
}

void none_is_never_an_algorithm(void**) {
  JwtKeys keys = all_keys();
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", "HS256 ", "hs256",
                          "RS1", "ES512", "PS512", "dir"}) {
    std::string input = minter::signing_input(
        R"({"alg":")" + std::string(alg) + "\"}", kClaims);
    expect(keys, input + '.', "alg_not_allowed");
    expect(keys, input + ".AAAA", "alg_not_allowed");
  }
  expect_header(R"({"typ":"JWT"})", "malformed");
  expect_header(R"({"alg":null})", "malformed");
  expect_header(R"({"alg":["HS256"]})", "malformed");
}

void extensions_that_must_be_understood_are_refused(void**) {
  expect_header(R"({"alg":"HS256","crit":["exp"]})", "unsupported");
  expect_header(R"({"alg":"HS256","crit":[]})", "unsupported");
  expect_header(R"({"alg":"HS256","crit":null})", "unsupported");
  expect_header(R"({"alg":"HS256","b64":false,"crit":["b64"]})", "unsupported");
  expect_header(R"({"alg":"HS256","b64":false})", "unsupported");
  expect_header(R"({"alg":"HS256","b64":"true"})", "unsupported");
  expect_header(R"({"alg":"HS256","b64":true})", "user_1");
}

void duplicate_members_are_refused(void**) {
  expect_header(R"({"alg":"HS256","alg":"HS256"})", "malformed");
  expect_header(R"({"alg":"none","\u0061lg":"HS256"})", "malformed");
  expect_claims(R"({"sub":"a","sub":"a"})", "claims_malformed");
  expect_claims(R"({"sub":"a","exp":1,"exp":1767225900})", "claims_malformed");
  expect_claims(R"({"sub":"a","x":{"y":1,"y":2}})", "claims_malformed");
}

void a_header_is_a_json_object_in_strict_base64url(void**) {
  for (const char* header :
       {"", "{", "[]", "\"HS256\"", "5", "null", R"({"alg":"HS256"}x)",
        R"({"alg":"HS256","kid":5})", R"({"alg":"HS256","kid":null})",
        "{\"alg\":\"HS256\",\"x\":\"\xff\"}"}) {
    expect_header(header, "malformed");
  }
  JwtKeys keys = keys_of({oct_jwk()});
  std::string payload = minter::base64url(kClaims);
  // The right MAC over text that is not in canonical form.
  for (const std::string& header : {std::string("eyJhbGciOiJIUzI1NiJ9="),
                                    std::string("eyJhbGciOiJIUzI1NiJ9 "),
                                    std::string("eyJhbGciOiJIUzI1NiJ9\n"),
                                    std::string("eyJhbGciOiJIUzI1Ni J9")}) {
    std::string input = header + '.' + payload;
    expect(
        keys,
        input + '.' + minter::base64url(minter::mac(kSecret, "HS256", input)),
        "malformed");
  }
}

void whatever_else_the_header_says_is_not_looked_at(void**) {
  expect_header(R"({"alg":"HS256","typ":"at+jwt","jku":"https://evil/","x5u":)"
                R"("https://evil/","jwk":{"kty":"oct","k":"AAAA"},"x5c":[]})",
                "user_1");
}

void rubbish_is_malformed(void**) {
  JwtKeys keys = all_keys();
  std::string dots(8192, '.');
  std::string deep = minter::signing_input(std::string(6000, '['), "{}");
  for (const std::string& token :
       {std::string(), std::string("X"), std::string("."), std::string(".."),
        std::string("..."), std::string("a.b"), std::string("Bearer a.b.c"),
        std::string("\0.\0.\0", 5), std::string(8192, 'A'),
        std::string(8192, '\xff'), dots, deep + ".AA",
        std::string(2730, 'A') + '.' + std::string(2730, 'A') + '.' +
            std::string(2730, 'A'),
        std::string(100000, 'a') + ".b.c"}) {
    expect(keys, token, "malformed");
  }
}

void a_jwe_is_called_encrypted(void**) {
  expect(all_keys(), "a.b.c.d.e", "encrypted");
  expect(all_keys(), "eyJhbGciOiJkaXIifQ..iv.text.tag", "encrypted");
}

void eight_kib_is_the_limit(void**) {
  JwtKeys keys = keys_of({oct_jwk()});
  auto sized = [](std::size_t filler) {
    return hs256(R"({"sub":"a","f":")" + std::string(filler, 'f') + "\"}");
  };
  std::size_t filler = 6000;
  while (sized(filler + 1).size() <= 8192) filler++;
  assert_in_range(sized(filler).size(), 8191, 8192);
  expect(keys, sized(filler), "a");
  expect(keys, sized(filler + 1), "malformed");
}

void claims_nest_sixteen_deep_and_no_deeper(void**) {
  auto nested = [](std::size_t depth) {
    return R"({"sub":"a","x":)" + std::string(depth - 1, '[') +
           std::string(depth - 1, ']') + '}';
  };
  expect_claims(nested(16), "a");
  expect_claims(nested(17), "claims_malformed");
}

void claims_are_read_only_after_the_signature(void**) {
  JwtKeys keys = keys_of({oct_jwk()});
  std::string input = minter::signing_input(R"({"alg":"HS256"})", "not json");
  expect(keys, input + ".AAAA", "bad_signature");
  for (const char* claims : {"", "not json", "[]", "5", "null", "\"user_1\"",
                             "{\"sub\":\"\xff\"}", "{} {}"}) {
    expect_claims(claims, "claims_malformed");
  }
}

void a_kid_selects_its_keys(void**) {
  JwtKeys keys = keys_of({rsa_jwk(R"(,"kid":"a")"),
                          rsa_jwk(R"(,"kid":"b")", other_rsa_key.get())});
  auto token = [](const minter::Pkey& key, const char* kid) {
    return signed_by(key.get(), "RS256",
                     R"(,"kid":")" + std::string(kid) + '"');
  };
  expect(keys, token(rsa_key, "a"), "user_1");
  expect(keys, token(other_rsa_key, "b"), "user_1");
  expect(keys, token(rsa_key, "b"), "bad_signature");
  expect(keys, token(rsa_key, "c"), "unknown_key");
  expect(keys, token(rsa_key, ""), "unknown_key");
  expect(keys, token(rsa_key, "A"), "unknown_key");
}

void without_a_kid_every_key_of_the_type_is_tried(void**) {
  JwtKeys keys = keys_of({p256_jwk(R"(,"kid":"e")"), rsa_jwk(R"(,"kid":"a")"),
                          rsa_jwk(R"(,"kid":"b")", other_rsa_key.get())});
  expect(keys, signed_by(rsa_key.get(), "RS256"), "user_1");
  expect(keys, signed_by(other_rsa_key.get(), "RS256"), "user_1");
  expect(keys, signed_by(p256_key.get(), "ES256"), "user_1");
}

void keys_without_a_kid_come_second(void**) {
  JwtKeys keys =
      keys_of({rsa_jwk(R"(,"kid":"a")"), rsa_jwk("", other_rsa_key.get())});
  std::string by_other =
      signed_by(other_rsa_key.get(), "RS256", R"(,"kid":"a")");
  expect(keys, by_other, "user_1");
  expect(keys, signed_by(other_rsa_key.get(), "RS256", R"(,"kid":"z")"),
         "user_1");
  JwtKeys pem_like = keys_of({rsa_jwk()});
  expect(pem_like, signed_by(rsa_key.get(), "RS256", R"(,"kid":"z")"),
         "user_1");
  expect(pem_like, by_other, "bad_signature");
}

void no_keys_know_no_token(void**) {
  expect(JwtKeys(), hs256(kClaims), "unknown_key");
}

void newer_keys_may_help_where_none_is_of_the_kid(void**) {
  JwtKeys keys = keys_of({rsa_jwk(R"(,"kid":"a")")});
  auto missing = [&](const std::string& token, const JwtKeys& among) {
    return verify_jwt(among, {}, token, entitle::unix_time(kNow)).key_missing;
  };
  auto with_kid = [](const char* kid) {
    return signed_by(other_rsa_key.get(), "RS256",
                     R"(,"kid":")" + std::string(kid) + '"');
  };
  std::string nameless = signed_by(other_rsa_key.get(), "RS256");
  assert_true(missing(with_kid("b"), keys));
  assert_true(missing(nameless, keys));
  assert_true(missing(signed_by(p256_key.get(), "ES256"), keys));
  assert_true(missing(with_kid("b"), keys_of({rsa_jwk()})));
  assert_true(missing(nameless, JwtKeys()));

  assert_false(missing(with_kid("a"), keys));  // forged
  assert_false(missing(signed_by(rsa_key.get(), "RS256"), keys));
  assert_false(missing("x.y.z", keys));
  assert_false(missing(signed_by(rsa_key.get(), "none"), JwtKeys()));
}

void an_expiry_ends_at_its_second_plus_leeway(void**) {
  JwtRules lenient;
  lenient.leeway = Seconds(30);
  expect_claims(R"({"sub":"a","exp":1767225601})", "a");
  expect_claims(R"({"sub":"a","exp":1767225600})", "expired");
  expect_claims(R"({"sub":"a","exp":1767225571})", "a", lenient);
  expect_claims(R"({"sub":"a","exp":1767225570})", "expired", lenient);
  expect_claims(R"({"sub":"a","exp":0})", "expired");
  expect_claims(R"({"sub":"a"})", "a");
}

void nothing_from_the_future_is_valid_yet(void**) {
  JwtRules lenient;
  lenient.leeway = Seconds(30);
  for (const char* claim : {"nbf", "iat"}) {
    auto at = [&](const char* seconds) {
      return R"({"sub":"a",")" + std::string(claim) + "\":" + seconds + '}';
    };
    expect_claims(at("1767225600"), "a");
    expect_claims(at("1767225601"), "not_yet_valid");
    expect_claims(at("1767225630"), "a", lenient);
    expect_claims(at("1767225631"), "not_yet_valid", lenient);
  }
}

void fractions_of_a_second_go_to_the_safe_side(void**) {
  expect_claims(R"({"sub":"a","exp":1767225601.9})", "a");
  expect_claims(R"({"sub":"a","exp":1767225600.9})", "expired");
  expect_claims(R"({"sub":"a","nbf":1767225599.1})", "a");
  expect_claims(R"({"sub":"a","nbf":1767225600.1})", "not_yet_valid");
  expect_claims(R"({"sub":"a","exp":1.7672256015e9})", "a");
  JwtVerdict verdict =
      verify_jwt(keys_of({oct_jwk()}), {},
                 hs256(R"({"sub":"a","iat":1767225599.9})"), unix_time(kNow));
  assert_true(verdict.claims->issued_at == unix_time(1767225599));
}

void a_date_is_a_sensible_number(void**) {
  for (const char* claim : {"exp", "nbf", "iat"}) {
    for (const char* value :
         {"\"1767225900\"", "null", "true", "[]", "{}", "-1", "-0.5",
          "1767225900000", "253402300800", "9223372036854775807",
          "99999999999999999999", "1e18", "1e300", "1e999", "NaN"}) {
      expect_claims(
          R"({"sub":"a",")" + std::string(claim) + "\":" + value + '}',
          "claims_malformed");
    }
  }
  expect_claims(R"({"sub":"a","exp":253402300799})", "a");
  expect_claims(R"({"sub":"a","nbf":0,"iat":0.0})", "a");
}

void an_issuer_is_one_of_those_allowed(void**) {
  JwtRules rules;
  rules.issuers = {"https://a.example", "https://b.example"};
  expect_claims(R"({"sub":"a","iss":"https://b.example"})", "a", rules);
  for (const char* claims : {R"({"sub":"a"})", R"({"sub":"a","iss":""})",
                             R"({"sub":"a","iss":"https://b.example/"})",
                             R"({"sub":"a","iss":"https://B.example"})"}) {
    expect_claims(claims, "wrong_issuer", rules);
  }
  for (const char* claims :
       {R"({"sub":"a","iss":["https://a.example"]})", R"({"sub":"a","iss":5})",
        R"({"sub":"a","iss":null})"}) {
    expect_claims(claims, "claims_malformed", rules);
    expect_claims(claims, "claims_malformed");
  }
}

void an_audience_is_a_string_or_an_array_of_strings(void**) {
  JwtRules rules;
  rules.audiences = {"courses", "shop"};
  expect_claims(R"({"sub":"a","aud":"shop"})", "a", rules);
  expect_claims(R"({"sub":"a","aud":["x","courses"]})", "a", rules);
  for (const char* claims :
       {R"({"sub":"a"})", R"({"sub":"a","aud":""})", R"({"sub":"a","aud":[]})",
        R"({"sub":"a","aud":"shop "})", R"({"sub":"a","aud":["x","y"]})"}) {
    expect_claims(claims, "wrong_audience", rules);
    expect_claims(claims, "a");
  }
  for (const char* claims :
       {R"({"sub":"a","aud":5})", R"({"sub":"a","aud":null})",
        R"({"sub":"a","aud":{"shop":1}})", R"({"sub":"a","aud":["shop",5]})",
        R"({"sub":"a","aud":[["shop"]]})"}) {
    expect_claims(claims, "claims_malformed", rules);
    expect_claims(claims, "claims_malformed");
  }
}

void the_user_claim_names_a_user(void**) {
  JwtRules rules;
  rules.user_claim = "https://example.com/uid";
  expect_claims(R"({"sub":"a","https://example.com/uid":"b"})", "b", rules);
  expect_claims(R"({"sub":"a"})", "no_user", rules);
  expect_claims(R"({"sub":42})", "42");
  expect_claims(R"({"sub":42.0})", "42");
  const std::string longest(255, 'u');
  expect_claims("{\"sub\":\"" + longest + "\"}", longest.c_str());
  for (const std::string& sub :
       {std::string("null"), std::string("true"), std::string("[]"),
        std::string("{}"), std::string("\"\""), std::string("1.5"),
        std::string(R"("a\nb")"), std::string(R"("\u007f")"),
        '"' + longest + "u\""}) {
    expect_claims("{\"sub\":" + sub + '}', "no_user");
  }
  expect_claims(R"({"sub":"a\u0000b"})", "claims_malformed");
}

void the_version_claim_is_optional_but_never_wrong(void**) {
  JwtKeys keys = keys_of({oct_jwk()});
  JwtRules rules;
  rules.version_claim = "sv";
  auto version = [&](const char* claims) {
    return verify_jwt(keys, rules, hs256(claims), unix_time(kNow));
  };
  assert_int_equal(
      *version(R"({"sub":"a","sv":1767225600123})").claims->version,
      1767225600123);
  assert_int_equal(
      *version(R"({"sub":"a","sv":"1767225600123"})").claims->version,
      1767225600123);
  assert_false(version(R"({"sub":"a"})").claims->version.has_value());
  assert_false(version(R"({"sub":"a","sv":null})").claims->version.has_value());
  for (const char* value : {"-1", "\"\"", "\"x\"", "1.5", "true", "[1]"}) {
    std::string claims = R"({"sub":"a","sv":)" + std::string(value) + '}';
    expect_claims(claims, "claims_malformed", rules);
    expect_claims(claims, "a");
  }
}

void the_verdict_carries_what_the_gate_needs(void**) {
  JwtRules rules;
  rules.leeway = Seconds(60);
  rules.version_claim = "sv";
  JwtKeys keys = keys_of({oct_jwk()});
  JwtVerdict verdict = verify_jwt(
      keys, rules,
      hs256(R"({"sub":"a","sv":7,"iat":1767225500,"exp":1767225900})"),
      unix_time(kNow));
  JwtClaims expected{*entitle::User::from("a"), 7, unix_time(1767225500),
                     unix_time(1767225900), unix_time(1767225960)};
  assert_true(*verdict.claims == expected);
  verdict = verify_jwt(keys, rules, hs256(R"({"sub":"a"})"), unix_time(kNow));
  assert_false(verdict.claims->issued_at.has_value());
  assert_true(verdict.claims->expires_at == kForever);
  assert_true(verdict.claims->usable_until == kForever);
}

void bearer_is_stripped_in_any_case(void**) {
  for (const char* value : {"Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c",
                            " Bearer\ta.b.c ", "a.b.c", " a.b.c\t"}) {
    assert_true(bearer_token(value) == "a.b.c");
  }
  assert_true(bearer_token("X") == "X");
}

void other_schemes_and_nothing_hold_no_token(void**) {
  for (const char* value :
       {"", " ", "Bearer", "Bearer ", "bearer\t", "Basic dTpw", "Bearer a b",
        "Bearer a.b.c, Basic x", "Digest username=\"x\"", "Bearers a.b.c",
        "Bearer Bearer a.b.c"}) {
    assert_false(bearer_token(value).has_value());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(rfc_7515_a1_hs256_holds),
      cmocka_unit_test(rfc_7515_a2_rs256_holds),
      cmocka_unit_test(rfc_7515_a3_es256_holds),
      cmocka_unit_test(rfc_8037_a4_ed25519_holds),
      cmocka_unit_test(every_algorithm_verifies_what_openssl_signed),
      cmocka_unit_test(a_changed_byte_of_any_part_is_never_accepted),
      cmocka_unit_test(a_cut_or_longer_token_is_never_accepted),
      cmocka_unit_test(an_ecdsa_signature_has_one_length),
      cmocka_unit_test(a_pss_salt_is_as_long_as_its_hash),
      cmocka_unit_test(another_key_of_the_type_is_refused),
      cmocka_unit_test(a_public_key_is_never_a_secret),
      cmocka_unit_test(the_algorithm_is_the_keys_choice),
      cmocka_unit_test(none_is_never_an_algorithm),
      cmocka_unit_test(extensions_that_must_be_understood_are_refused),
      cmocka_unit_test(duplicate_members_are_refused),
      cmocka_unit_test(a_header_is_a_json_object_in_strict_base64url),
      cmocka_unit_test(whatever_else_the_header_says_is_not_looked_at),
      cmocka_unit_test(rubbish_is_malformed),
      cmocka_unit_test(a_jwe_is_called_encrypted),
      cmocka_unit_test(eight_kib_is_the_limit),
      cmocka_unit_test(claims_nest_sixteen_deep_and_no_deeper),
      cmocka_unit_test(claims_are_read_only_after_the_signature),
      cmocka_unit_test(a_kid_selects_its_keys),
      cmocka_unit_test(without_a_kid_every_key_of_the_type_is_tried),
      cmocka_unit_test(keys_without_a_kid_come_second),
      cmocka_unit_test(no_keys_know_no_token),
      cmocka_unit_test(newer_keys_may_help_where_none_is_of_the_kid),
      cmocka_unit_test(an_expiry_ends_at_its_second_plus_leeway),
      cmocka_unit_test(nothing_from_the_future_is_valid_yet),
      cmocka_unit_test(fractions_of_a_second_go_to_the_safe_side),
      cmocka_unit_test(a_date_is_a_sensible_number),
      cmocka_unit_test(an_issuer_is_one_of_those_allowed),
      cmocka_unit_test(an_audience_is_a_string_or_an_array_of_strings),
      cmocka_unit_test(the_user_claim_names_a_user),
      cmocka_unit_test(the_version_claim_is_optional_but_never_wrong),
      cmocka_unit_test(the_verdict_carries_what_the_gate_needs),
      cmocka_unit_test(bearer_is_stripped_in_any_case),
      cmocka_unit_test(other_schemes_and_nothing_hold_no_token),
  };
  return cmocka_run_group_tests(tests, make_keys, free_keys);
}
