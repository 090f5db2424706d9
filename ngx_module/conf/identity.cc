// Directives about who is asking, where it is not by the edge session: the
// app's JWT, the app's own session in Redis, a trusted variable.

#include "ngx_module/gate/identity.h"

#include "core/base/ascii.h"
#include "ngx_module/conf/believed.h"
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
    note_belief(cf, conf->identity->voucher, "entitle_trusted_user",
                conf->identity->where);
    return NGX_CONF_OK;
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
    if (lower_case(variable_name(text)).starts_with("upstream_")) {
        return invalid_value(cf, text,
                             "it is not there yet when the gate asks: "
                             "\"auth_request_set $name $upstream_...\" keeps "
                             "what an answer said, and $name is to be named");
    }
    source->carrier.value = &compiled(cf, text);
    source->voucher = voucher_of(text);
    return check_believed(cf, text);
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
    if (key->from() == SessionKey::From::variable && is_capture("$" + name)) {
        return invalid_value(cf, view(args[1]),
                             "a capture without a name cannot be kept for the "
                             "gate: name it, (?<name>...), and write $name");
    }
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

}  // namespace entitle::ngx
