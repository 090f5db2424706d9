// core/json/tree.h against jansson: the same texts are accepted, with the same
// meaning, and the same are refused.
#include "core/json/tree.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "lua-free-tests/support/jansson_oracle.h"
#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;
using namespace entitle::test;

namespace {

constexpr std::size_t kDepth = 64;

std::optional<json::Document> parsed(std::string_view text) {
  json::Error error;
  std::optional<json::Document> document = json::parse(text, kDepth, error);
  assert_true(document.has_value() == (*error.reason == '\0'));
  assert_true(error.at <= text.size());
  return document;
}

// True when both accept.
bool agree(std::string_view text) {
  Jansson theirs = by_jansson(text);
  std::optional<json::Document> ours = parsed(text);
  // What no text can be refuses nothing here.
  bool escapes = text.find("\\u") != std::string_view::npos;
  if (ours && !theirs && escapes) return true;
  if (ours.has_value() != (theirs != nullptr)) {
    fail_msg("%s by us only: %.*s", ours ? "accepted" : "refused",
             static_cast<int>(text.size()), text.data());
  }
  if (ours && !same(ours->root(), theirs.get())) {
    fail_msg("understood differently: %.*s", static_cast<int>(text.size()),
             text.data());
  }
  return ours.has_value();
}

void what_json_is(void**) {
  for (const char* text : {"{}",
                           "[]",
                           " { } ",
                           "\t[\n]\r\n",
                           "[0]",
                           "[-0]",
                           "[1,2]",
                           "[1.5e+3, -2E-7,0.0,1e0]",
                           "[9223372036854775807]",
                           "[-9223372036854775808]",
                           "[1e-999]",
                           "[true,false,null]",
                           "[\"\"]",
                           "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
                           "[\"\\u0001\\u00e4\\u20ac\"]",
                           "[\"\\ud83d\\ude00\"]",
                           "[\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"]",
                           "{\"a\":{\"a\":[{\"a\":1}]}}",
                           "{\"\":1,\"a\":2}",
                           "[\"\x7f\"]",
                           "{\"\\u0061\":1,\"b\":[[],{}]}"}) {
    if (!agree(text)) fail_msg("refused: %s", text);
  }
}

void what_json_is_not(void**) {
  for (std::string text :
       std::initializer_list<std::string>{"",
                                          " ",
                                          "1",
                                          "\"a\"",
                                          "null",
                                          "{",
                                          "}",
                                          "[",
                                          "]",
                                          "{]",
                                          "[}",
                                          "[,]",
                                          "[1,]",
                                          "[1 2]",
                                          "[01]",
                                          "[-]",
                                          "[+1]",
                                          "[1.]",
                                          "[.5]",
                                          "[1e]",
                                          "[1e+]",
                                          "[-01]",
                                          "[0x1]",
                                          "[1a]",
                                          "[NaN]",
                                          "[Infinity]",
                                          "[tru]",
                                          "[truex]",
                                          "[True]",
                                          "[nul]",
                                          "['a']",
                                          "[\"a]",
                                          "[\"a\\]",
                                          "[\"\\x\"]",
                                          "[\"\\u12\"]",
                                          "[\"\\u12g4\"]",
                                          "[\"a\nb\"]",
                                          "[\"\x01\"]",
                                          "[\"\x80\"]",
                                          "[\"\xc3\"]",
                                          "[\"\xc0\xaf\"]",
                                          "[\"\xed\xa0\x80\"]",
                                          "[\"\xf4\x90\x80\x80\"]",
                                          "[\"\xe2\x82\"]",
                                          "{1:2}",
                                          "{\"a\"}",
                                          "{\"a\":}",
                                          "{\"a\":1,}",
                                          "{\"a\" 1}",
                                          "{a:1}",
                                          "{\"a\":1 \"b\":2}",
                                          "{\"a\":1,\"a\":2}",
                                          "{\"a\":1,\"\\u0061\":2}",
                                          "{}{}",
                                          "[]x",
                                          "[] ,",
                                          "[9223372036854775808]",
                                          "[-9223372036854775809]",
                                          "[1e999]",
                                          "[-1e999]",
                                          "\xef\xbb\xbf[]",
                                          std::string("[\"a\0b\"]", 7),
                                          std::string("[]\0", 3)}) {
    if (agree(text)) fail_msg("accepted: %s", text.c_str());
  }
}

