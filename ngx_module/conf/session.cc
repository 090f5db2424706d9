// Directives about what a session is worth, what it is bound to, and what the
// app goes by when it is asked.

#include <algorithm>

#include "core/base/ascii.h"
#include "core/identity/edge_session.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

std::optional<CookieNames>
cookie_names(std::string_view text) {
    constexpr std::string_view prefix = "cookie=";
    return text.starts_with(prefix)
               ? CookieNames::parse(text.substr(prefix.size()))
               : std::nullopt;
}

// --- what a session is worth -------------------------------------------------

// Of a server without a name: the address it listens on, the first by text.
std::string
listens_on(ngx_conf_t* cf, const ngx_http_core_srv_conf_t* server) {
    const auto* core = static_cast<ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    std::string first;
    if (core->ports == nullptr) {
        return first;
    }
    for (const ngx_http_conf_port_t& port :
         std::span(static_cast<ngx_http_conf_port_t*>(core->ports->elts),
                   core->ports->nelts)) {
        for (const ngx_http_conf_addr_t& address :
             std::span(static_cast<ngx_http_conf_addr_t*>(port.addrs.elts),
                       port.addrs.nelts)) {
            const std::span servers(
                static_cast<ngx_http_core_srv_conf_t**>(address.servers.elts),
                address.servers.nelts);
            if (std::find(servers.begin(), servers.end(), server) ==
                servers.end()) {
                continue;
            }
            const std::string text(view(address.opt.addr_text));
            if (first.empty() || text < first) {
                first = text;
            }
        }
    }
    return first;
}

// Whether this is one host's name: no pattern, and not `_` or "", by which
// people say that it is everybody's.
bool
names_a_host(const ngx_http_server_name_t& name) {
    const std::string_view text = view(name.name);
    return name.regex == nullptr && !text.empty() && text != "_" &&
           text.front() != '.' && text.find('*') == text.npos;
}

std::span<const ngx_http_server_name_t>
names_of(const ngx_http_core_srv_conf_t* server) {
    return {static_cast<ngx_http_server_name_t*>(server->server_names.elts),
            server->server_names.nelts};
}

// Which servers take it.
std::string
scope_of(ngx_conf_t* cf) {
    auto* conf = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    if (conf->session_scope.len != 0) {
        return "scope:" + std::string(view(conf->session_scope));
    }
    const auto* server = static_cast<ngx_http_core_srv_conf_t*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module));
    const auto names = names_of(server);
    conf->any_host = !std::all_of(names.begin(), names.end(), names_a_host);
    const auto name = std::find_if(names.begin(), names.end(), names_a_host);
    return name != names.end() ? "server:" + std::string(view(name->name))
                               : "listen:" + listens_on(cf, server);
}

std::string
read_by(const ReauthUser* user) {
    if (user == nullptr) {
        return {};
    }
    const std::string name(view(user->name));
    switch (user->kind) {
        case ReauthUser::Kind::header:
            return "header=" + lower_case(name);
        case ReauthUser::Kind::json:
            return "json=" + name;
        case ReauthUser::Kind::variable:
            break;
    }
    return "$" + name;
}

// Of a server all locations share one: what was bought here opens there.
void
merge_browser(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    conf->browser_audience = prev->browser_audience;
    if (conf->guest == nullptr || conf->browser_audience != nullptr) {
        return;
    }
    const auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    const std::string scope = scope_of(cf);
    const std::string_view parts[] = {"browser", scope};
    own(cf, conf->browser_audience) =
        session_audience(*server->audience, parts);
}

}  // namespace

// Locations that ask the same share one string: its address stands for it.
void
merge_session(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    merge_browser(cf, prev, conf);
    if (prev->session_audience != nullptr &&
        conf->reauth.data == prev->reauth.data &&
        conf->reauth_user == prev->reauth_user) {
        conf->session_audience = prev->session_audience;
        return;
    }
    const auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    const bool asks = conf->reauth.len != 0;
    const std::string scope = scope_of(cf);
    const std::string by = asks ? read_by(conf->reauth_user) : std::string();
    const std::string_view parts[] = {scope, view(conf->reauth), by};
    own(cf, conf->session_audience) =
        session_audience(*server->audience, parts);
}

// --- setters -----------------------------------------------------------------

char*
set_session_scope(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    if (conf->session_scope.data != nullptr) {
        return duplicate();
    }
    if (says_off(cf)) {
        ngx_str_set(&conf->session_scope, "");
        return NGX_CONF_OK;
    }
    conf->session_scope = arguments(cf)[1];
    const std::string_view name = view(conf->session_scope);
    if (name.empty() || has_control_bytes(name)) {
        return invalid_value(cf, name,
                             "it must be a name, the same in every server "
                             "whose sessions are one, or off");
    }
    return NGX_CONF_OK;
}

char*
add_session_bind(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto& list = static_cast<LocationConf*>(data)->session_bind;
    if (says_off(cf)) {
        return cancel(cf, list);
    }
    if (char* refused = check_not_cancelled(list); refused != NGX_CONF_OK) {
        return refused;
    }
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        const std::string_view text = view(argument);
        if (std::optional<CookieNames> names = cookie_names(text)) {
            own(cf, list).push_back({std::move(names), nullptr});
        } else if (is_one_variable(text)) {
            own(cf, list).push_back({std::nullopt, &compiled(cf, text)});
        } else {
            return invalid_value(cf, text,
                                 "it must be cookie=NAME, alternatives "
                                 "cookie=A|B, a beginning cookie=NAME*, one "
                                 "$variable, or off");
        }
    }
    return NGX_CONF_OK;
}

char*
add_credentials(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto& known = static_cast<LocationConf*>(data)->credentials;
    if (says_off(cf)) {
        return cancel(cf, known);
    }
    if (char* refused = check_not_cancelled(known); refused != NGX_CONF_OK) {
        return refused;
    }
    constexpr std::string_view header = "header=";
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        const std::string_view text = view(argument);
        if (std::optional<CookieNames> names = cookie_names(text)) {
            own(cf, known).cookies.push_back(*std::move(names));
        } else if (text.starts_with(header) &&
                   is_token(text.substr(header.size()))) {
            own(cf, known).headers.push_back(str(text.substr(header.size())));
        } else {
            return invalid_value(cf, text,
                                 "it must be cookie=NAME, cookie=NAME*, "
                                 "header=Name, or off");
        }
    }
    return NGX_CONF_OK;
}

char*
add_reauth_key(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto& list = static_cast<LocationConf*>(data)->reauth_key;
    if (says_off(cf)) {
        return cancel(cf, list);
    }
    if (char* refused = check_not_cancelled(list); refused != NGX_CONF_OK) {
        return refused;
    }
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        if (!is_one_variable(view(argument))) {
            return invalid_value(cf, view(argument),
                                 "it must be one $variable, or off");
        }
        own(cf, list).push_back(&compiled(cf, view(argument)));
    }
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
