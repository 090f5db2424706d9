// Whether a request is a person's browser going to a page (who can be sent to
// a login page and shown a paywall), a person's browser that sends a form (who
// can be shown a page, but loses the form by a redirect), or a program (who
// needs a status and problem JSON). Answering a person with JSON loses the
// sale.
//
// Sources: RFC 9110 section 12.5.1 (Accept), W3C Fetch Metadata
// (Sec-Fetch-Mode), HTML section 4.10.18.6 (what a form is sent as), and
// X-Requested-With as libraries have sent it since jQuery.
#pragma once

#include <string_view>
#include <vector>

namespace entitle {

struct RequestSigns {
  bool get_or_head = false;
  bool post = false;
  std::vector<std::string_view> accept;  // every line of the header
  std::string_view x_requested_with;     // empty: not sent
  std::string_view sec_fetch_mode;       // likewise
  std::string_view content_type;         // likewise
};

// GET or HEAD, text/html named in Accept with q > 0, and neither
// `X-Requested-With: XMLHttpRequest` nor a Sec-Fetch-Mode but `navigate`.
// `*/*` and `text/*` do not count: that is what curl and fetch() send.
bool is_navigation(const RequestSigns& signs);
// POST by the same signs, with a Content-Type that a form has, or none.
bool is_form_post(const RequestSigns& signs);

// Whether this Accept line names text/html with a weight above zero.
bool accepts_html(std::string_view accept);
// Likewise text/event-stream, which EventSource sends (HTML, section 9.2).
bool accepts_event_stream(std::string_view accept);

}  // namespace entitle
