// Asking the app who this is, by a subrequest, once for all requests alike.
//
// Which requests are alike says gate/alike.h. One of them leads: its subrequest
// asks. The others wait in its flight; when the leader's client goes away the
// next one leads, from the beginning.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "ngx_module/gate/question.h"

namespace entitle::ngx {

// What the app said when asked. Shared by all requests of one flight.
struct ReauthAnswer {
    enum class Kind { user, guest, failure } kind = Kind::failure;
    std::optional<User> user;
    std::vector<std::string> set_cookies;  // its Set-Cookie headers
    UnixTime asked_at{};
    std::string email;  // of a user, when it is to claim what waits under it
    // The record's version before and after that, when only that raised it.
    std::optional<std::pair<std::int64_t, std::int64_t>> raised;
};

// `version` is that of the record the app is asked about, or -1. NGX_OK:
// `answer` is there. NGX_DECLINED: there is nothing to ask about. NGX_AGAIN:
// asked; the gate will be woken. NGX_ERROR: no memory.
ngx_int_t reauthenticate(ngx_http_request_t* r, Gate* gate,
                         std::int64_t version,
                         std::shared_ptr<const ReauthAnswer>& answer);

// --- gate/app_answer.cc -----------------------------------------------------

// What the app's answer says, once it is there.
std::shared_ptr<ReauthAnswer> read_app_answer(ngx_http_request_t* r,
                                              const Asked& asked,
                                              UnixTime asked_at);

// --- gate/email_claim.cc ----------------------------------------------------

// The e-mail in the app's answer; empty: none that could be, or not wanted.
std::string email_in_answer(ngx_http_request_t* r, const Asked& asked);
// True once what waits under the answer's e-mail is claimed, or will not be.
// False: under way, the gate will be woken.
bool claim_email(ngx_http_request_t* r, Gate* gate, ReauthAnswer& answer);

}  // namespace entitle::ngx
