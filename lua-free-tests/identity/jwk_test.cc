#include "core/identity/jwk.h"

#include <openssl/err.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>

#include "lua-free-tests/support/jwt_minter.h"

extern "C" {
#include <cmocka.h>
}

using entitle::jwt_alg;
using entitle::JwtAlg;
using entitle::JwtKey;
using entitle::JwtKeyReading;
using entitle::JwtKeys;
using entitle::read_jwt_keys;

namespace {

// Made once: RSA keys are slow to find.
minter::Pkey rsa_key, p256_key, p384_key, ed25519_key;

int make_keys(void**) {
  rsa_key = minter::rsa(2048);
  p256_key = minter::ec("P-256");
  p384_key = minter::ec("P-384");
  ed25519_key = minter::okp("ED25519");
  return 0;
}

int free_keys(void**) {
  for (minter::Pkey* key : {&rsa_key, &p256_key, &p384_key, &ed25519_key}) {
    key->reset();
  }
  return 0;
}

std::string rsa_jwk(const std::string& more = "") {
  return '{' + minter::rsa_members(rsa_key.get()) + more + '}';
}
std::string p256_jwk(const std::string& more = "") {
  return '{' + minter::ec_members(p256_key.get(), "P-256") + more + '}';
}
std::string oct_jwk(std::size_t bytes, const std::string& more = "") {
  return '{' + minter::oct_members(std::string(bytes, 'k')) + more + '}';
}
std::string set(std::initializer_list<std::string> jwks) {
  std::string text;
  for (const std::string& jwk : jwks) {
    text += (text.empty() ? "" : ",") + jwk;
  }
  return R"({"keys":[)" + text + "]}";
}

// All lines, so that a test sees every one.
std::string lines(const std::vector<std::string>& of) {
  std::string text;
  for (const std::string& line : of) text += line + '\n';
  return text;
}

// The keys of content that must be read without complaint.
JwtKeys keys_of(const std::string& content) {
  JwtKeyReading reading = read_jwt_keys(content);
  assert_string_equal(lines(reading.refused).c_str(), "");
  return std::move(reading.keys);
}

// Content is refused with this one line, and no key is left.
void refuses(const std::string& content, const std::string& line) {
  JwtKeyReading reading = read_jwt_keys(content);
  assert_string_equal(lines(reading.refused).c_str(), (line + '\n').c_str());
  assert_true(reading.keys.empty());
  assert_int_equal(ERR_peek_error(), 0);
}

void a_key_set_of_every_kind_is_read(void**) {
  JwtKeys keys = keys_of(set({
      rsa_jwk(R"(,"kid":"a","use":"sig","alg":"RS256","x5t":"ignored")"),
      p256_jwk(R"(,"kid":"b","key_ops":["verify"])"),
      '{' + minter::ec_members(p384_key.get(), "P-384") + '}',
      '{' + minter::okp_members(ed25519_key.get()) + R"(,"alg":"EdDSA"})",
      oct_jwk(64, R"(,"kid":"c","alg":"HS512")"),
  }));
  assert_int_equal(keys.all().size(), 5);
  assert_true(keys.all()[0].type() == JwtKey::Type::rsa);
  assert_string_equal(keys.all()[0].kid()->c_str(), "a");
  assert_true(keys.all()[0].alg() == JwtAlg::RS256);
  assert_true(keys.all()[1].type() == JwtKey::Type::p256);
  assert_false(keys.all()[1].alg().has_value());
  assert_true(keys.all()[2].type() == JwtKey::Type::p384);
  assert_false(keys.all()[2].kid().has_value());
  assert_true(keys.all()[3].type() == JwtKey::Type::ed25519);
  assert_true(keys.all()[4].type() == JwtKey::Type::oct);
}

void a_single_jwk_is_a_set_of_one(void**) {
  assert_int_equal(keys_of('\n' + rsa_jwk()).all().size(), 1);
}

void pem_files_hold_one_or_more_public_keys(void**) {
  std::string pem = "text before\n" + minter::public_pem(rsa_key.get()) +
                    minter::public_pem(p256_key.get()) + "\n# between\n" +
                    minter::public_pem(p384_key.get()) +
                    minter::public_pem(ed25519_key.get());
  JwtKeys keys = keys_of(pem);
  assert_int_equal(keys.all().size(), 4);
  assert_true(keys.all()[0].type() == JwtKey::Type::rsa);
  assert_true(keys.all()[1].type() == JwtKey::Type::p256);
  assert_true(keys.all()[2].type() == JwtKey::Type::p384);
  assert_true(keys.all()[3].type() == JwtKey::Type::ed25519);
}

void pem_and_jwk_of_one_key_are_the_same_material(void**) {
  JwtKeys jwk = keys_of(set({rsa_jwk(), p256_jwk()}));
  JwtKeys pem = keys_of(minter::public_pem(rsa_key.get()) +
                        minter::public_pem(p256_key.get()));
  for (std::size_t i = 0; i < 2; i++) {
    assert_true(jwk.all()[i].same_material(pem.all()[i]));
    assert_false(jwk.all()[i].same_material(pem.all()[1 - i]));
  }
}

void the_type_pins_the_algorithms(void**) {
  const std::string all_names[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                   "RS512", "PS256", "ES256", "ES384", "EdDSA"};
  struct Row {
    std::string jwk;
    std::string allowed;
  };
  const Row rows[] = {
      {rsa_jwk(), "RS256 RS384 RS512 PS256 "},
      {rsa_jwk(R"(,"alg":"PS256")"), "PS256 "},
      {p256_jwk(), "ES256 "},
      {'{' + minter::ec_members(p384_key.get(), "P-384") + '}', "ES384 "},
      {'{' + minter::okp_members(ed25519_key.get()) + '}', "EdDSA "},
      {oct_jwk(32), "HS256 "},
      {oct_jwk(47), "HS256 "},
      {oct_jwk(48), "HS256 HS384 "},
      {oct_jwk(64), "HS256 HS384 HS512 "},
      {oct_jwk(64, R"(,"alg":"HS256")"), "HS256 "},
  };
  for (const Row& row : rows) {
    JwtKeys keys = keys_of(row.jwk);
    std::string allowed;
    for (const std::string& alg : all_names) {
      if (keys.all()[0].allows(*jwt_alg(alg))) allowed += alg + ' ';
    }
    assert_string_equal(allowed.c_str(), row.allowed.c_str());
  }
}

void algorithm_names_are_exact(void**) {
  assert_true(jwt_alg("RS256") == JwtAlg::RS256);
  assert_string_equal(std::string(name(JwtAlg::EdDSA)).c_str(), "EdDSA");
  for (const char* none : {"", "none", "None", "rs256", "RS256 ", "ES512",
                           "ES256K", "PS384", "HS1", "RSA-OAEP"}) {
    assert_false(jwt_alg(none).has_value());
  }
}

void weak_keys_are_refused(void**) {
  minter::Pkey weak = minter::rsa(2047);
  refuses('{' + minter::rsa_members(weak.get()) + R"(,"kid":"old"})",
          "key 1 (kid \"old\"): RSA of 2047 bits: 2048 to 8192 are allowed");
  refuses(minter::public_pem(weak.get()),
          "key 1: RSA of 2047 bits: 2048 to 8192 are allowed");
  refuses(oct_jwk(31), "key 1: a secret of 31 bytes: 32 to 1024 are allowed");
  refuses(oct_jwk(1025),
          "key 1: a secret of 1025 bytes: 32 to 1024 are allowed");
  refuses(oct_jwk(63, R"(,"alg":"HS512")"),
          "key 1: \"alg\" HS512 needs a secret at least as long as its hash");
}

void rsa_numbers_are_checked(void**) {
  std::string n = minter::base64url('\xc0' + std::string(254, 'n') + '\x01');
  auto with = [](const std::string& modulus, std::string_view exponent) {
    return R"({"kty":"RSA","n":")" + modulus + R"(","e":")" +
           minter::base64url(exponent) + "\"}";
  };
  const char* exponent =
      "key 1: an RSA exponent is odd, at least 3 and below 2^64";
  for (std::string_view e : {std::string_view("\x01"), std::string_view("\x02"),
                             std::string_view("\x01\x00\x00", 3)}) {
    refuses(with(n, e), exponent);
  }
  refuses(with(n, std::string(9, '\x03')), exponent);
  refuses(with(n, std::string(200, '\x03')),
          "key 1: RSA numbers too long: 2048 to 8192 bits are allowed");
  refuses(with(minter::base64url(std::string(5000, 'n')), "\x03"),
          "key 1: RSA numbers too long: 2048 to 8192 bits are allowed");
  refuses(with(minter::base64url('\x01' + std::string(1024, 'n')), "\x03"),
          "key 1: RSA of 8193 bits: 2048 to 8192 are allowed");
}

