// The order of the questions: who is asking, does that still stand, what does
// the record give. What each of them needs to know of the request is its own;
// here is only what they came to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/access/decision.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/browser.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/reauth.h"

namespace entitle::ngx {

// A part of the gate, wanted by the log.
class Order {
  public:
    explicit Order(Gate* gate);

    // Goes on until it is known who is asking, or that nobody is, or that it
    // cannot be told: NGX_OK. Anything else is what an access handler returns.
    ngx_int_t find_out(ngx_http_request_t* r);
    // Who the request says it is, before anybody was asked. Null: nobody.
    const User* said(ngx_http_request_t* r);

    // What was found out. identity().user, with record():
    bool
    known() const {
        return stage_ == Stage::known;
    }
    // Nobody but the browser is: identity().user is its own.
    bool
    by_browser() const {
        return browser_.has_value();
    }
    bool  // identity().why
    guest() const {
        return stage_ == Stage::guest;
    }
    const Identity&
    identity() const {
        return identity_;
    }
    const RecordLookup&
    record() const {
        return record_;
    }
    // Since when the user is known to be logged in. Null: nobody said so.
    std::optional<UnixTime>
    said_at() const {
        return answer_ ? answer_->asked_at : identity_.issued_at;
    }
    Reason  // why it cannot be told
    trouble() const {
        return trouble_;
    }
    // For the client: Set-Cookie of the app's answer, and ours. Empty: none.
    const std::vector<std::string>&
    app_cookies() const {
        return app_cookies_;
    }
    const std::string&
    session_cookie() const {
        return session_cookie_;
    }
    const std::string&
    browser_cookie() const {
        return browser_cookie_;
    }

    // Of a request of nobody's: the browser that is about to buy, made now if
    // need be. Null: there can be none, or its cookie would come too late.
    const User* make_browser(ngx_http_request_t* r);
    const User*  // null: none was
    made_browser() const {
        return made_ ? &*made_ : nullptr;
    }
    // It is let in by what it bought: its cookie is kept up.
    void renew_browser(ngx_http_request_t* r);

    // It cannot be told after all.
    void fail(Reason why);
    // find_out() again, from the record on.
    void look_again(ngx_http_request_t* r);
    // The answer to the client has begun: its headers can carry no cookie any
    // more, so the app is not asked again.
    void ask_no_more();

    void
    leave() noexcept {
        record_.leave();
    }

  private:
    enum class Stage {  // the next question
        identify,
        fetch_keys,
        read_app_session,
        read_record,
        reauthenticate,
        hand_over,
        known,
        guest,
        trouble,
    };
    // The version the record had before the app was asked.
    struct Before {
        User user;
        std::int64_t version;
    };

    void forget();
    void identify(ngx_http_request_t* r);
    ngx_int_t fetch_keys(ngx_http_request_t* r);
    ngx_int_t read_app_session(ngx_http_request_t* r);
    ngx_int_t read_record(ngx_http_request_t* r);
    ngx_int_t ask_app(ngx_http_request_t* r);
    ngx_int_t step(ngx_http_request_t* r);
    void after_identify(ngx_http_request_t* r);
    void after_answer(ngx_http_request_t* r);
    void nobody(ngx_http_request_t* r);
    bool has_browser(ngx_http_request_t* r);
    ngx_int_t hand_over(ngx_http_request_t* r);
    void conclude(ngx_http_request_t* r);
    void count_claims();
    bool is_behind(ngx_http_request_t* r);
    void keep_answer(ngx_http_request_t* r);

    Gate* gate_;
    Stage stage_ = Stage::identify;
    std::optional<IdentitySettings> settings_;
    bool identifying_ = false;  // a bind variable may ask for $entitle_user
    bool too_early_ = false;    // variables may say something else since
    Identity identity_;
    RecordLookup record_;  // of identity_.user
    Reason trouble_ = Reason::redis_unreachable;
    std::optional<Before> before_;
    std::shared_ptr<const ReauthAnswer> answer_;
    std::vector<std::string> app_cookies_;
    std::string session_cookie_;
    std::optional<Browser> browser_;  // by which identity_ is known
    // What is to be handed over, or was said before anybody was asked.
    std::optional<Browser> beside_;
    bool handed_over_ = false;
    bool two_browsers_ = false;
    std::optional<User> made_;
    std::string browser_cookie_;
    std::int64_t version_awaited_ = 0;  // the record is not older than this
    int rereads_ = 0;
    // What is near is known to be behind: only the primary is asked.
    bool of_primary_ = false;
    bool asks_no_more_ = false;
};

}  // namespace entitle::ngx
