// Directives about the app's JWT: by which keys and rules it is believed.

#include "ngx_module/conf/conf.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

constexpr char kUserClaim[] = "sub";

using Words = std::vector<std::string>;

// `what` says what an empty one is not.
char*
add_words(ngx_conf_t* cf, std::optional<Words>& words, const char* what) {
    if (says_off(cf)) {
        if (words) {
            return const_cast<char*>("says \"off\" beside another of its kind");
        }
        words.emplace();
        return NGX_CONF_OK;
    }
    if (words && words->empty()) {
        return const_cast<char*>("stands beside its \"off\"");
    }
    if (!words) {
        words.emplace();
    }
    for (const ngx_str_t& text : arguments(cf).subspan(1)) {
        if (text.len == 0) {
            return invalid_value(cf, {}, what);
        }
        words->emplace_back(view(text));
    }
    return NGX_CONF_OK;
}

// Where keys come from, at one level: some, or off.
char*
cancel_keys(JwtSettings& jwt) {
    if (jwt.keys != nullptr || jwt.key_request.len != 0 || jwt.no_keys) {
        return const_cast<char*>("says \"off\" beside another source of keys");
    }
    jwt.no_keys = true;
    return NGX_CONF_OK;
}

char*
check_keys_wanted(const JwtSettings& jwt) {
    return jwt.no_keys ? const_cast<char*>(
                             "stands beside the \"off\" of a source of keys")
                       : NGX_CONF_OK;
}

std::string
words_of(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += (text.empty() ? "" : "; ") + line;
    }
    return text;
}

template <class T>
void
inherit(T& child, const T& parent, bool unset) {
    if (unset) {
        child = parent;
    }
}

void
inherit_settings(const JwtSettings& prev, JwtSettings& conf) {
    // One list of sources: a level that names any replaces the outer ones.
    if (conf.keys == nullptr && conf.key_request.len == 0 && !conf.no_keys) {
        conf.keys = prev.keys;
        conf.key_request = prev.key_request;
    }
    inherit(conf.issuers, prev.issuers, !conf.issuers);
    inherit(conf.audiences, prev.audiences, !conf.audiences);
    inherit(conf.leeway, prev.leeway, !conf.leeway);
    inherit(conf.user_claim, prev.user_claim, !conf.user_claim);
    inherit(conf.version_claim, prev.version_claim, !conf.version_claim);

    conf.rules = JwtRules{
        conf.issuers.value_or(Words{}), conf.audiences.value_or(Words{}),
        conf.leeway.value_or(Seconds{}), conf.user_claim.value_or(kUserClaim),
        conf.version_claim.value_or("")};
}

// `off`: as where nothing was said.
char*
set_claim(ngx_conf_t* cf, std::optional<std::string>& claim,
          std::string_view off) {
    std::string_view text = view(arguments(cf)[1]);
    if (claim) {
        return duplicate();
    }
    if (says_off(cf)) {
        claim = off;
        return NGX_CONF_OK;
    }
    if (text.empty()) {
        return invalid_value(cf, text, "it must be the name of a claim");
    }
    claim = text;
    return NGX_CONF_OK;
}

}  // namespace

// --- setters ----------------------------------------------------------------

char*
add_jwt_key_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    JwtSettings& jwt = own(cf, static_cast<LocationConf*>(data)->jwt);
    const ngx_str_t& file = arguments(cf)[1];
    if (says_off(cf)) {
        return cancel_keys(jwt);
    }
    if (char* refused = check_keys_wanted(jwt); refused != NGX_CONF_OK) {
        return refused;
    }
    std::optional<std::string> content = read_conf_file(cf, file);
    if (!content) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    JwtKeyReading reading = read_jwt_keys(*content);
    if (!reading.refused.empty()) {
        return invalid_value(cf, view(file), words_of(reading.refused));
    }
    for (const std::string& line : reading.skipped) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"%V\": %s", &file,
                           line.c_str());
    }
    std::string why;
    if (!own(cf, jwt.keys).merge(std::move(reading.keys), why)) {
        return invalid_value(cf, view(file), why);
    }
    return NGX_CONF_OK;
}

char*
set_jwt_key_request(ngx_conf_t* cf, ngx_command_t*, void* data) {
    JwtSettings& jwt = own(cf, static_cast<LocationConf*>(data)->jwt);
    const ngx_str_t& uri = arguments(cf)[1];
    if (says_off(cf)) {
        return cancel_keys(jwt);
    }
    if (char* refused = check_keys_wanted(jwt); refused != NGX_CONF_OK) {
        return refused;
    }
    if (jwt.key_request.len != 0) {
        return duplicate();
    }
    if (!view(uri).starts_with('/')) {
        return invalid_value(cf, view(uri),
                             "it must be a URI of this server that begins with "
                             "\"/\", or off");
    }
    jwt.key_request = uri;
    return NGX_CONF_OK;
}

char*
add_jwt_issuer(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return add_words(cf, own(cf, static_cast<LocationConf*>(data)->jwt).issuers,
                     "an issuer is not empty");
}

char*
add_jwt_audience(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return add_words(cf,
                     own(cf, static_cast<LocationConf*>(data)->jwt).audiences,
                     "an audience is not empty");
}

char*
set_jwt_leeway(ngx_conf_t* cf, ngx_command_t*, void* data) {
    JwtSettings& jwt = own(cf, static_cast<LocationConf*>(data)->jwt);
    ngx_str_t& text = arguments(cf)[1];
    if (jwt.leeway) {
        return duplicate();
    }
    constexpr ngx_int_t kMost = 3600;
    const ngx_int_t seconds = says_off(cf) ? 0 : ngx_parse_time(&text, 1);
    if (seconds == NGX_ERROR || seconds > kMost) {
        return invalid_value(
            cf, view(text),
            "it must be a time, like 30s, of at most 1h, or off");
    }
    jwt.leeway = Seconds{seconds};
    return NGX_CONF_OK;
}

char*
set_jwt_user_claim(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return set_claim(cf,
                     own(cf, static_cast<LocationConf*>(data)->jwt).user_claim,
                     kUserClaim);
}

char*
set_jwt_version_claim(ngx_conf_t* cf, ngx_command_t*, void* data) {
    return set_claim(
        cf, own(cf, static_cast<LocationConf*>(data)->jwt).version_claim, "");
}

// --- merging ----------------------------------------------------------------

void
merge_jwt(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    const JwtSettings* outer = prev->jwt;
    if (conf->jwt == nullptr && outer != nullptr && !outer->rules) {
        own(cf, conf->jwt);  // `outer` is http's, which nginx never merges
    }
    if (conf->jwt == nullptr) {
        conf->jwt = prev->jwt;
    } else {
        inherit_settings(outer == nullptr ? JwtSettings{} : *outer, *conf->jwt);
    }
}

char*
check_jwt(ngx_conf_t* cf, const LocationConf* conf) {
    const JwtSettings* jwt = conf->jwt;
    if (jwt == nullptr || (jwt->keys == nullptr && jwt->key_request.len == 0)) {
        return missing(cf, conf->identity->where,
                       "\"entitle_jwt\" needs \"entitle_jwt_key_file\" or "
                       "\"entitle_jwt_key_request\": nothing is believed "
                       "without a signature,");
    }
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
