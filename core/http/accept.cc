#include "core/http/accept.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle {
namespace {

// Cuts `text` at the first `separator`: returns what is before it, keeps what
// is after it.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text =
      at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return trim_ows(head);
}

// qvalue = "0" ["." 0*3DIGIT] / "1" ["." 0*3("0")]; zero only if all zeros.
bool zero_weight(std::string_view qvalue) {
  return qvalue.starts_with('0') &&
         qvalue.find_first_not_of("0.") == std::string_view::npos;
}

bool accepts(std::string_view accept, std::string_view type) {
  while (!accept.empty()) {
    std::string_view range = cut(accept, ',');
    if (!equal_ignoring_case(cut(range, ';'), type)) continue;

    bool refused = false;
    while (!range.empty()) {
      std::string_view value = cut(range, ';');
      const std::string_view name = cut(value, '=');
      if (equal_ignoring_case(name, "q"))
        refused = zero_weight(trim_ows(value));
    }
    if (!refused) return true;
  }
  return false;
}

// Whether a browser does, with what is answered.
bool shows_a_page(const RequestSigns& signs) {
  if (equal_ignoring_case(trim_ows(signs.x_requested_with), "XMLHttpRequest")) {
    return false;
  }
  if (!signs.sec_fetch_mode.empty() &&
      !equal_ignoring_case(trim_ows(signs.sec_fetch_mode), "navigate")) {
    return false;
  }
  return std::any_of(signs.accept.begin(), signs.accept.end(), accepts_html);
}

bool is_form(std::string_view content_type) {
  const std::string_view type = cut(content_type, ';');
  return type.empty() ||
         equal_ignoring_case(type, "application/x-www-form-urlencoded") ||
         equal_ignoring_case(type, "multipart/form-data") ||
         equal_ignoring_case(type, "text/plain");
}

}  // namespace

bool accepts_html(std::string_view accept) {
  return accepts(accept, "text/html");
}

bool accepts_event_stream(std::string_view accept) {
  return accepts(accept, "text/event-stream");
}

bool is_navigation(const RequestSigns& signs) {
  return signs.get_or_head && shows_a_page(signs);
}

bool is_form_post(const RequestSigns& signs) {
  return signs.post && shows_a_page(signs) && is_form(signs.content_type);
}

}  // namespace entitle
