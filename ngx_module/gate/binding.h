// What a session is bound to: the app's own session of this moment, as far as
// it shows in cookies and variables (entitle_session_bind), what the app was
// told of the request besides when it was asked (entitle_reauth_key), and the
// host, where one server answers for many: its answer is about nothing else.
//
// What is absent is bound to as absent: a session made without a cookie is
// worth nothing beside it, and one made with it is worth nothing without. Where
// something else is bound to, or nothing, it cannot be told that it holds, so
// it is worth nothing there either.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/memory.h"
#include "core/identity/edge_session.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

struct Gate;

// With the app's Set-Cookie headers already applied. Views of the
// configuration, of the request and its pool.
std::vector<BoundTo> bound_to(ngx_http_request_t* r,
                              const std::vector<std::string>& set_cookies);

// Whether add_bound_variables() asks any variable.
bool bound_by_variables(ngx_http_request_t* r);
// What of that no cookie says: the variables, and the host. What bound_to()
// gives without an answer of the app depends on these and the cookies alone.
void add_bound_variables(ngx_http_request_t* r, Evidence& evidence);

// Whether the session is bound to what this request carries.
bool bound_here(ngx_http_request_t* r, const Session& session);

// The binding of a session that is made now; null: the app has just ended what
// it would be bound to.
std::optional<std::string> binding_now(
    ngx_http_request_t* r, const std::vector<std::string>& set_cookies);

// Of a request the app was asked about: tells the operator of a cookie that is
// never there. `named`: the app knew who it is.
void advise_absent(ngx_http_request_t* r, bool named);
// Of a request whose session was bound to something else: tells of a binding
// that changes at every answer. note_unbound() says whose session it was; then,
// once for all that were alike, advise_changing() whom the app named since.
void note_unbound(Gate* gate, User user);
void advise_changing(ngx_http_request_t* r, const Gate* gate,
                     const std::optional<User>& named);

}  // namespace entitle::ngx
