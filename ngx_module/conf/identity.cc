// Directives about who is asking, where it is not by the edge session: the
// app's JWT, the app's own session in Redis, a trusted variable.

#include "ngx_module/gate/identity.h"

#include <algorithm>

#include "ngx_module/conf/conf.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {
namespace {

using Kind = IdentitySource::Kind;

// --- which of them ----------------------------------------------------------

// Of this level; null and logged: it has one already.
IdentitySource*
name_source(ngx_conf_t* cf, LocationConf* conf, Kind kind) {
    const ngx_str_t& directive = arguments(cf)[0];
    if (conf->identity != nullptr) {
        const IdentitySource& other = *conf->identity;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" stands beside \"%V\" in %V:%ui: at one "
                           "level visitors are known in one way",
                           &directive, &other.directive, &other.where.file,
                           other.where.line);
        return nullptr;
    }
    IdentitySource& source = own(cf, conf->identity);
    source.kind = view(arguments(cf)[1]) == "off" ? Kind::edge_session : kind;
    source.where = where(cf);
    source.directive = directive;
    return &source;
}

char*
error() {
    return static_cast<char*>(NGX_CONF_ERROR);
}

// --- the trusted variable ---------------------------------------------------

// `$name` or `${name}`.
std::string_view
variable_name(std::string_view text) {
    text.remove_prefix(1);
    if (text.starts_with('{')) {
        text = text.substr(1, text.size() - 2);
    }
    return text;
}

// What the client writes as it likes.
bool
said_by_client(std::string_view variable) {
    constexpr std::string_view prefixes[] = {"http_", "arg_", "cookie_"};
    constexpr std::string_view names[] = {
        "args",         "content_length",
        "content_type", "document_uri",
        "host",         "is_args",
        "query_string", "proxy_add_x_forwarded_for",
        "request",      "request_body",
        "request_uri",  "uri",
    };
    return std::any_of(std::begin(prefixes), std::end(prefixes),
                       [&](std::string_view prefix) {
                           return variable.starts_with(prefix);
                       }) ||
           std::find(std::begin(names), std::end(names), variable) !=
               std::end(names);
}

char*
check_trusted_user(ngx_conf_t* cf, const LocationConf* conf) {
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (core->satisfy == NGX_HTTP_SATISFY_ANY) {
        return missing(cf, conf->identity->where,
                       "\"satisfy any\" contradicts \"entitle_trusted_user\": "
                       "whoever satisfies the other rules would be believed to "
                       "be anybody, named");
    }
    if (conf->identity->remote_user) {
        auto* main = static_cast<MainConf*>(
            ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
        own(cf, main->remote_user_trusts)
            .push_back({conf->identity,
                        static_cast<ngx_http_conf_ctx_t*>(cf->ctx)->loc_conf});
    }
    return NGX_CONF_OK;
}

// The beginning of what ngx_http_auth_basic_module.c keeps for a location, the
// same since 1.21.0. (It has no header.)
struct AuthBasicConf {
    ngx_http_complex_value_t* realm;
    ngx_http_complex_value_t* user_file;
};

// $remote_user is whatever the client says wherever nobody checks it. A realm
// with variables may turn out to be "off".
bool
verified_by_auth_basic(ngx_conf_t* cf, void** location) {
    for (ngx_uint_t i = 0; cf->cycle->modules[i] != nullptr; i++) {
        const ngx_module_t* module = cf->cycle->modules[i];
        if (std::string_view(module->name) != "ngx_http_auth_basic_module") {
            continue;
        }
        const auto* conf =
            static_cast<const AuthBasicConf*>(location[module->ctx_index]);
        return conf->realm != nullptr && conf->user_file != nullptr &&
               conf->realm->lengths == nullptr &&
               view(conf->realm->value) != "off";
    }
    return false;
}

}  // namespace

// --- setters ----------------------------------------------------------------

char*
set_jwt(ngx_conf_t* cf, ngx_command_t*, void* data) {
    std::string_view text = view(arguments(cf)[1]);
    IdentitySource* source =
        name_source(cf, static_cast<LocationConf*>(data), Kind::jwt);
    if (source == nullptr) {
        return error();
    }
    if (source->kind == Kind::edge_session) {
        return NGX_CONF_OK;
    }
    std::optional<Carrier> carrier = parse_carrier(cf, text);
    if (!carrier) {
        return invalid_value(cf, text,
                             "it must be cookie=NAME, one $variable or off");
    }
    source->carrier = *carrier;
    return NGX_CONF_OK;
}

