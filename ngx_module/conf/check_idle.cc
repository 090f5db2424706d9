// Directives about visitors where nobody is asked who is there, or not in a way
// that looks at them: silence would be taken for a gate.

#include <algorithm>

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
    {"entitle_session_bind", takes_session, kNoSession},
    {"entitle_session_lifetime", takes_session, kNoSession},
    {"entitle_session_recheck", takes_session, kNoSession},
    {"entitle_login_url", keeps_out, kNobodyRefused},
    {"entitle_preflight", keeps_out, kNobodyRefused},
};

const Use*
use_of(const Said& said) {
    const auto* use =
        std::find_if(std::begin(kUses), std::end(kUses), [&](const Use& known) {
            return known.directive == view(said.directive);
        });
    return use == std::end(kUses) ? nullptr : use;
}

// The locations that a level's directives are for.
std::vector<const Location*>
locations_with(const std::vector<Server>& servers, const void* level) {
    std::vector<const Location*> here;
    for (const Server& server : servers) {
        each_location(server.root, [&](const Location& location) {
            if (location.kind != Location::Kind::server &&
                &location.conf() == level) {
                here.push_back(&location);
            }
        });
    }
    return here;
}

std::vector<const Location*>
all_roots(const std::vector<Server>& servers) {
    std::vector<const Location*> roots;
    for (const Server& server : servers) {
        roots.push_back(&server.root);
    }
    return roots;
}

bool
any_in(const std::vector<const Location*>& scope,
       bool (*is)(const LocationConf&)) {
    bool found = false;
    for (const Location* outermost : scope) {
        each_location(*outermost, [&](const Location& location) {
            found = found || is(location.conf());
        });
    }
    return found;
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
    for (const Said& said : main->notes->said) {
        const Use* use = use_of(said);
        if (use == nullptr) {
            continue;
        }
        // Of http{} and of a server it may be for any: what servers share is
        // often included in each.
        const auto here = locations_with(servers, said.conf);
        const auto scope = here.empty() ? all_roots(servers) : here;
        if (!any_in(scope, asks)) {
            warn(cf, said,
                 "where nobody is asked who is there: \"entitle on\" or "
                 "\"entitle_require\" makes a gate");
        } else if (!here.empty() && !any_in(here, use->is_used)) {
            warn(cf, said, use->without);
        }
    }
}

}  // namespace entitle::ngx
