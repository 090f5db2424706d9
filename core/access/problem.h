// Refusals that programs can read, problem details as JSON (RFC 9457), and a
// page for people where the site has none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/access/decision.h"

namespace entitle {

// The status a refusal is answered with: login 401, pay 402, error 503; 200
// for decisions that let the request pass.
int status_of(Decision decision);

// {"type":"about:blank","title":"Payment Required","status":402,
//  "detail":"...","decision":"pay","reason":"ended","missing":["pro"]}
//
// `type` is about:blank and `title` the status phrase (RFC 9457 section
// 4.2.1); for want of credits it says instead of `missing`
//  "credits":{"name":"api","cost":5,"left":3,"comes_back":1769904000}
// with when the next period begins, if one does. `decision` and `reason` are
// the words of $entitle_decision and $entitle_reason; `missing`, of a 402 only,
// has every name of the lines of entitle_require that do not hold. Never
// internals.
std::string problem_json(const Ruling& ruling);

// The same as HTML, for who sent a form that was not taken: with a link to
// `login_url` where that helps; empty: there is none.
std::string problem_page(const Ruling& ruling, std::string_view login_url);

}  // namespace entitle
