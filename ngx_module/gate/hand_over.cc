#include "ngx_module/gate/hand_over.h"

#include <array>

#include "core/access/packed_record.h"
#include "core/delivery/hand_over.h"
#include "ngx_module/gate/lookup.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

constexpr ngx_msec_t kPatience = 2000;
constexpr time_t kPause = 60;           // while nothing changed
constexpr time_t kPauseAfterError = 1;  // it may be over

// What stays with a browser, or could not be moved, is not tried at every
// request. Of the worker; few, and forgotten by others.
class TriedHandOvers {
  public:
    bool
    just(const Hash128& browser) const {
        const Tried& tried = tried_[browser.low % tried_.size()];
        return tried.browser == browser && ngx_time() - tried.at < 5;
    }
    bool
    lately(const Hash128& browser, std::int64_t version) const {
        const Tried& tried = tried_[browser.low % tried_.size()];
        return tried.browser == browser && tried.version == version &&
               ngx_time() - tried.at < tried.pause;
    }
    void
    note(const Hash128& browser, std::int64_t version, bool failed) {
        tried_[browser.low % tried_.size()] = {
            browser, version, ngx_time(), failed ? kPauseAfterError : kPause};
    }

  private:
    struct Tried {
        Hash128 browser;
        std::int64_t version;
        time_t at;
        time_t pause;
    };
    std::array<Tried, 64> tried_{};
};

TriedHandOvers&
tried_of(ngx_http_request_t* r) {
    return main_conf(r)->worker->part<TriedHandOvers>();
}

bool
holds_something(const RecordLookup& record) {
    if (record.standing.version == 0 || record.use == CacheUse::stale) {
        return false;
    }
    if (record.packed.empty()) {
        return !record.standing.projections.empty();
    }
    const std::optional<Standing> standing = unpack(record.packed);
    return standing && !standing->projections.empty();
}

// A part of the gate.
struct HandOver {
    explicit HandOver(Gate* of)
        : gate(of),
          record(
              [](void* data) noexcept { gate_wake(static_cast<Gate*>(data)); },
              of) {}

    void
    start(ngx_http_request_t* r, const Browser& browser, const User& user) {
        talk.emplace(
            main_conf(r),
            [](void* data) noexcept { gate_wake(static_cast<Gate*>(data)); },
            gate);
        talk->start(entitle::hand_over(
                        browser.user, browser.issued_at, user,
                        DeliveryOptions{.keys = *server_conf(r)->keys,
                                        .policy = *server_conf(r)->policy,
                                        .grants = server_conf(r)->grants,
                                        .now = wall_clock(),
                                        .jitter_seed = random_bits(),
                                        .wait = replica_wait(main_conf(r))}),
                    kPatience);
    }

    Gate* gate;
    RecordLookup record;  // the browser's
    std::optional<RedisTalk<HandedOver>> talk;
};

void
log_error(ngx_http_request_t* r, const User& browser, const User& user,
          std::string_view why) {
    ngx_str_t from = str(browser.str()), to = str(user.str());
    ngx_str_t error = str(why);
    static Seldom seldom;
    seldom.error(r->connection->log,
                 "entitle: what the browser \"%V\" bought is not user \"%V\"'s "
                 "yet, until a later request: %V",
                 &from, &to, &error);
}

Handing
end(ngx_http_request_t* r, HandOver& over, const User& browser,
    const User& user) {
    auto& talk = *over.talk;
    const bool failed = !talk.error().empty() || !talk.result().error.empty();
    tried_of(r).note(record_user(r, browser), over.record.standing.version,
                     failed);
    if (!talk.error().empty()) {
        log_error(r, browser, user, talk.error());
        return {};
    }
    const HandedOver& handed = talk.result();
    if (handed.user) {
        log_handed_over(r->connection->log, browser, *handed.user,
                        handed.sources);
    }
    if (!handed.error.empty()) {
        log_error(r, browser, user, handed.error);
    }
    Handing handing;
    handing.moved = !handed.sources.empty() && handed.user == user;
    handing.overtaken = handing.just = !handing.moved;
    handing.emptied = handing.moved && !handed.left && !failed;
    if (handed.raised && handed.user == user) {
        handing.from = handed.raised->first;
        handing.to = handed.raised->second;
    }
    return handing;
}

}  // namespace

void
log_handed_over(ngx_log_t* log, const User& browser, const User& user,
                const std::vector<std::string>& sources) {
    ngx_str_t from = str(browser.str()), to = str(user.str());
    for (const std::string& source : sources) {
        ngx_str_t id = str(source);
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "entitle: \"%V\", which the browser \"%V\" bought, is "
                      "user \"%V\"'s",
                      &id, &from, &to);
    }
}

ngx_int_t
hand_over_browser(ngx_http_request_t* r, Gate* gate, const Browser& browser,
                  const User& user, Handing& handing) {
    auto& over = gate->part<HandOver>();
    if (!over.talk) {
        const ngx_int_t rc =
            record_lookup(r, over.record, browser.user, 0, false);
        if (rc == NGX_DECLINED) {
            return NGX_OK;  // the user's own record says more of that
        }
        if (rc != NGX_OK) {
            return rc;
        }
        const Hash128 id = record_user(r, browser.user);
        if (!holds_something(over.record) ||
            tried_of(r).lately(id, over.record.standing.version)) {
            handing.overtaken = over.record.standing.version != 0;
            handing.just = handing.overtaken && tried_of(r).just(id);
            return NGX_OK;
        }
        over.start(r, browser, user);
    }
    if (!over.talk->done()) {
        return NGX_AGAIN;
    }
    handing = end(r, over, browser.user, user);
    over.talk.reset();
    return NGX_OK;
}

}  // namespace entitle::ngx
