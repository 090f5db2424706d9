// Directives about visitors where nobody is asked who is there, or not in a way
// that looks at them: silence would be taken for a gate.

#include <algorithm>
#include <unordered_map>

#include "ngx_module/conf/check.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

using Kind = IdentitySource::Kind;

bool
asks(const LocationConf& conf) {
    return conf.gated() || (conf.role == Role::logout && conf.logout_all);
}

bool
takes_jwt(const LocationConf& conf) {
    return asks(conf) && identity_kind(&conf) == Kind::jwt;
}

bool
takes_session(const LocationConf& conf) {
    return asks(conf) && identity_kind(&conf) == Kind::edge_session;
}

// A trusted variable is always fresh.
bool
may_ask_app(const LocationConf& conf) {
    return asks(conf) && identity_kind(&conf) != Kind::trusted_user;
}

bool
asks_app(const LocationConf& conf) {
    return may_ask_app(conf) && conf.reauth.len != 0;
}

bool
keeps_out(const LocationConf& conf) {
    return conf.gated() && conf.gate == static_cast<ngx_uint_t>(GateMode::on);
}

// Whom a dry run would let by.
bool
keeps_pages(const LocationConf& conf) {
    return keeps_out(conf) && conf.role != Role::poll &&
           !(conf.role == Role::redirect && conf.redirect->names_buyer);
}

// What was let in, and may be no more.
bool
may_end(const LocationConf& conf) {
    return keeps_out(conf) && conf.role == Role::none;
}

bool
may_take(const LocationConf& conf) {
    return keeps_out(conf) && conf.role != Role::poll;
}

struct Use {
    std::string_view directive;
    bool (*is_used)(const LocationConf&);
    const char* without;  // what does not hold where somebody is asked
};

constexpr char kNoJwt[] = "without \"entitle_jwt\"";
constexpr char kNoSession[] =
    "where visitors are known without a session of ours";
constexpr char kTrusted[] =
    "beside \"entitle_trusted_user\", which the app is not asked about";
constexpr char kNoQuestion[] = "without \"entitle_reauth\"";
constexpr char kNobodyRefused[] = "where nobody is refused";
constexpr char kNothingEnds[] =
    "where nobody is refused, or what is let in is answered at once";
constexpr char kNothingTaken[] =
    "before \"entitle_poll\", which serves nothing";
constexpr char kNobodyLetBy[] =
    "where nobody is refused a page: neither before \"entitle_poll\", nor "
    "before a checkout that has to name the buyer";

constexpr Use kUses[] = {
    {"entitle_jwt", asks, nullptr},
    {"entitle_session_redis", asks, nullptr},
    {"entitle_trusted_user", asks, nullptr},
    {"entitle_jwt_key_file", takes_jwt, kNoJwt},
    {"entitle_jwt_key_request", takes_jwt, kNoJwt},
    {"entitle_jwt_issuer", takes_jwt, kNoJwt},
    {"entitle_jwt_audience", takes_jwt, kNoJwt},
    {"entitle_jwt_leeway", takes_jwt, kNoJwt},
    {"entitle_jwt_user_claim", takes_jwt, kNoJwt},
    {"entitle_jwt_version_claim", takes_jwt, kNoJwt},
    {"entitle_reauth", may_ask_app, kTrusted},
    {"entitle_reauth_user", asks_app, kNoQuestion},
    {"entitle_reauth_key", asks_app, kNoQuestion},
    {"entitle_credentials", asks_app, kNoQuestion},
    {"entitle_claim_email", asks_app, kNoQuestion},
    {"entitle_guest_user", asks, nullptr},
    {"entitle_session_bind", takes_session, kNoSession},
    {"entitle_session_lifetime", takes_session, kNoSession},
    {"entitle_session_recheck", takes_session, kNoSession},
    {"entitle_login_url", keeps_out, kNobodyRefused},
    {"entitle_preflight", keeps_out, kNobodyRefused},
    {"entitle_dry_run", keeps_pages, kNobodyLetBy},
    {"entitle_live", may_end, kNothingEnds},
    {"entitle_meter", may_take, kNothingTaken},
};

const Use*
use_of(const Said& said) {
    const auto* use =
        std::find_if(std::begin(kUses), std::end(kUses), [&](const Use& known) {
            return known.directive == view(said.directive);
        });
    return use == std::end(kUses) ? nullptr : use;
}

using Test = bool (*)(const LocationConf&);

// Configurations have thousands of locations and of directives: none is looked
// for twice.
class Everywhere {
  public:
    explicit Everywhere(const std::vector<Server>& servers) {
        for (const Server& server : servers) {
            each_location(server.root, [&](const Location& location) {
                asked_ = asked_ || asks(location.conf());
                webhook_ = webhook_ || location.conf().webhook != 0;
                if (location.kind != Location::Kind::server) {
                    by_level_[&location.conf()] = &location;
                }
            });
        }
    }

    // Null: the level is http{} or a server.
    const Location*
    location_of(const void* level) const {
        const auto found = by_level_.find(level);
        return found == by_level_.end() ? nullptr : found->second;
    }

    bool
    anybody_asked() const {
        return asked_;
    }

    bool
    any_webhook() const {
        return webhook_;
    }

  private:
    bool asked_ = false;
    bool webhook_ = false;
    std::unordered_map<const void*, const Location*> by_level_;
};

bool
any_in(const Location& outermost, Test is) {
    bool found = false;
    each_location(outermost, [&](const Location& location) {
        found = found || is(location.conf());
    });
    return found;
}

bool
is_webhook(const LocationConf& conf) {
    return conf.webhook != 0;
}

void
warn(ngx_conf_t* cf, const Said& said, const char* why) {
    ngx_log_error(NGX_LOG_WARN, cf->log, 0, "\"%V\" does nothing %s, in %V:%ui",
                  &said.directive, why, &said.where.file, said.where.line);
}

}  // namespace

void
check_idle(ngx_conf_t* cf, const std::vector<Server>& servers) {
    const auto* main = static_cast<const MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    if (main->notes == nullptr) {
        return;
    }
    const Everywhere everywhere(servers);
    for (const Said& said : main->notes->said) {
        if (view(said.directive) == "entitle_stripe_request") {
            const Location* here = everywhere.location_of(said.conf);
            if (here == nullptr ? !everywhere.any_webhook()
                                : !any_in(*here, is_webhook)) {
                warn(cf, said, "where there is no \"entitle_webhook\"");
            }
            continue;
        }
        const Use* use = use_of(said);
        if (use == nullptr) {
            continue;
        }
        // Of http{} and of a server it may be for any: what servers share is
        // often included in each.
        const Location* here = everywhere.location_of(said.conf);
        if (here == nullptr ? !everywhere.anybody_asked()
                            : !any_in(*here, asks)) {
            warn(cf, said,
                 "where nobody is asked who is there: \"entitle on\" or "
                 "\"entitle_require\" makes a gate");
        } else if (here != nullptr && !any_in(*here, use->is_used)) {
            warn(cf, said, use->without);
        }
    }
}

}  // namespace entitle::ngx