void points_off_the_curve_and_of_the_wrong_length_are_refused(void**) {
  auto point = [](std::size_t x, std::size_t y) {
    return R"({"kty":"EC","crv":"P-256","x":")" +
           minter::base64url(std::string(x, '\x05')) + R"(","y":")" +
           minter::base64url(std::string(y, '\x05')) + "\"}";
  };
  refuses(point(32, 32), "key 1: the point is not on the curve");
  refuses(point(31, 32), "key 1: a coordinate of the wrong length");
  refuses(point(33, 33), "key 1: a coordinate of the wrong length");
  refuses(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})",
          "key 1: an Ed25519 key has 32 bytes");
}

void the_point_at_infinity_is_refused(void**) {
  // A SubjectPublicKeyInfo of P-256 whose point is the single byte 00.
  refuses(
      "-----BEGIN PUBLIC KEY-----\nMBkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDAgAA\n"
      "-----END PUBLIC KEY-----\n",
      "key 1: the point is not on the curve");
}

void unknown_types_and_curves_are_refused(void**) {
  minter::Pkey p521 = minter::ec("P-521"), koblitz = minter::ec("secp256k1"),
               x25519 = minter::okp("X25519");
  refuses(R"({"kty":"AKP","alg":"ML-DSA-44","pub":"AA"})",
          "key 1: unknown \"kty\": RSA, EC, OKP and oct are allowed");
  refuses(R"({"kty":5})",
          "key 1: unknown \"kty\": RSA, EC, OKP and oct are allowed");
  refuses('{' + minter::ec_members(p521.get(), "P-521") + '}',
          "key 1: unknown curve: EC has \"crv\" P-256 or P-384");
  refuses('{' + minter::ec_members(p256_key.get(), "P-384") + '}',
          "key 1: a coordinate of the wrong length");
  refuses(R"({"kty":"OKP","crv":"X25519","x":"AAAA"})",
          "key 1: unknown curve: OKP has \"crv\" Ed25519");
  refuses(minter::public_pem(p521.get()),
          "key 1: EC on secp521r1: P-256 and P-384 are allowed");
  refuses(minter::public_pem(koblitz.get()),
          "key 1: EC on secp256k1: P-256 and P-384 are allowed");
  refuses(minter::public_pem(x25519.get()),
          "key 1: unknown key type: RSA, EC (P-256, P-384) and Ed25519 are "
          "allowed");
}

