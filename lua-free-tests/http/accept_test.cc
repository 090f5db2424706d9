// Who is a browser going to a page, and who is a program.
#include "core/http/accept.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::accepts_event_stream;
using entitle::accepts_html;
using entitle::is_form_post;
using entitle::is_navigation;
using entitle::RequestSigns;

constexpr std::string_view kFirefox =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
    "image/webp,*/*;q=0.8";

RequestSigns browser() {
  RequestSigns signs;
  signs.get_or_head = true;
  signs.accept = {kFirefox};
  return signs;
}

void a_browser_asks_for_html(void**) {
  assert_true(accepts_html(kFirefox));
  assert_true(accepts_html("TEXT/HTML"));
  assert_true(accepts_html("application/json, text/html ; level=1"));
  assert_true(accepts_html("text/html;q=0.001"));
  assert_true(accepts_html("text/html;q=1.000"));
}

void an_event_source_asks_for_a_stream(void**) {
  assert_true(accepts_event_stream("text/event-stream"));
  assert_true(
      accepts_event_stream("application/json, Text/Event-Stream;q=0.1"));
  assert_false(accepts_event_stream("text/event-stream;q=0"));
  assert_false(accepts_event_stream("*/*"));
  assert_false(accepts_event_stream("text/event-streams, text/*"));
  assert_false(accepts_event_stream(""));
  assert_false(accepts_html("text/event-stream"));
}

void wildcards_are_programs(void**) {
  assert_false(accepts_html("*/*"));
  assert_false(accepts_html("text/*"));
  assert_false(accepts_html("application/json, text/plain, */*"));
  assert_false(accepts_html(""));
}

void names_that_only_begin_alike_are_not_html(void**) {
  assert_false(accepts_html("text/htmlx"));
  assert_false(accepts_html("text/htm"));
  assert_false(accepts_html("xtext/html"));
}

void weight_zero_refuses_html(void**) {
  assert_false(accepts_html("text/html;q=0"));
  assert_false(accepts_html("text/html; Q=0.000, */*"));
  assert_false(accepts_html("text/html ; level=1 ; q = 0.0"));
  assert_true(accepts_html("text/html;q=0, text/html;level=1"));
}

void a_malformed_accept_never_confuses(void**) {
  assert_false(accepts_html(",;,;=,,"));
  assert_false(accepts_html(";text/html"));
  assert_true(accepts_html(",,text/html;;"));
  assert_true(accepts_html("text/html;q"));
  assert_true(accepts_html("text/html;q="));
}

void going_to_a_page_is_a_navigation(void**) {
  assert_true(is_navigation(browser()));

  RequestSigns modern = browser();
  modern.sec_fetch_mode = "navigate";
  assert_true(is_navigation(modern));
}

void a_form_post_is_no_navigation(void**) {
  RequestSigns post = browser();
  post.get_or_head = false;
  assert_false(is_navigation(post));
}

RequestSigns form() {
  RequestSigns signs = browser();
  signs.get_or_head = false;
  signs.post = true;
  signs.content_type = "application/x-www-form-urlencoded";
  return signs;
}

void a_form_is_a_person_s(void**) {
  assert_true(is_form_post(form()));
  for (const char* type :
       {"", "Multipart/Form-Data; boundary=x", "text/plain",
        "application/x-www-form-urlencoded ; charset=utf-8"}) {
    RequestSigns sent = form();
    sent.content_type = type;
    sent.sec_fetch_mode = "navigate";
    assert_true(is_form_post(sent));
  }
}

void what_no_form_sends_is_a_program_s(void**) {
  for (const char* type :
       {"application/json", "multipart/mixed", "form", "text/html"}) {
    RequestSigns sent = form();
    sent.content_type = type;
    assert_false(is_form_post(sent));
  }
  RequestSigns signs = form();
  signs.post = false;
  assert_false(is_form_post(signs));
  signs.get_or_head = true;
  assert_false(is_form_post(signs));
  signs = form();
  signs.accept = {"*/*"};
  assert_false(is_form_post(signs));
  signs = form();
  signs.x_requested_with = "XMLHttpRequest";
  assert_false(is_form_post(signs));
  signs = form();
  signs.sec_fetch_mode = "cors";
  assert_false(is_form_post(signs));
}

void xhr_and_fetch_are_programs_whatever_they_accept(void**) {
  RequestSigns xhr = browser();
  xhr.x_requested_with = "xmlhttprequest";
  assert_false(is_navigation(xhr));

  for (const char* mode : {"cors", "same-origin", "no-cors", "websocket"}) {
    RequestSigns fetch = browser();
    fetch.sec_fetch_mode = mode;
    assert_false(is_navigation(fetch));
  }
}

void an_app_s_web_view_is_no_xhr(void**) {
  RequestSigns web_view = browser();
  web_view.x_requested_with = "com.example.app";  // Android WebView
  assert_true(is_navigation(web_view));
}

void html_on_any_accept_line_counts(void**) {
  RequestSigns signs = browser();
  signs.accept = {"application/json", "text/html"};
  assert_true(is_navigation(signs));
  signs.accept = {};
  assert_false(is_navigation(signs));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_browser_asks_for_html),
      cmocka_unit_test(an_event_source_asks_for_a_stream),
      cmocka_unit_test(wildcards_are_programs),
      cmocka_unit_test(names_that_only_begin_alike_are_not_html),
      cmocka_unit_test(weight_zero_refuses_html),
      cmocka_unit_test(a_malformed_accept_never_confuses),
      cmocka_unit_test(going_to_a_page_is_a_navigation),
      cmocka_unit_test(a_form_post_is_no_navigation),
      cmocka_unit_test(a_form_is_a_person_s),
      cmocka_unit_test(what_no_form_sends_is_a_program_s),
      cmocka_unit_test(xhr_and_fetch_are_programs_whatever_they_accept),
      cmocka_unit_test(an_app_s_web_view_is_no_xhr),
      cmocka_unit_test(html_on_any_accept_line_counts),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
