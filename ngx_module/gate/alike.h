// What of a client's request goes along with the question who this is, and
// which of two such questions are alike. Both are made by one function from one
// list (alike.cc): whatever goes along keeps questions apart, so nothing that
// the app sees of one request decides for another that lacks it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/crypto/hmac.h"
#include "core/identity/edge_session.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// Of the client's headers those that go along, which are those of the key:
// use(const ngx_table_elt_t&).
bool goes_along(const ngx_table_elt_t& header);
template <class Use>
void
each_question_header(ngx_list_t& sent, Use use) {
    each_header(sent, [&](const ngx_table_elt_t& header) {
        if (goes_along(header)) {
            use(header);
        }
    });
}

// Whether the request has anything an app could know somebody by, as
// entitle_credentials and entitle_reauth_key say.
bool carries_credentials(ngx_http_request_t* r);

// The same for requests whose questions are alike, and only for them. `bound`
// is what a session would be bound to; `version` is that of the record the
// question is asked about, or -1: an answer is not given to somebody who knows
// already that things have changed since it was asked.
Mac question_key(ngx_http_request_t* r, const std::vector<BoundTo>& bound,
                 std::int64_t version);

}  // namespace entitle::ngx
