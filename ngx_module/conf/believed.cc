#include "ngx_module/conf/believed.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/conf/locations.h"

namespace entitle::ngx {
namespace {

// nginx's variables by who fills them, gone through table by table up to 1.31.
// What map, set, geo, perl and the like copy from one of these cannot be seen
// here, nor can a capture with a name.

// Whatever follows the prefix.
constexpr std::string_view kPrefixesOfClient[] = {
    "arg_",    "cookie_", "http_",
    "request",  // line, method, URI, body, length, and names made of them
    "ssl_",     // what the client offers; ssl_client_ is another matter
};

constexpr std::string_view kNamesOfClient[] = {
    // of the request line and header
    "ancient_browser",
    "args",
    "content_length",
    "content_type",
    "document_root",  // `root` may be made of any of these
    "document_uri",
    "fastcgi_path_info",
    "fastcgi_script_name",
    "host",
    "invalid_referer",
    "is_args",
    "is_request_port",
    "modern_browser",
    "msie",
    "proxy_add_via",
    "proxy_add_x_forwarded_for",
    "proxy_host",
    "proxy_port",
    "query_string",
    "realpath_root",
    "secure_link",
    "secure_link_expires",
    "slice_range",
    "uid_got",
    "uid_set",
    "uri",
    // of the connection
    "connection_requests",
    "http2",
    "http3",
    "https",
    "proxy_protocol_port",
    "realip_remote_port",
    "remote_port",
    "scheme",
    "server_protocol",
    // ours, of the URI or of the very question
    "entitle_return_url",
    "entitle_user",
};

bool
is_of_client(std::string_view name) {
    const bool capture = name.size() == 1 && is_digit(name.front());
    return capture ||
           std::any_of(std::begin(kPrefixesOfClient),
                       std::end(kPrefixesOfClient),
                       [&](std::string_view prefix) {
                           return name.starts_with(prefix);
                       }) ||
           std::find(std::begin(kNamesOfClient), std::end(kNamesOfClient),
                     name) != std::end(kNamesOfClient);
}

// --- what others verify
// -------------------------------------------------------

// The beginning of what ngx_http_auth_basic_module.c keeps for a location, the
// same since 1.21.0. (It has no header.)
struct AuthBasicConf {
    ngx_http_complex_value_t* realm;
    ngx_http_complex_value_t* user_file;
};

// $remote_user is whatever the client says wherever nobody checks it. A realm
// with variables may turn out to be "off".
bool
password_is_verified(ngx_conf_t* cf, void** location) {
    const ngx_module_t* module = module_named(cf, "ngx_http_auth_basic_module");
    if (module == nullptr) {
        return false;
    }
    const auto* conf =
        static_cast<const AuthBasicConf*>(location[module->ctx_index]);
    return conf->realm != nullptr && conf->user_file != nullptr &&
           conf->realm->lengths == nullptr && view(conf->realm->value) != "off";
}

// Null: it is verified.
const char*
what_is_missing(ngx_conf_t* cf, const Belief& belief) {
    switch (belief.voucher) {
        case Voucher::password:
            return password_is_verified(cf, belief.location)
                       ? nullptr
                       : "$remote_user needs a literal \"auth_basic\" and "
                         "\"auth_basic_user_file\" at every location it is "
                         "used for";
        case Voucher::certificate:
            return certificate_is_verified(cf, belief.server)
                       ? nullptr
                       : "$ssl_client_... needs \"ssl_verify_client on\" or "
                         "\"optional\" in every server it is used for";
        case Voucher::client:
        case Voucher::site:
            break;
    }
    return nullptr;
}

}  // namespace

bool
certificate_is_verified([[maybe_unused]] ngx_conf_t* cf,
                        [[maybe_unused]] void** server) {
#if (NGX_HTTP_SSL)
    constexpr ngx_uint_t on = 1, optional = 2;
    const ngx_module_t* module = module_named(cf, "ngx_http_ssl_module");
    if (module == nullptr) {
        return false;
    }
    const auto* conf =
        static_cast<const ngx_http_ssl_srv_conf_t*>(server[module->ctx_index]);
    return conf->verify == on || conf->verify == optional;
#else
    return false;
#endif
}

Voucher
voucher_of(std::string_view variable) {
    // nginx takes them in any case.
    const std::string name = lower_case(variable_name(variable));
    if (name.starts_with("ssl_client_")) {
        return Voucher::certificate;
    }
    if (name == "remote_user") {
        return Voucher::password;
    }
    return is_of_client(name) ? Voucher::client : Voucher::site;
}

char*
check_believed(ngx_conf_t* cf, std::string_view variable) {
    return voucher_of(variable) == Voucher::client
               ? invalid_value(cf, variable,
                               "a variable that the client fills as it likes "
                               "cannot be trusted")
               : NGX_CONF_OK;
}

void
note_belief(ngx_conf_t* cf, Voucher voucher, const char* directive,
            const Where& where) {
    if (voucher == Voucher::site) {
        return;
    }
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    const auto* ctx = static_cast<const ngx_http_conf_ctx_t*>(cf->ctx);
    own(cf, main->beliefs)
        .push_back(
            {voucher, str(directive), where, ctx->srv_conf, ctx->loc_conf});
}

ngx_int_t
check_beliefs(ngx_conf_t* cf, const MainConf* conf) {
    if (conf->beliefs == nullptr) {
        return NGX_OK;
    }
    for (const Belief& belief : *conf->beliefs) {
        if (const char* what = what_is_missing(cf, belief)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%V\": %s: elsewhere the client says what it "
                          "likes, trusted in %V:%ui",
                          &belief.directive, what, &belief.where.file,
                          belief.where.line);
            return NGX_ERROR;
        }
    }
    return NGX_OK;
}

}  // namespace entitle::ngx
