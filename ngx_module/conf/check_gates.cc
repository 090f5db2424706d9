// Gates that cannot open, or not to whom they are meant for.

#include <algorithm>
#include <unordered_set>

#include "ngx_module/conf/check.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

// Internal ones take over what another gate has found out, or are the question
// itself.
bool
wants_to_know(const Location& location) {
    const LocationConf& conf = location.conf();
    const bool everywhere = conf.role == Role::logout && conf.logout_all;
    return everywhere || (keeps_out(location) && !is_covered(location) &&
                          location.core->internal != 1);
}

// A session is worth something only for the question that made it, so where
// nothing is asked none ever is.
void
check_known(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (!wants_to_know(location) || server.answers_first(location) ||
        conf.reauth.len != 0 || conf.guest != nullptr ||
        identity_kind(&conf) != IdentitySource::Kind::edge_session) {
        return;
    }
    const bool gate = conf.role != Role::logout;
    server.refuse(
        std::string(gate ? "a gate" : "\"entitle_logout all\"") +
            " needs a way to know who is there: \"entitle_reauth\", which asks "
            "the app, or \"entitle_jwt\", \"entitle_session_redis\" or "
            "\"entitle_trusted_user\", or \"entitle_guest_user\", which knows "
            "browsers; without one everybody is a guest for "
            "ever, required by the directive",
        gate ? conf.gate_where : conf.role_where);
}

// --- the checkout, for nobody
// -------------------------------------------------

// Where `error_page` leads, from behind a gate that knows who it is.
bool
is_error_page(const Server& server, const Location& page) {
    bool found = false;
    each_location(server.root, [&](const Location& location) {
        const ngx_array_t* pages = location.core->error_pages;
        if (pages == nullptr) {
            return;
        }
        for (const ngx_http_err_page_t& to :
             std::span(static_cast<const ngx_http_err_page_t*>(pages->elts),
                       pages->nelts)) {
            const std::string_view uri = view(to.value.value);
            found = found ||
                    way_to(server.root, uri.substr(0, uri.find('?'))).back() ==
                        &page;
        }
    });
    return found;
}

void
check_buyer(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    const bool comes_from_outside = location.kind != Location::Kind::named &&
                                    location.core->internal != 1 &&
                                    location.kind != Location::Kind::server;
    if (conf.role == Role::redirect && conf.redirect->names_buyer &&
        !conf.gated() && comes_from_outside &&
        !is_error_page(server, location)) {
        server.warn(
            "\"$entitle_client_reference_id\" in \"entitle_redirect\" is empty "
            "where nobody is asked who is there, and the answer is 500: say "
            "\"entitle on\" or \"entitle optional\" beside it",
            conf.role_where);
    }
    // What is said here is meant so: some things are for members to buy.
    if (conf.role == Role::redirect && conf.redirect->names_buyer &&
        conf.guest != nullptr &&
        conf.gate == static_cast<ngx_uint_t>(GateMode::on) &&
        conf.require != nullptr && !conf.gate_said && comes_from_outside) {
        server.warn(
            "who has bought nothing is refused the way to buy by the "
            "\"entitle_require\" of the level above: say \"entitle "
            "optional\" beside \"entitle_redirect\"",
            conf.role_where);
    }
}

// --- browsers
// ----------------------------------------------------------------

void
check_browsers(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (conf.guest == nullptr || !keeps_out(location) || is_covered(location) ||
        location.core->internal == 1 || conf.role != Role::none ||
        conf.require != nullptr) {
        return;
    }
    server.refuse(
        "a gate that requires nothing is for whoever is logged in, and with "
        "\"entitle_guest_user\" nobody has to be: say \"entitle_require\", "
        "or \"entitle_guest_user off\" beside it, contradicted by the "
        "directive",
        conf.gate_where);
}

// --- a dry run
// ----------------------------------------------------------------

