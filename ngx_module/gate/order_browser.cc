// What the order does about a browser's own id (entitle_guest_user): who is
// asking where nobody is known; and beside a user, what is to be handed over.

#include <utility>

#include "ngx_module/gate/hand_over.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/order.h"

namespace entitle::ngx {

// Whether the request carries one of its own, as the configuration is here.
bool
Order::has_browser(ngx_http_request_t* r) {
    if (!knows_browsers(r)) {
        return false;
    }
    if (!beside_) {
        CarriedBrowser carried = carried_browser(r);
        two_browsers_ = carried.several;
        if (!carried.browser) {
            // Of a token that does not count more is said already.
            if (identity_kind(location_conf(r)) ==
                    IdentitySource::Kind::edge_session &&
                identity_.why == Reason::no_session) {
                identity_.why = carried.why;
            }
            return false;
        }
        beside_ = std::move(carried.browser);
    }
    return true;
}

// Nobody is known: then it is the browser. With no version, so that a purchase
// needs no new cookie; what calls it in is `not_before`.
void
Order::nobody(ngx_http_request_t* r) {
    stage_ = Stage::guest;
    answer_.reset();
    before_.reset();
    if (!has_browser(r)) {
        return;
    }
    browser_ = beside_;
    identity_ = {browser_->user, Reason::ok, {}, browser_->issued_at, {}};
    const bool asks_nobody =
        location_conf(r)->reauth.len == 0 &&
        identity_kind(location_conf(r)) == IdentitySource::Kind::edge_session;
    if (asks_nobody && browser_->renew_at && *browser_->renew_at > now()) {
        identity_.same_until = browser_->renew_at;
    }
    stage_ = Stage::read_record;
}

const User*
Order::make_browser(ngx_http_request_t* r) {
    if (made_) {
        return &*made_;
    }
    if (stage_ != Stage::guest || !knows_browsers(r) || two_browsers_ ||
        r->header_sent) {
        return nullptr;
    }
    made_ = new_browser(r);
    if (!made_) {
        return nullptr;
    }
    browser_cookie_ = ngx::browser_cookie(r, *made_);
    return &*made_;
}

void
Order::renew_browser(ngx_http_request_t* r) {
    const bool due =
        browser_ && (!browser_->renew_at || *browser_->renew_at <= now());
    if (due && known() && knows_browsers(r)) {
        browser_cookie_ = ngx::browser_cookie(r, browser_->user);
    }
}

// The user's, who has just been found to be known.
ngx_int_t
Order::hand_over(ngx_http_request_t* r) {
    Handing handing;
    const ngx_int_t rc =
        hand_over_browser(r, gate_, *beside_, *identity_.user, handing);
    if (rc != NGX_OK) {
        return rc;
    }
    handed_over_ = true;
    if (handing.emptied) {
        browser_cookie_ = clear_browser_cookie(r);
    }
    if (!handing.moved && !handing.overtaken) {
        conclude(r);
        return NGX_OK;
    }
    // What is handed over is known: the new cookie, or the session of this
    // request, covers it.
    if (handing.to != 0) {
        version_awaited_ = handing.to;
    } else if (handing.moved || handing.just) {
        version_awaited_ = record_.standing.version + 1;
    }
    if (handing.from != 0 && identity_.version == handing.from) {
        identity_.version = handing.to;
    }
    if (before_ && before_->user == *identity_.user && handing.from != 0 &&
        before_->version == handing.from) {
        before_->version = handing.to;
    }
    stage_ = Stage::read_record;
    return NGX_OK;
}

}  // namespace entitle::ngx