void malformed_members_are_named(void**) {
  struct Row {
    const char* jwk;
    const char* why;
  };
  const Row rows[] = {
      {R"({"kty":"RSA","e":"AQAB"})", "no string \"n\""},
      {R"({"kty":"RSA","n":"","e":"AQAB"})", "no string \"n\""},
      {R"({"kty":"RSA","n":5,"e":"AQAB"})", "no string \"n\""},
      {R"({"kty":"RSA","n":"AQ=="})", "\"n\" is not base64url without padding"},
      {R"({"kty":"RSA","n":"A+/A"})", "\"n\" is not base64url without padding"},
      {R"({"kty":"RSA","n":"AAAA","e":"AB"})",
       "\"e\" is not base64url without padding"},
      {R"({"kty":"oct","k":"AAAA A"})",
       "\"k\" is not base64url without padding"},
      {R"({"kty":"oct","use":1,"k":"AAAA"})", "\"use\" is not a string"},
      {R"({"kty":"oct","key_ops":"verify","k":"AAAA"})",
       "\"key_ops\" is not an array"},
  };
  for (const Row& row : rows) {
    refuses(set({row.jwk}), std::string("key 1: ") + row.why);
  }
  refuses(rsa_jwk(R"(,"kid":5)"),
          "key 1: \"kid\" is not a string of at most 255 bytes");
  refuses(rsa_jwk(R"(,"alg":"RSA-OAEP")"), "key 1: unknown \"alg\"");
  refuses(rsa_jwk(R"(,"alg":7)"), "key 1: unknown \"alg\"");
  for (const char* alg : {"HS256", "ES256", "EdDSA"}) {
    refuses(
        rsa_jwk(std::string(R"(,"alg":")") + alg + '"'),
        std::string("key 1: \"alg\" ") + alg + " does not fit the key's type");
  }
  refuses(set({"7"}), "key 1: not an object");
}

void private_keys_are_refused(void**) {
  refuses(minter::private_pem(rsa_key.get()),
          "key 1: a private key: give its public part (openssl pkey -pubout)");
  refuses(
      "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----"
      "\n",
      "key 1: a private key: give its public part (openssl pkey -pubout)");
  for (const std::string& jwk :
       {rsa_jwk(R"(,"d":"AAAA")"), rsa_jwk(R"(,"p":"AAAA")"),
        p256_jwk(R"(,"d":"AAAA")")}) {
    refuses(jwk, "key 1: holds a private key: give its public part only");
  }
}

void other_pem_is_refused_with_a_reason(void**) {
  std::string certificate =
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  refuses(certificate,
          "key 1: a certificate: give its key (openssl x509 -pubkey -noout)");
  refuses("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
          "key 1: not a public key that OpenSSL can read");
  refuses("-----BEGIN X-----\nAAAA\n-----END X-----\n",
          "key 1: not a PUBLIC KEY");
  std::string pem = minter::public_pem(rsa_key.get());
  refuses(pem.substr(0, pem.size() / 2), "key 1: damaged PEM");
  pem[pem.size() / 2] = '*';
  refuses(pem, "key 1: damaged PEM");
}

void one_kid_names_one_key(void**) {
  JwtKeyReading reading =
      read_jwt_keys(set({rsa_jwk(R"(,"kid":"a")"), p256_jwk(R"(,"kid":"a")")}));
  assert_string_equal(lines(reading.refused).c_str(),
                      "key 2 (kid \"a\"): another key has the same \"kid\"\n");
  // The same key again, or for another algorithm, is no contradiction.
  assert_int_equal(
      keys_of(set({rsa_jwk(R"(,"kid":"a")"), rsa_jwk(R"(,"kid":"a")")}))
          .all()
          .size(),
      1);
  assert_int_equal(keys_of(set({rsa_jwk(R"(,"kid":"a","alg":"RS256")"),
                                rsa_jwk(R"(,"kid":"a","alg":"PS256")")}))
                       .all()
                       .size(),
                   2);
}

void kids_are_compared_across_files(void**) {
  JwtKeys keys = keys_of(rsa_jwk(R"(,"kid":"a")"));
  std::string why;
  assert_true(keys.merge(keys_of(p256_jwk(R"(,"kid":"b")")), why));
  assert_true(keys.merge(keys_of(rsa_jwk(R"(,"kid":"a")")), why));
  assert_int_equal(keys.all().size(), 2);
  assert_false(keys.merge(keys_of(p256_jwk(R"(,"kid":"a")")), why));
  assert_string_equal(why.c_str(),
                      "kid \"a\": another key has the same \"kid\"");
}

// What an identity provider publishes: the rest of the set is still good.
void keys_for_other_uses_are_skipped(void**) {
  JwtKeyReading reading = read_jwt_keys(
      set({rsa_jwk(R"(,"kid":"enc","use":"enc","alg":"RSA-OAEP")"),
           p256_jwk(R"(,"key_ops":["sign"])"), rsa_jwk(R"(,"kid":"sig")")}));
  assert_string_equal(lines(reading.refused).c_str(), "");
  assert_string_equal(lines(reading.skipped).c_str(),
                      "key 1 (kid \"enc\"): its \"use\" is not sig\n"
                      "key 2: its \"key_ops\" have no verify\n");
  assert_int_equal(reading.keys.all().size(), 1);
  refuses(rsa_jwk(R"(,"use":"enc")"), "no key that verifies signatures");
}

void a_bad_key_is_reported_and_the_good_ones_remain(void**) {
  JwtKeyReading reading =
      read_jwt_keys(set({R"({"kty":"new"})", rsa_jwk(), oct_jwk(1)}));
  assert_int_equal(reading.refused.size(), 2);
  assert_int_equal(reading.keys.all().size(), 1);
}

void the_whole_is_bounded(void**) {
  std::string many;
  for (int i = 0; i < 65; i++) {
    many += (i ? "," : "") +
            ('{' +
             minter::oct_members(std::string(32, static_cast<char>('0' + i))) +
             '}');
  }
  JwtKeyReading reading = read_jwt_keys(R"({"keys":[)" + many + "]}");
  assert_string_equal(lines(reading.refused).c_str(), "more than 64 keys\n");
  assert_int_equal(reading.keys.all().size(), 64);
  refuses('{' + std::string(256 * 1024, ' '), "over 256 KiB");
  refuses(R"({"keys":)" + std::string(1000, '['),
          "not JSON, or a member twice");
}

void what_is_no_key_file_is_refused(void**) {
  refuses("", "neither a JWK Set nor PEM");
  refuses("a secret that is long enough, as plain text",
          "neither a JWK Set nor PEM");
  refuses("[]", "neither a JWK Set nor PEM");
  refuses("{}", "no array \"keys\" and no \"kty\"");
  refuses(R"({"keys":{}})", "no array \"keys\" and no \"kty\"");
  refuses(R"({"keys":[]})", "no key that verifies signatures");
  refuses(R"({"keys":[)", "not JSON, or a member twice");
  refuses(R"({"keys":[],"keys":[]})", "not JSON, or a member twice");
  refuses(rsa_jwk(R"(,"kid":"a","kid":"b")"), "not JSON, or a member twice");
}

void no_line_holds_key_material_or_a_hostile_kid(void**) {
  const std::string secret = "c2VjcmV0LW9mLXRoZS1hcHA";
  JwtKeyReading reading = read_jwt_keys(
      R"({"keys":[{"kty":"oct","k":")" + secret + R"("},{"kty":"oct","k":")" +
      secret + R"(="},{"kty":"RSA","n":")" + secret + R"(","e":"AQAB",)" +
      R"("kid":"a\n\"\u001b[31m\u00e9"}]})");
  std::string said = lines(reading.refused);
  assert_int_equal(reading.refused.size(), 3);
  assert_true(said.find("c2VjcmV0") == said.npos);
  assert_true(said.find("secret-of") == said.npos);
  assert_true(said.find("(kid \"a???[31m??\")") != said.npos);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_key_set_of_every_kind_is_read),
      cmocka_unit_test(a_single_jwk_is_a_set_of_one),
      cmocka_unit_test(pem_files_hold_one_or_more_public_keys),
      cmocka_unit_test(pem_and_jwk_of_one_key_are_the_same_material),
      cmocka_unit_test(the_type_pins_the_algorithms),
      cmocka_unit_test(algorithm_names_are_exact),
      cmocka_unit_test(weak_keys_are_refused),
      cmocka_unit_test(rsa_numbers_are_checked),
      cmocka_unit_test(
          points_off_the_curve_and_of_the_wrong_length_are_refused),
      cmocka_unit_test(the_point_at_infinity_is_refused),
      cmocka_unit_test(unknown_types_and_curves_are_refused),
      cmocka_unit_test(malformed_members_are_named),
      cmocka_unit_test(private_keys_are_refused),
      cmocka_unit_test(other_pem_is_refused_with_a_reason),
      cmocka_unit_test(one_kid_names_one_key),
      cmocka_unit_test(kids_are_compared_across_files),
      cmocka_unit_test(keys_for_other_uses_are_skipped),
      cmocka_unit_test(a_bad_key_is_reported_and_the_good_ones_remain),
      cmocka_unit_test(the_whole_is_bounded),
      cmocka_unit_test(what_is_no_key_file_is_refused),
      cmocka_unit_test(no_line_holds_key_material_or_a_hostile_kid),
  };
  return cmocka_run_group_tests(tests, make_keys, free_keys);
}