void
check_dry_run(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (!keeps_out(location) || !conf.lets_everybody_by() ||
        is_covered(location)) {
        return;
    }
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(server.cf, ngx_http_entitle_module));
    main->dry_runs++;
    if (location.core->satisfy == NGX_HTTP_SATISFY_ANY) {
        server.warn(
            "\"entitle_dry_run\" beside \"satisfy any\": who is refused by "
            "the other rules and would be by the gate is still refused",
            conf.dry_run_where);
    }
}

// --- words
// --------------------------------------------------------------------

bool
is_looked_at(std::string_view directive) {
    return directive == "entitle_credentials" ||
           directive == "entitle_session_bind" ||
           directive == "entitle_require";
}

// Whether some location of a server goes by that line: one of http{} may be for
// each.
bool
concerns(const Server& server, const std::unordered_set<const void*>& levels,
         const Said& said) {
    if (levels.contains(said.conf)) {
        return true;
    }
    const auto* ctx = static_cast<const ngx_http_conf_ctx_t*>(server.cf->ctx);
    const auto* http = static_cast<const LocationConf*>(
        ctx->loc_conf[ngx_http_entitle_module.ctx_index]);
    if (said.conf != http) {
        return false;
    }
    bool inherits = false;
    each_location(server.root, [&](const Location& location) {
        const LocationConf& conf = location.conf();
        const std::string_view name = view(said.directive);
        const bool same = name == "entitle_require"
                              ? conf.require == http->require
                          : name == "entitle_credentials"
                              ? conf.credentials == http->credentials
                              : conf.session_bind == http->session_bind;
        inherits = inherits || same;
    });
    return inherits;
}

void
check_own_cookie(Server& server, const Said& said) {
    constexpr std::string_view prefix = "cookie=";
    const std::string& ours = server.conf().cookie->name;
    for (std::string_view word : said.words) {
        if (!word.starts_with(prefix)) {
            continue;
        }
        std::string_view rest = word.substr(prefix.size());
        while (!rest.empty()) {
            const std::string_view name = rest.substr(0, rest.find('|'));
            rest.remove_prefix(std::min(name.size() + 1, rest.size()));
            if (name == ours || name == server.conf().browser_cookie->name) {
                server.refuse("\"" + std::string(word) + "\" in \"" +
                                  std::string(view(said.directive)) +
                                  "\" is our own cookie, by which no app goes: "
                                  "name the app's, required by the directive",
                              said.where);
            }
        }
    }
}

void
check_granted(Server& server, const Said& said) {
    for (std::string_view word : said.words) {
        if (word.find('$') != word.npos || server.conf().grants->empty() ||
            server.conf().grants->names(word)) {
            continue;
        }
        const std::string name(word);
        server.warn("\"" + name +
                        "\" in \"entitle_require\" is given by no "
                        "\"entitle_grant\", so by nothing but a feature or a "
                        "name in metadata of that very name; if that is meant, "
                        "say \"entitle_grant " +
                        name + " feature=" + name + " metadata=" + name + "\"",
                    said.where);
    }
}

void
check_words(Server& server) {
    const auto* main = static_cast<const MainConf*>(
        ngx_http_conf_get_module_main_conf(server.cf, ngx_http_entitle_module));
    if (main->notes == nullptr) {
        return;
    }
    std::unordered_set<const void*> levels;
    each_location(server.root, [&](const Location& location) {
        levels.insert(&location.conf());
    });
    for (const Said& said : main->notes->said) {
        if (!is_looked_at(view(said.directive)) ||
            !concerns(server, levels, said)) {
            continue;
        }
        if (view(said.directive) == "entitle_require") {
            check_granted(server, said);
        } else {
            check_own_cookie(server, said);
        }
    }
}

}  // namespace

void
check_gates(Server& server) {
    each_location(server.root, [&](const Location& location) {
        check_known(server, location);
        check_buyer(server, location);
        check_browsers(server, location);
        check_dry_run(server, location);
    });
    check_words(server);
}

}  // namespace entitle::ngx
