// Directives for what stands beside a gate: the way to the checkout, and the
// way out.

#include <algorithm>

#include "ngx_module/conf/conf.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

// Null: no status of a redirect.
std::optional<ngx_int_t>
redirect_status(std::string_view text) {
    constexpr std::pair<std::string_view, ngx_int_t> allowed[] = {
        {"301", NGX_HTTP_MOVED_PERMANENTLY},
        {"302", NGX_HTTP_MOVED_TEMPORARILY},
        {"303", NGX_HTTP_SEE_OTHER},
        {"307", NGX_HTTP_TEMPORARY_REDIRECT},
        {"308", NGX_HTTP_PERMANENT_REDIRECT},
    };
    for (const auto& [word, status] : allowed) {
        if (word == text) {
            return status;
        }
    }
    return std::nullopt;
}

bool
names_buyer(std::string_view url) {
    std::vector<std::string_view> variables = variables_in(url);
    return std::any_of(variables.begin(), variables.end(),
                       [](std::string_view variable) {
                           return variable == "$entitle_client_reference_id" ||
                                  variable == "${entitle_client_reference_id}";
                       });
}

}  // namespace

// Whom would it log out?
char*
check_logout(ngx_conf_t* cf, const LocationConf* conf) {
    auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    if (identity_kind(conf) == IdentitySource::Kind::edge_session &&
        server->session_keys == nullptr) {
        return missing(cf, conf->role_where,
                       "\"entitle_logout\" needs \"entitle_session_key_file\" "
                       "or another way to know who is there");
    }
    const auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (core->satisfy == NGX_HTTP_SATISFY_ANY) {
        return missing(cf, conf->role_where,
                       "whoever satisfies the other rules of \"satisfy any\" "
                       "would not be logged out: say \"satisfy all\" beside "
                       "\"entitle_logout\"");
    }
    if (!conf->logout_all) {
        return NGX_CONF_OK;
    }
    note_gate(cf, conf);  // it asks for the record, too
    char* result = check_reauth(cf, conf);
    return result == NGX_CONF_OK ? check_identity(cf, conf) : result;
}

char*
set_redirect(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (char* refused = take_role(cf, conf, Role::redirect);
        refused != NGX_CONF_OK) {
        return refused;
    }
    ngx_int_t code = NGX_HTTP_SEE_OTHER;
    if (args.size() == 3) {
        std::optional<ngx_int_t> named = redirect_status(view(args[1]));
        if (!named) {
            return invalid_value(cf, view(args[1]),
                                 "it must be 301, 302, 303, 307 or 308");
        }
        code = *named;
    }
    std::string_view url = view(args.back());
    if (!is_url(url)) {
        return invalid_value(cf, url, kUrlAllowed);
    }
    own(cf, conf->redirect) = {code, &compiled(cf, url), names_buyer(url)};
    return NGX_CONF_OK;
}

char*
set_logout(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (char* refused = take_role(cf, conf, Role::logout);
        refused != NGX_CONF_OK) {
        return refused;
    }
    if (args.size() == 2) {
        if (view(args[1]) != "all") {
            return invalid_value(cf, view(args[1]), "the only word is all");
        }
        conf->logout_all = true;
    }
    return NGX_CONF_OK;
}

char*
set_status(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return take_role(cf, static_cast<LocationConf*>(data), Role::status);
}

}  // namespace entitle::ngx
