#include "ngx_module/gate/order.h"

#include <algorithm>
#include <utility>

#include "ngx_module/gate/jwt.h"
#include "ngx_module/gate/lookup.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

// A browser's id is a user that only our own cookie may name.
void
refuse_browser(ngx_http_request_t* r, const User& user) {
    static Seldom seldom;
    ngx_str_t name = str(user.str());
    seldom.error(r->connection->log,
                 "entitle: \"%V\" is a browser's own id, which nobody else may "
                 "name: not believed",
                 &name);
}

}  // namespace

Order::Order(Gate* gate)
    : gate_(gate),
      record_([](void* data) noexcept { gate_wake(static_cast<Gate*>(data)); },
              gate) {}

// --- who --------------------------------------------------------------------

// The request has come to a location that identifies otherwise. Only one that
// does not wait can.
void
Order::forget() {
    stage_ = Stage::identify;
    answer_.reset();
    before_.reset();
    jwt_keys_forget(gate_);
    version_awaited_ = 0;
    of_primary_ = false;
    browser_.reset();
    beside_.reset();
    handed_over_ = false;
}

void
Order::identify(ngx_http_request_t* r) {
    const IdentitySettings settings = identity_settings(r);
    if (settings_ == settings || identifying_) {
        return;
    }
    identifying_ = true;
    identity_ = {};
    identity_ = carried_identity(r, gate_);
    if (identity_.user && is_browser_user(*identity_.user)) {
        refuse_browser(r, *identity_.user);
        identity_ = {{}, Reason::session_invalid, {}, {}, {}};
    }
    identifying_ = false;
    settings_ = settings;
}

const User*
Order::said(ngx_http_request_t* r) {
    if (stage_ == Stage::identify && !identifying_) {
        identify(r);
        too_early_ = true;
    }
    if (!identity_.user && stage_ == Stage::identify && has_browser(r)) {
        return &beside_->user;
    }
    return identity_.user ? &*identity_.user : nullptr;
}

void
Order::after_identify(ngx_http_request_t* r) {
    stage_ = identity_.user ? Stage::read_record : Stage::reauthenticate;
    switch (identity_kind(location_conf(r))) {
        case IdentitySource::Kind::app_session:
            stage_ = Stage::read_app_session;
            break;
        case IdentitySource::Kind::trusted_user:
            if (!identity_.user) {
                // Whoever sets the variable has already asked.
                nobody(r);
            }
            break;
        case IdentitySource::Kind::jwt:
            switch (jwt_next(gate_, identity_)) {
                case JwtNext::fetch_keys:
                    stage_ = Stage::fetch_keys;
                    break;
                case JwtNext::cannot_tell:
                    fail(Reason::jwt_keys_unreachable);
                    break;
                case JwtNext::go_on:
                    break;
            }
            break;
        case IdentitySource::Kind::edge_session:
            break;
    }
}

ngx_int_t
Order::fetch_keys(ngx_http_request_t* r) {
    bool changed = false;
    const ngx_int_t rc = jwt_keys_fetch(r, gate_, changed);
    if (rc == NGX_DECLINED) {
        fail(Reason::jwt_keys_unreachable);
        return NGX_OK;
    }
    if (rc == NGX_OK) {
        stage_ = Stage::identify;
        if (changed) {
            settings_.reset();  // other keys may say something else
        }
    }
    return rc;
}

ngx_int_t
Order::read_app_session(ngx_http_request_t* r) {
    Reason why = trouble_;
    const ngx_int_t rc = app_session_lookup(r, gate_, identity_, why);
    if (rc == NGX_OK) {
        if (identity_.user && is_browser_user(*identity_.user)) {
            refuse_browser(r, *identity_.user);
            identity_ = {{}, Reason::session_invalid, {}, {}, {}};
        }
        stage_ = identity_.user ? Stage::read_record : Stage::reauthenticate;
    } else if (rc == NGX_DECLINED) {
        fail(why);
        return NGX_OK;
    }
    return rc;
}

// --- the record -------------------------------------------------------------

// The zone, or a replica, may be a moment behind: of what was just claimed, or
// of what a session was made for or the app saw when it signed.
bool
Order::is_behind(ngx_http_request_t* r) {
    constexpr int kMostRereads = 3;
    const bool replicas = main_conf(r)->redis_read != nullptr;
    if (replicas && !answer_ && identity_.version) {
        version_awaited_ = std::max(version_awaited_, *identity_.version);
    }
    if (record_.standing.version >= version_awaited_) {
        return false;
    }
    if (replicas) {
        return !std::exchange(of_primary_, true);
    }
    return rereads_++ < kMostRereads;
}

ngx_int_t
Order::read_record(ngx_http_request_t* r) {
    const ngx_int_t rc = record_lookup(r, record_, *identity_.user,
                                       version_awaited_, of_primary_);
    if (rc == NGX_DECLINED) {
        fail(record_.trouble);
        return NGX_OK;
    }
    if (rc != NGX_OK || is_behind(r)) {
        return rc;
    }
    if (!answer_ && !fresh(identity_, record_.standing, now())) {
        stage_ = browser_ ? Stage::guest : Stage::reauthenticate;
        if (browser_) {  // its id was called in
            browser_.reset();
            identity_ = {{}, Reason::logged_out, {}, {}, {}};
        }
        return NGX_OK;
    }
    // What the app has just said needs no check.
    if (!browser_ && !handed_over_ && has_browser(r)) {
        stage_ = Stage::hand_over;
    } else {
        conclude(r);
    }
    return NGX_OK;
}

