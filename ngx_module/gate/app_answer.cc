// What the app's answer says: a user, a guest, or nothing that can be believed
// (which is never taken for "logged out").

#include "core/identity/app_session.h"
#include "core/json/document.h"
#include "core/json/pointer.h"
#include "ngx_module/gate/reauth.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/own_request.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

using Kind = ReauthAnswer::Kind;

constexpr std::size_t kMaxReauthDepth = 64;

struct Named {
    Kind kind = Kind::failure;
    std::optional<User> user;
    const char* wrong = nullptr;  // of a failure, for the log
};

Named
named_by_text(std::string_view text, bool optional) {
    if (text.empty()) {
        if (optional) {
            return {Kind::guest, {}, nullptr};
        }
        return {Kind::failure, {}, "a success that names no user"};
    }
    std::optional<User> user = User::from(text);
    if (!user) {
        return {Kind::failure, {}, "a name that can be no user"};
    }
    return {Kind::user, std::move(user), nullptr};
}

Named
named_by_header(ngx_http_request_t* sr, const ReauthUser& from) {
    std::string_view value;
    int count = 0;
    each_answer_header(sr, [&](const ngx_table_elt_t& header) {
        if (is_named(header, view(from.name))) {
            value = view(header.value);
            count++;
        }
    });
    if (count > 1) {
        return {Kind::failure, {}, "more than one user"};
    }
    return named_by_text(value, from.optional);
}

Named
named_by_variable(ngx_http_request_t* sr, const ReauthUser& from) {
    if (certificate_refused(sr, server_conf(sr)->certificates)) {
        return {Kind::guest, {}};
    }
    // Whatever was known of it before the app answered is not its answer.
    ngx_http_variable_value_t& known = sr->variables[from.variable_index];
    known.valid = 0;
    known.not_found = 0;
    const ngx_http_variable_value_t* value = ngx_http_get_indexed_variable(
        sr, static_cast<ngx_uint_t>(from.variable_index));
    if (value == nullptr) {
        return {};
    }
    std::string_view text;
    if (!value->not_found) {
        text = {reinterpret_cast<const char*>(value->data), value->len};
    }
    return named_by_text(text, from.optional);
}

bool
promises_no_body(const ngx_http_request_t* sr) {
    return sr->headers_out.status == NGX_HTTP_NO_CONTENT ||
           sr->headers_out.content_length_n == 0;
}

Named
named_by_json(const Asked& asked, const ReauthUser& from) {
    if (asked.body().size() > kMaxAnswerBody) {
        return {Kind::failure, {}, "more JSON than 64k"};
    }
    if (asked.body().empty() && promises_no_body(asked.request())) {
        return {Kind::failure, {}, "an empty answer, where JSON is read"};
    }
    if (!asked.body_complete()) {
        return {Kind::failure, {}, "an answer that broke off"};
    }
    std::string error;
    std::optional<JsonPointer> pointer =
        JsonPointer::parse(view(from.name), error);
    const JsonDocument document = parse_json(asked.body(), kMaxReauthDepth);
    if (!pointer || document == nullptr) {
        return {Kind::failure, {}, "something that is not JSON"};
    }
    AppSessionVerdict found =
        user_in_json({std::move(*pointer), {}}, document.get());
    if (found.error != AppSessionError::none) {
        return {Kind::failure, {}, "JSON that names no user"};
    }
    const Kind kind = found.user ? Kind::user : Kind::guest;
    return {kind, std::move(found.user), nullptr};
}

Named
named_by(ngx_http_request_t* r, const Asked& asked) {
    const ReauthUser& from = *location_conf(r)->reauth_user;
    ngx_http_request_t* sr = asked.request();
    const ngx_uint_t status = sr->headers_out.status;
    if (asked.broken() || status == 0) {
        return {Kind::failure, {}, "nothing"};
    }
    if (came_from_cache(sr)) {
        return {Kind::failure, {}, "from a cache"};
    }
    if (status == NGX_HTTP_UNAUTHORIZED || status == NGX_HTTP_FORBIDDEN ||
        (status >= 300 && status < 400)) {
        return {Kind::guest, {}, nullptr};
    }
    if (status < 200 || status >= 300) {
        return {Kind::failure, {}, "an error"};
    }
    switch (from.kind) {
        case ReauthUser::Kind::header:
            return named_by_header(sr, from);
        case ReauthUser::Kind::variable:
            return named_by_variable(sr, from);
        case ReauthUser::Kind::json:
            break;
    }
    return named_by_json(asked, from);
}

void
advise_cache(ngx_http_request_t* r, const ngx_http_request_t* sr) {
    static SeldomAbout seldom;
    if (!came_from_cache(sr) || !seldom.due(location_conf(r)->reauth.data)) {
        return;
    }
    ngx_str_t module = sr->upstream->conf->module;
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "entitle: the answer of re-authentication \"%V\" came from "
                  "a cache, which is nobody's word about who asks now: \"%V_"
                  "cache off\" in its location",
                  &location_conf(r)->reauth, &module);
}

// The app's way to a login page counts as "a guest"; so does a slash that was
// forgotten, or https that the app insists on.
void
advise_redirect(ngx_http_request_t* r, ngx_http_request_t* sr) {
    static SeldomAbout seldom;
    const ngx_uint_t status = sr->headers_out.status;
    if (status < 300 || status >= 400 ||
        !seldom.due(location_conf(r)->reauth.data)) {
        return;
    }
    std::string where = "nowhere";
    each_answer_header(sr, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Location")) {
            where = view(header.value);
        }
    });
    ngx_str_t to = str(where);
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "entitle: re-authentication \"%V\" answered %ui to \"%V\", "
                  "which is taken for \"not logged in\"",
                  &location_conf(r)->reauth, status, &to);
}

// nginx keeps a connection to the app open only if there was no body it did
// not read.
void
advise_204(ngx_http_request_t* r, const ngx_http_request_t* sr) {
    static bool said = false;
    if (said || !sr->header_only || sr->upstream == nullptr ||
        sr->headers_out.status != NGX_HTTP_OK ||
        sr->headers_out.content_length_n == 0) {
        return;
    }
    said = true;
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "entitle: re-authentication \"%V\" answered 200 with a body, "
                  "which costs a new connection each time: answer 204",
                  &location_conf(r)->reauth);
}

}  // namespace

std::shared_ptr<ReauthAnswer>
read_app_answer(ngx_http_request_t* r, const Asked& asked, UnixTime asked_at) {
    Named named = named_by(r, asked);
    ngx_http_request_t* sr = asked.request();
    advise_204(r, sr);
    advise_cache(r, sr);
    advise_redirect(r, sr);
    if (named.kind == Kind::failure) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "entitle: re-authentication \"%V\" answered %s "
                      "(status %ui)",
                      &location_conf(r)->reauth,
                      named.wrong == nullptr ? "nothing" : named.wrong,
                      sr->headers_out.status);
    }
    auto answer = std::make_shared<ReauthAnswer>();
    answer->kind = named.kind;
    answer->user = std::move(named.user);
    answer->asked_at = asked_at;
    if (answer->kind == Kind::user) {
        answer->email = email_in_answer(r, asked);
    }
    each_answer_header(sr, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Set-Cookie")) {
            answer->set_cookies.emplace_back(view(header.value));
        }
    });
    return answer;
}

}  // namespace entitle::ngx