char*
set_trusted_user(ngx_conf_t* cf, ngx_command_t*, void* data) {
    std::string_view text = view(arguments(cf)[1]);
    IdentitySource* source =
        name_source(cf, static_cast<LocationConf*>(data), Kind::trusted_user);
    if (source == nullptr) {
        return error();
    }
    if (source->kind == Kind::edge_session) {
        return NGX_CONF_OK;
    }
    if (!is_one_variable(text)) {
        return invalid_value(cf, text, "it must be one $variable or off");
    }
    if (said_by_client(variable_name(text))) {
        return invalid_value(cf, text,
                             "a variable that the client fills as it likes "
                             "cannot be trusted");
    }
    source->carrier.value = &compiled(cf, text);
    source->remote_user = variable_name(text) == "remote_user";
    return NGX_CONF_OK;
}

char*
set_session_redis(ngx_conf_t* cf, ngx_command_t*, void* data) {
    std::span<ngx_str_t> args = arguments(cf);
    IdentitySource* source =
        name_source(cf, static_cast<LocationConf*>(data), Kind::app_session);
    if (source == nullptr) {
        return error();
    }
    if (source->kind == Kind::edge_session) {
        return args.size() == 2
                   ? NGX_CONF_OK
                   : invalid_value(cf, view(args[2]), "nothing goes with off");
    }
    std::string why;
    std::optional<SessionKey> key = SessionKey::parse(view(args[1]), why);
    if (!key) {
        return invalid_value(cf, view(args[1]), why);
    }
    const std::string& name = key->source();
    if (key->from() == SessionKey::From::cookie) {
        source->carrier.cookie = pool_copy(cf->pool, name);
    } else {
        ngx_str_t variable = pool_copy(cf->pool, "${" + name + "}");
        source->carrier.value = &compiled(cf, view(variable));
    }

    std::optional<JsonPointer> user, version;
    for (const ngx_str_t& argument : args.subspan(2)) {
        constexpr std::string_view json = "json=", counted = "version=";
        std::string_view text = view(argument);
        std::optional<JsonPointer>* slot = text.starts_with(json) ? &user
                                           : text.starts_with(counted)
                                               ? &version
                                               : nullptr;
        if (slot == nullptr || *slot) {
            return invalid_value(cf, text,
                                 "it must be json=/pointer or "
                                 "version=/pointer, each once");
        }
        *slot = JsonPointer::parse(text.substr(text.find('=') + 1), why);
        if (!*slot) {
            return invalid_value(cf, text, why);
        }
    }
    if (!user) {
        return const_cast<char*>(
            "needs json=/pointer: where in the session the user's id is");
    }
    source->app_session = AppSessionSource{
        std::move(*key), AppSessionRules{std::move(*user), std::move(version)}};
    return NGX_CONF_OK;
}

// --- merging ----------------------------------------------------------------

void
merge_identity(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    if (conf->identity == nullptr) {
        conf->identity = prev->identity;
    }
    merge_jwt(cf, prev, conf);
}

char*
check_identity(ngx_conf_t* cf, const LocationConf* conf) {
    switch (identity_kind(conf)) {
        case Kind::jwt:
            return check_jwt(cf, conf);
        case Kind::trusted_user:
            return check_trusted_user(cf, conf);
        case Kind::app_session:
        case Kind::edge_session:
            break;
    }
    return NGX_CONF_OK;
}

ngx_int_t
check_remote_user_trusts(ngx_conf_t* cf, const MainConf* conf) {
    if (conf->remote_user_trusts == nullptr) {
        return NGX_OK;
    }
    for (const RemoteUserTrust& trust : *conf->remote_user_trusts) {
        if (!verified_by_auth_basic(cf, trust.location)) {
            missing(cf, trust.source->where,
                    "\"entitle_trusted_user $remote_user\" needs a literal "
                    "\"auth_basic\" and \"auth_basic_user_file\" at every "
                    "location it is used for: elsewhere the client says what "
                    "it likes, trusted");
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}

}  // namespace entitle::ngx