void
Order::conclude(ngx_http_request_t* r) {
    stage_ = Stage::known;
    if (answer_) {
        // A version that rose while the app was being asked is not covered by
        // its answer: the next request asks again.
        const bool same = before_ && before_->user == *identity_.user;
        std::string cookie = new_session_cookie(
            r, *identity_.user,
            same ? before_->version : record_.standing.version,
            answer_->asked_at, answer_->set_cookies);
        if (!cookie.empty()) {
            session_cookie_ = std::move(cookie);
        }
    }
}

// --- the app ----------------------------------------------------------------

ngx_int_t
Order::ask_app(ngx_http_request_t* r) {
    if (identity_.user && !before_) {
        identity_.why = Reason::session_stale;
        before_ = {*identity_.user, record_.standing.version};
    }
    const ngx_int_t rc =
        asks_no_more_ ? NGX_DECLINED
                      : reauthenticate(
                            r, gate_, before_ ? before_->version : -1, answer_);
    if (rc == NGX_DECLINED) {
        nobody(r);
        return NGX_OK;
    }
    if (rc == NGX_OK) {
        after_answer(r);
    }
    return rc;
}

void
Order::after_answer(ngx_http_request_t* r) {
    if (answer_->user && is_browser_user(*answer_->user)) {
        refuse_browser(r, *answer_->user);
        fail(Reason::reauth_failed);
        return;
    }
    switch (answer_->kind) {
        case ReauthAnswer::Kind::user:
            app_cookies_ = answer_->set_cookies;
            identity_ = {answer_->user, Reason::ok, {}, {}, {}};
            count_claims();
            stage_ = Stage::read_record;
            break;
        case ReauthAnswer::Kind::guest:
            app_cookies_ = answer_->set_cookies;
            nobody(r);
            break;
        case ReauthAnswer::Kind::failure:
            fail(Reason::reauth_failed);
            break;
    }
}

// What the e-mail has just claimed is known: the new cookie covers it, and the
// record is read as it is since.
void
Order::count_claims() {
    const auto& raised = answer_->raised;
    if (!raised) {
        return;
    }
    version_awaited_ = raised->second;
    if (before_ && before_->user == *answer_->user &&
        before_->version == raised->first) {
        before_->version = raised->second;
    }
}

// --- the order --------------------------------------------------------------

ngx_int_t
Order::step(ngx_http_request_t* r) {
    switch (stage_) {
        case Stage::identify:
            if (std::exchange(too_early_, false)) {
                settings_.reset();
            }
            identify(r);
            after_identify(r);
            break;
        case Stage::fetch_keys:
            return fetch_keys(r);
        case Stage::read_app_session:
            return read_app_session(r);
        case Stage::read_record:
            return read_record(r);
        case Stage::reauthenticate:
            return ask_app(r);
        case Stage::hand_over:
            return hand_over(r);
        case Stage::known:
        case Stage::guest:
        case Stage::trouble:
            break;
    }
    return NGX_OK;
}

ngx_int_t
Order::find_out(ngx_http_request_t* r) {
    if (settings_ && *settings_ != identity_settings(r)) {
        forget();
    }
    while (stage_ < Stage::known) {
        const ngx_int_t rc = step(r);
        if (rc == NGX_AGAIN) {
            // A subrequest of our own wakes its parent by itself.
            return waits_for_question(gate_) ? rc : gate_suspend(r);
        }
        if (rc != NGX_OK) {
            return rc;
        }
    }
    return NGX_OK;
}

void
Order::fail(Reason why) {
    trouble_ = why;
    stage_ = Stage::trouble;
}

// What the app said stands under the version it was asked under, like the
// session it gets for that, so that a change makes it stale. But an app that
// renews its cookie when asked is asked once: the client does not have the new
// one yet.
void
Order::keep_answer(ngx_http_request_t* r) {
    if (!answer_) {
        return;
    }
    if (!before_) {
        before_ = {*identity_.user, record_.standing.version};
    }
    if (!answer_->set_cookies.empty()) {
        return;
    }
    const UnixTime asked = answer_->asked_at;
    identity_.issued_at = asked;
    identity_.recheck_at = asked + Seconds{location_conf(r)->session_recheck};
    if (identity_kind(location_conf(r)) == IdentitySource::Kind::edge_session) {
        identity_.version = before_->version;
    }
    answer_.reset();
    before_.reset();
}

void
Order::look_again(ngx_http_request_t* r) {
    keep_answer(r);
    handed_over_ = false;
    stage_ = Stage::read_record;
}

// Who was told to wait must not be told by a version that the app did not
// answer for, but nor can the app be asked: its cookies would be lost. That the
// user logged out everywhere still counts.
void
Order::ask_no_more() {
    if (answer_) {
        identity_.issued_at = answer_->asked_at;
        answer_.reset();
    }
    identity_.version.reset();
    identity_.recheck_at.reset();
    asks_no_more_ = true;
}

}  // namespace entitle::ngx
