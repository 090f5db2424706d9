// Directives for what stands beside a gate: the way to the checkout, and the
// way out.

#include <algorithm>

#include "ngx_module/conf/conf.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/status/status.h"

namespace entitle::ngx {
namespace {

ngx_http_core_loc_conf_t*
core_conf(ngx_conf_t* cf) {
    return static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
}

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

// Whom would it log out?
char*
check_logout(ngx_conf_t* cf, const LocationConf* conf) {
    auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    if (identity_kind(conf) == IdentitySource::Kind::edge_session &&
        server->session_keys == nullptr) {
        return missing(cf, conf->logout_where,
                       "\"entitle_logout\" needs \"entitle_session_key_file\" "
                       "or another way to know who is there");
    }
    return conf->logout == LogoutMode::everywhere ? check_identity(cf, conf)
                                                  : NGX_CONF_OK;
}

}  // namespace

char*
set_redirect(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (conf->redirect != nullptr) {
        return duplicate();
    }
    if (core_conf(cf)->handler != nullptr) {
        return const_cast<char*>("stands beside another that answers here");
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
    core_conf(cf)->handler = redirect_handler;
    return NGX_CONF_OK;
}

char*
set_logout(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (conf->logout != LogoutMode::none) {
        return duplicate();
    }
    conf->logout = LogoutMode::here;
    conf->logout_where = where(cf);
    if (args.size() == 2) {
        if (view(args[1]) != "all") {
            return invalid_value(cf, view(args[1]), "the only word is all");
        }
        conf->logout = LogoutMode::everywhere;
    }
    return NGX_CONF_OK;
}

char*
set_status(ngx_conf_t* cf, ngx_command_t*, void*) {
    if (core_conf(cf)->handler != nullptr) {
        return const_cast<char*>("stands beside another that answers here");
    }
    core_conf(cf)->handler = status_handler;
    return NGX_CONF_OK;
}

char*
merge_content(ngx_conf_t* cf, LocationConf* prev, LocationConf* conf) {
    ngx_http_core_loc_conf_t* core = core_conf(cf);
    // `if` and `limit_except` blocks are locations of their own to nginx.
    if (core->noname && core->handler == nullptr && prev->redirect != nullptr) {
        conf->redirect = prev->redirect;
        core->handler = redirect_handler;
    }
    if (core->noname && core->handler == nullptr && prev->poll != 0) {
        conf->poll = prev->poll;
        core->handler = poll_handler;
    }
    if (core->noname && conf->logout == LogoutMode::none) {
        conf->logout = prev->logout;
        conf->logout_where = prev->logout_where;
    }
    if ((conf->redirect != nullptr && core->handler != redirect_handler) ||
        (conf->poll != 0 && core->handler != poll_handler)) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" in location \"%V\" stands beside another "
                      "directive that answers there",
                      conf->poll != 0 ? "entitle_poll" : "entitle_redirect",
                      &core->name);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    if (conf->logout == LogoutMode::none) {
        return NGX_CONF_OK;
    }
    if (core->handler == nullptr) {
        core->handler = logout_handler;
    }
    return check_logout(cf, conf);
}

}  // namespace entitle::ngx
