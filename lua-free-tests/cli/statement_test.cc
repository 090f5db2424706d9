// nginx's language as nginx reads it.
#include "cli/conf/statement.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::cli::Statement;
using entitle::cli::StatementReader;
using End = Statement::End;
using Words = std::vector<std::string>;

Words words(std::string_view text) {
  StatementReader reader(text);
  Statement statement = reader.next();
  assert_true(statement.end == End::semicolon);
  return statement.words;
}

void broken(std::string_view text) {
  StatementReader reader(text);
  Statement statement = reader.next();
  while (statement.end != End::broken && statement.end != End::file) {
    statement = reader.next();
  }
  assert_true(statement.end == End::broken);
  assert_false(reader.error().empty());
}

void words_are_what_stands_between_blanks(void**) {
  assert_true(words("a b\t c\r\n d;") == (Words{"a", "b", "c", "d"}));
  assert_true(words("a b#c d;") == (Words{"a", "b#c", "d"}));
  assert_true(words("a b}c;") == (Words{"a", "b}c"}));
}

void quotes_hold_a_word_together(void**) {
  assert_true(words("a \"b c\" 'd;{}#e' \"\";") ==
              (Words{"a", "b c", "d;{}#e", ""}));
  assert_true(words("a b\"c\" d'e;") == (Words{"a", "b\"c\"", "d'e"}));
  assert_true(words("a \"b'c\" 'd\"e';") == (Words{"a", "b'c", "d\"e"}));
  assert_true(words("if ($a = \"b\") ;") ==
              (Words{"if", "($a", "=", "b", ")"}));
  assert_true(words("a \"b\nc\";") == (Words{"a", "b\nc"}));
}

void a_backslash_escapes(void**) {
  assert_true(words(R"(a "b\"c" 'd\'e' "f\\g";)") ==
              (Words{"a", "b\"c", "d'e", "f\\g"}));
  assert_true(words(R"(a b\ c d\;e f\{g;)") ==
              (Words{"a", "b\\ c", "d\\;e", "f\\{g"}));
  assert_true(words(R"(a \.php$ "\t\n\r\d";)") ==
              (Words{"a", "\\.php$", "\t\n\r\\d"}));
}

void variables_are_left_alone(void**) {
  assert_true(words("a $b ${c}d \"${e f}\";") ==
              (Words{"a", "$b", "${c}d", "${e f}"}));
  StatementReader reader("a b$c{ d; }");
  assert_true(reader.next().end == End::opened);
}

void comments_are_passed_over(void**) {
  StatementReader reader("# a;\n  b # c; {\n  d; # e\n#f");
  Statement statement = reader.next();
  assert_true(statement.words == (Words{"b", "d"}));
  assert_int_equal(statement.line, 2);
  assert_true(reader.next().end == End::file);
}

void blocks_open_and_close(void**) {
  StatementReader reader("http{server { listen 1; }}");
  assert_true(reader.next().words == Words{"http"});
  Statement server = reader.next();
  assert_true(server.words == Words{"server"} && server.end == End::opened);
  assert_true(reader.next().words == (Words{"listen", "1"}));
  assert_true(reader.next().end == End::closed);
  assert_true(reader.next().end == End::closed);
  assert_true(reader.next().end == End::file);
}

void what_nginx_refuses_is_refused(void**) {
  for (const char* bad : {"a", "a b", ";", "{", "a \"b", "a 'b;", "a b }",
                          "a \"b\"c;", "a {b;};", "a \\"}) {
    broken(bad);
  }
}

void lua_is_passed_over(void**) {
  StatementReader reader(
      "content_by_lua_block {\n"
      "  -- it's a comment with a }\n"
      "  --[[ } ]] local a = { b = \"}\", c = '}\\'' }\n"
      "  local d = [==[ } ]] ]==]  e = t[1]\n"
      "}\n"
      "after;");
  assert_true(reader.next().end == End::opened);
  assert_true(reader.skip_lua());
  Statement after = reader.next();
  assert_true(after.words == Words{"after"});
  assert_int_equal(after.line, 6);
  StatementReader open("a_by_lua_block { { }");
  open.next();
  assert_false(open.skip_lua());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(words_are_what_stands_between_blanks),
      cmocka_unit_test(quotes_hold_a_word_together),
      cmocka_unit_test(a_backslash_escapes),
      cmocka_unit_test(variables_are_left_alone),
      cmocka_unit_test(comments_are_passed_over),
      cmocka_unit_test(blocks_open_and_close),
      cmocka_unit_test(what_nginx_refuses_is_refused),
      cmocka_unit_test(lua_is_passed_over),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