// JSON may write it, and Stripe passes on what people type: the rest counts.
void what_no_text_can_be_is_not_said(void**) {
  for (const char* text :
       {"\\u0000", "a\\u0000b", "\\ud83d", "\\ud83d\\u0041", "\\ude00",
        "\\ud83dx", "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\n\\u0000"}) {
    std::string body =
        "{\"a\":\"" + std::string(text) + "\",\"b\":\"\\u00e9x\"}";
    std::optional<json::Document> document = parsed(body);
    if (!document) fail_msg("refused: %s", body.c_str());
    assert_true(json::is_null(json::member(document->root(), "a")));
    assert_true(json::string(document->root(), "b") == "\xc3\xa9x");

    body = "{\"" + std::string(text) + "\":1,\"a\":2,\"\\u0000x\":3}";
    document = parsed(body);
    if (!document) fail_msg("refused: %s", body.c_str());
    assert_int_equal(*json::integer(document->root(), "a"), 2);
  }
  assert_false(parsed("[\"\\ud83d\\u00g1\"]").has_value());
  assert_false(parsed("[\"\\ud83d\\x\"]").has_value());
  assert_false(parsed("[\"\\u0000]").has_value());
}

void a_nul_byte_is_no_json_wherever_it_stands(void**) {
  const std::string text = "{\"a\": [1, true, \"x\"]}";
  for (std::size_t at = 0; at <= text.size(); ++at) {
    std::string with = text;
    assert_false(parsed(with.insert(at, 1, '\0')).has_value());
  }
}

void every_fixture_means_what_jansson_reads(void**) {
  for (const std::string& name : test::fixture_names()) {
    assert_true(agree(test::fixture(name)));
  }
}

