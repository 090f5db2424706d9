#include "core/redis/resp.h"

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

using namespace entitle;
using Result = ReplyReader::Result;

void command_is_an_array_of_bulk_strings(void**) {
  std::string out;
  append_command(out, {"SET", "k", std::string("a\0\r\n", 4)});
  append_command(out, {"PING", ""});
  std::string expected = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n" +
                         std::string("a\0\r\n", 4) +
                         "\r\n*2\r\n$4\r\nPING\r\n$0\r\n\r\n";
  assert_true(out == expected);
}

std::string stream() {
  return "+OK\r\n-WRONGTYPE no\r\n:-42\r\n$-1\r\n*-1\r\n" +
         std::string("$5\r\na\0b\r\n\r\n", 11) +
         "*3\r\n$1\r\nx\r\n*2\r\n:1\r\n$-1\r\n*0\r\n";
}

void assert_stream(const std::vector<Reply>& replies) {
  assert_int_equal(replies.size(), 7);
  assert_true(replies[0].type == Reply::Type::status);
  assert_string_equal(replies[0].text.c_str(), "OK");
  assert_true(replies[1].is_error("WRONGTYPE"));
  assert_true(replies[2].type == Reply::Type::integer);
  assert_int_equal(replies[2].integer, -42);
  assert_true(replies[3].is_nil());
  assert_true(replies[4].is_nil());
  assert_true(replies[5].text == std::string("a\0b\r\n", 5));
  const Reply& list = replies[6];
  assert_true(list.is_array());
  assert_int_equal(list.elements.size(), 3);
  assert_string_equal(list.elements[0].text.c_str(), "x");
  assert_int_equal(list.elements[1].elements.size(), 2);
  assert_int_equal(list.elements[1].elements[0].integer, 1);
  assert_true(list.elements[1].elements[1].is_nil());
  assert_true(list.elements[2].is_array());
}

void replies_are_the_same_however_the_bytes_are_cut(void**) {
  for (std::size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
    ReplyReader reader;
    std::vector<Reply> replies;
    std::string bytes = stream();
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(std::string_view(bytes).substr(at, piece));
      Reply reply;
      Result result;
      while ((result = reader.next(reply)) == Result::got) {
        replies.push_back(std::move(reply));
      }
      assert_true(result == Result::need_more);
    }
    assert_stream(replies);
  }
}

void assert_refused(const std::string& bytes,
                    Result how = Result::protocol_error) {
  ReplyReader reader;
  reader.feed(bytes);
  Reply reply;
  Result result = reader.next(reply);
  while (result == Result::got) result = reader.next(reply);
  assert_true(result == how);
  assert_false(reader.error().empty());
  reader.feed("+OK\r\n");
  assert_true(reader.next(reply) == how);
}

void what_is_not_resp_is_refused(void**) {
  assert_refused("HTTP/1.1 200 OK\r\n");
  assert_refused("$abc\r\n");
  assert_refused("$-2\r\n");
  assert_refused("*-2\r\n");
  assert_refused(":12x\r\n");
  assert_refused("*1\r\n?\r\n");
}

void nesting_beyond_seven_is_refused(void**) {
  std::string deep;
  for (int i = 0; i < 7; i++) deep += "*1\r\n";
  ReplyReader reader;
  reader.feed(deep + ":1\r\n");
  Reply reply;
  assert_true(reader.next(reply) == Result::got);
  assert_refused(deep + "*1\r\n*1\r\n:1\r\n");
}

void huge_array_is_refused_before_memory_is_taken(void**) {
  assert_refused("*2147483647\r\n", Result::too_big);
  assert_refused("*262145\r\n", Result::too_big);
  assert_refused("*2\r\n:1\r\n*99999999\r\n", Result::too_big);
  // Whose it is can be told: what came before is got.
  assert_refused("+OK\r\n:7\r\n*262145\r\n", Result::too_big);
}

void huge_string_is_refused_while_it_comes_in(void**) {
  ReplyReader reader;
  reader.feed("$1073741824\r\n");
  std::string piece(1 << 20, 'x');
  Reply reply;
  int pieces = 0;
  while (reader.next(reply) == Result::need_more) {
    reader.feed(piece);
    assert_true(++pieces <= 5);
  }
  assert_true(reader.next(reply) == Result::too_big);
  assert_string_equal(reader.error().c_str(), "reply too big");
}

void half_an_array_is_freed_with_its_reader(void**) {
  ReplyReader reader;
  reader.feed("*3\r\n$3\r\nabc\r\n*2\r\n:1\r\n");
  Reply reply;
  assert_true(reader.next(reply) == Result::need_more);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(command_is_an_array_of_bulk_strings),
      cmocka_unit_test(replies_are_the_same_however_the_bytes_are_cut),
      cmocka_unit_test(what_is_not_resp_is_refused),
      cmocka_unit_test(nesting_beyond_seven_is_refused),
      cmocka_unit_test(huge_array_is_refused_before_memory_is_taken),
      cmocka_unit_test(huge_string_is_refused_while_it_comes_in),
      cmocka_unit_test(half_an_array_is_freed_with_its_reader),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
