#include "ngx_module/gate/browser.h"

#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

#include "core/http/cross_site.h"
#include "ngx_module/http/cookies.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// So that it lives as long from the last visit as browsers let it, but for a
// day.
constexpr Seconds kRenewAfter{24 * 3600};

Seconds
lifetime_here(ngx_http_request_t* r) {
    return Seconds{location_conf(r)->guest->lifetime};
}

Browser
browser_of(ngx_http_request_t* r, BrowserId id) {
    const Seconds after = std::min(kRenewAfter, lifetime_here(r) / 2);
    std::optional<UnixTime> renew_at;
    if (id.by_first_key) {
        renew_at = id.issued_at + after;
    }
    return {std::move(id.user), id.issued_at, renew_at};
}

}  // namespace

CarriedBrowser
carried_browser(ngx_http_request_t* r) {
    const ServerConf* server = server_conf(r);
    CarriedBrowser carried;
    for (std::string_view token :
         request_cookies(r, server->browser_cookie->name)) {
        BrowserVerdict verdict = verify_browser_id(
            *server->browser_keys, *location_conf(r)->browser_audience, token,
            lifetime_here(r), now());
        if (!verdict.browser) {
            carried.why = verdict.error == SessionError::expired
                              ? Reason::session_expired
                              : Reason::session_invalid;
            continue;
        }
        if (carried.browser && carried.browser->user != verdict.browser->user) {
            carried.several = true;
        }
        // Of one id the newest token.
        if (!carried.browser ||
            carried.browser->issued_at < verdict.browser->issued_at) {
            carried.browser = browser_of(r, *std::move(verdict.browser));
        }
    }
    if (carried.several) {
        static Seldom seldom;
        seldom.say(NGX_LOG_WARN, r->connection->log,
                   "entitle: cookies carry ids of two browsers: none counts");
        carried.browser.reset();
        carried.why = Reason::session_invalid;
    }
    return carried;
}

bool
may_be_foreign(ngx_http_request_t* r) {
    std::optional<std::string_view> site, origin;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        if (is_named(header, "Sec-Fetch-Site")) {
            site = view(header.value);
        } else if (is_named(header, "Origin")) {
            origin = view(header.value);
        }
    });
    const ngx_table_elt_t* host = r->headers_in.host;
    return is_cross_site(
        site, origin, host == nullptr ? std::string_view() : view(host->value));
}

bool
is_foreign_form(ngx_http_request_t* r) {
    return (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0 &&
           may_be_foreign(r);
}

std::optional<User>
new_browser(ngx_http_request_t* r) {
    if (is_foreign_form(r)) {
        static Seldom seldom;
        seldom.say(NGX_LOG_WARN, r->connection->log,
                   "entitle: another site's page sent a form to the checkout: "
                   "no browser is named by that");
        return std::nullopt;
    }
    BrowserBytes random;
    if (RAND_bytes(random.data(), random.size()) != 1) {
        throw std::runtime_error("no random bytes");
    }
    return browser_user(random);
}

std::string
browser_cookie(ngx_http_request_t* r, const User& browser) {
    const ServerConf* server = server_conf(r);
    return set_cookie(
        *server->browser_cookie,
        sign_browser_id(*server->browser_keys,
                        *location_conf(r)->browser_audience, browser, now()),
        lifetime_here(r));
}

std::string
clear_browser_cookie(ngx_http_request_t* r) {
    const CookieOptions& cookie = *server_conf(r)->browser_cookie;
    return request_cookies(r, cookie.name).empty() ? std::string()
                                                   : clear_cookie(cookie);
}

}  // namespace entitle::ngx