void damaged_texts_are_refused_alike(void**) {
  std::mt19937_64 random(20260101);
  std::vector<std::string> texts = {
      "{\"a\":[1,-2.5e3,true,null,\"x\\n\\u00e4\xc3\xa4\"],\"b\":{\"c\":{}}}",
      "[\"\\ud83d\\ude00\xf0\x9f\x98\x80\",[[[]]],{\"k\":0,\"l\":false}]"};
  for (const std::string& name : test::fixture_names()) {
    std::string text = test::fixture(name);
    texts.push_back(text.substr(0, 400 + random() % 400));
    texts.push_back(text);
  }
  constexpr std::string_view bytes =
      "{}[]:,\"\\/ "
      "\n\t0123456789+-.eEutfnrabcdx\x01\x7f\x80\xbf\xc2\xe0\xed\xf4";
  std::size_t accepted = 0;
  for (int n = 0; n < 20'000; ++n) {
    std::string text = texts[n % 3 ? n % 2 : random() % texts.size()];
    for (std::size_t edits = 1 + random() % 3; edits > 0; --edits) {
      std::size_t at = random() % text.size();
      char byte = bytes[random() % bytes.size()];
      switch (random() % 3) {
        case 0:
          text[at] = byte;
          break;
        case 1:
          text.insert(at, 1, byte);
          break;
        case 2:
          text.erase(at, 1);
          break;
      }
    }
    accepted += agree(text);
  }
  assert_true(accepted > 500);
  assert_true(accepted < 15'000);
}

void members_are_found_twice_in_any_number(void**) {
  for (int count : {2, 63, 64, 65, 66, 300}) {
    std::string members;
    for (int n = 0; n < count; ++n) {
      members += "\"k" + std::to_string(n) + "\":{\"k0\":[]},";
    }
    for (int same : {0, count / 2, count - 1}) {
      std::string again = "\"k" + std::to_string(same) + "\":1}";
      assert_false(agree("{" + members + again));
      assert_false(agree("[{\"x\":{" + members + again + "}]"));
    }
    assert_true(agree("{" + members + "\"x\":1}"));
  }
}

void a_hundred_thousand_members_take_no_quadratic_time(void**) {
  std::string text = "{";
  for (int n = 0; n < 100'000; ++n) {
    text += "\"" + std::to_string(n) + "\":1,";
  }
  text += "\"x\":1}";
  assert_int_equal(parsed(text)->root()->size(), 100'001);
}

void depth_is_bounded(void**) {
  auto nest = [](std::size_t n) {
    return std::string(n, '[') + std::string(n, ']');
  };
  assert_true(parsed(nest(kDepth)).has_value());
  assert_false(parsed(nest(kDepth + 1)).has_value());
  assert_false(parsed(std::string(1'000'000, '[')).has_value());
  // Depth is of nesting, not of how many there were.
  std::string many = "[";
  for (int n = 0; n < 1000; ++n) many += "[[]],";
  assert_true(parsed(many + "0]").has_value());
}

void strings_end_anywhere_in_a_word(void**) {
  for (std::size_t length = 0; length < 40; ++length) {
    for (std::size_t at = 0; at <= length; ++at) {
      for (const char* piece : {"", "\\n", "\xc3\xa4", "\\\"", "\\u20ac"}) {
        std::string text(length, 'x');
        text.insert(at, piece);
        assert_true(agree("{\"" + text + "\":\"" + text + "\"}"));
      }
      for (const char* piece : {"\"", "\x1f", "\x80", "\\"}) {
        std::string text(length, 'x');
        text.insert(at, piece);
        assert_false(agree("[\"" + text + "\"]") && piece[0] != '\\');
      }
    }
  }
}

void what_is_not_there_is_not_said(void**) {
  std::optional<json::Document> document = parsed(
      R"({"n":null,"b":true,"i":5,"r":1.5,"s":"x","a":[1,{"id":"re_1"}],)"
      R"("o":{"id":"cus_1","data":[7]}})");
  const json::Node* root = document->root();
  for (const json::Node* none :
       {static_cast<const json::Node*>(nullptr), json::member(root, "absent"),
        json::member(json::member(root, "s"), "x"),
        json::member(json::member(root, "a"), "0")}) {
    assert_null(none);
    assert_true(json::string(none, "x").empty());
    assert_false(json::is_null(none));
    for (const json::Node* child : json::Children(none)) assert_null(child);
  }
  for (const char* key : {"n", "b", "i", "r", "a", "o", "absent"}) {
    assert_true(json::string(root, key).empty());
  }
  for (const char* key : {"n", "b", "r", "s", "a", "o", "absent"}) {
    assert_false(json::integer(root, key).has_value());
  }
  for (const char* key : {"n", "i", "r", "s", "a", "o", "absent"}) {
    assert_false(json::boolean(root, key).has_value());
  }
  assert_int_equal(*json::integer(root, "i"), 5);
  assert_true(*json::boolean(root, "b"));
  assert_true(json::is_null(json::member(root, "n")));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_json_is),
      cmocka_unit_test(what_json_is_not),
      cmocka_unit_test(what_no_text_can_be_is_not_said),
      cmocka_unit_test(a_nul_byte_is_no_json_wherever_it_stands),
      cmocka_unit_test(every_fixture_means_what_jansson_reads),
      cmocka_unit_test(damaged_texts_are_refused_alike),
      cmocka_unit_test(members_are_found_twice_in_any_number),
      cmocka_unit_test(a_hundred_thousand_members_take_no_quadratic_time),
      cmocka_unit_test(depth_is_bounded),
      cmocka_unit_test(strings_end_anywhere_in_a_word),
      cmocka_unit_test(what_is_not_there_is_not_said),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
