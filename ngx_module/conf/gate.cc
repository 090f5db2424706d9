// Directives about the gate: who is let in, how they are recognised, what they
// are told.

#include "core/base/ascii.h"
#include "core/crypto/secret_file.h"
#include "core/json/pointer.h"
#include "core/source/identifier.h"
#include "ngx_module/conf/believed.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

// As soon as the second of them is read: what stands in http{} itself is merged
// into nothing.
char*
check_require(const LocationConf* conf) {
    return conf->require != nullptr && !is_cancelled(conf->require) &&
                   conf->gate == static_cast<ngx_uint_t>(GateMode::off)
               ? const_cast<char*>(
                     "contradicts the other: \"entitle off\" "
                     "beside \"entitle_require\"")
               : NGX_CONF_OK;
}

// `header=Name` or `json=/pointer`: where in the app's answer something is.
// False: neither; `error` may say more.
bool
parse_in_answer(std::string_view text, bool& is_json, ngx_str_t& name,
                std::string& error) {
    constexpr std::string_view header = "header=";
    constexpr std::string_view json = "json=";
    is_json = text.starts_with(json);
    if (text.starts_with(header)) {
        name = str(text.substr(header.size()));
        return is_token(view(name));
    }
    if (!is_json) {
        return false;
    }
    name = str(text.substr(json.size()));
    return name.len != 0 && JsonPointer::parse(view(name), error).has_value();
}

// Where in the app's answer the user is. False: it is none of the forms.
bool
parse_reauth_user(ngx_conf_t* cf, std::string_view text, ReauthUser& user,
                  std::string& error) {
    error = "it must be header=Name, json=/pointer, $variable or off";
    if (text.starts_with("header=") || text.starts_with("json=")) {
        bool is_json;
        const bool valid = parse_in_answer(text, is_json, user.name, error);
        user.kind = is_json ? ReauthUser::Kind::json : ReauthUser::Kind::header;
        return valid;
    }
    if (!is_one_variable(text)) {
        return false;
    }
    user.kind = ReauthUser::Kind::variable;
    user.voucher = voucher_of(text);
    user.name = str(variable_name(text));
    user.variable_index = ngx_http_get_variable_index(cf, &user.name);
    return user.variable_index != NGX_ERROR;
}

void
inherit_reauth(const LocationConf* prev, LocationConf* conf) {
    if (conf->reauth.data == nullptr) {
        conf->reauth = prev->reauth;
        conf->reauth_where = prev->reauth_where;
    }
    if (conf->reauth_user == nullptr) {
        conf->reauth_user = prev->reauth_user;
    }
    if (conf->reauth_user != nullptr && conf->reauth_user->off) {
        conf->reauth_user = nullptr;
    }
}

void
inherit_login_url(const LocationConf* prev, LocationConf* conf) {
    if (conf->login_url == nullptr) {
        conf->login_url = prev->login_url;
        conf->login_url_where = prev->login_url_where;
    }
    const ngx_http_complex_value_t* url = conf->login_url;
    if (url != nullptr && url->lengths == nullptr && url->value.len == 0) {
        conf->login_url = nullptr;  // off
    }
}

}  // namespace

char*
set_gate(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    conf->gate_where = where(cf);
    char* result = set_choice(cf, command, data);
    return result == NGX_CONF_OK ? check_require(conf) : result;
}

char*
set_dry_run(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    static_cast<LocationConf*>(data)->dry_run_where = where(cf);
    return set_choice(cf, command, data);
}

char*
add_require(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (says_off(cf)) {
        return cancel(cf, conf->require);
    }
    if (char* refused = check_not_cancelled(conf->require);
        refused != NGX_CONF_OK) {
        return refused;
    }
    if (conf->gate_where.line == 0) {
        conf->gate_where = where(cf);
    }
    RequireLine line;
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        std::string_view text = view(argument);
        if (!is_entitlement_name(text)) {
            return invalid_value(cf, text,
                                 "a name that is empty or has commas or "
                                 "control bytes could never be held");
        }
        RequireName name{&compiled(cf, text), {}};
        for (std::string_view variable : variables_in(text)) {
            if (is_capture(variable)) {
                return invalid_value(
                    cf, text,
                    "a regular expression that is tried later, of a map for "
                    "one, makes another of it: name the capture, "
                    "(?<name>...), and require $name");
            }
            name.variables.push_back(&compiled(cf, variable));
        }
        line.push_back(std::move(name));
    }
    own(cf, conf->require).push_back(std::move(line));
    return check_require(conf);
}

char*
add_session_key_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    if (conf->raw_session_keys != nullptr) {
        return duplicate();
    }
    if (says_off(cf)) {
        return cancel(cf, conf->raw_session_keys);
    }
    const ngx_str_t& file = arguments(cf)[1];
    std::optional<std::string> content = read_conf_file(cf, file);
    if (!content) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    std::string error;
    std::optional<std::vector<std::string>> keys =
        parse_session_keys(*content, error);
    if (!keys) {
        return invalid_value(cf, view(file), error);
    }
    own(cf, conf->raw_session_keys) = std::move(*keys);
    return NGX_CONF_OK;
}

char*
set_session_cookie(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    if (conf->cookie != nullptr) {
        return duplicate();
    }
    if (says_off(cf)) {
        own(cf, conf->cookie);  // as where nothing was said
        return NGX_CONF_OK;
    }
    std::vector<std::string_view> words;
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        words.push_back(view(argument));
    }
    std::string error;
    std::optional<CookieOptions> options = parse_cookie_options(words, error);
    if (!options) {
        return invalid_value(cf, words.front(), error);
    }
    own(cf, conf->cookie) = std::move(*options);
    return NGX_CONF_OK;
}

char*
set_reauth(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    std::string_view uri = view(arguments(cf)[1]);
    if (says_off(cf)) {
        if (conf->reauth.data != nullptr) {
            return duplicate();
        }
        ngx_str_set(&conf->reauth, "");
        return NGX_CONF_OK;
    }
    if (!uri.starts_with('/')) {
        return invalid_value(cf, uri,
                             "it must be a URI of this server that begins with "
                             "\"/\", or off");
    }
    conf->reauth_where = where(cf);
    return ngx_conf_set_str_slot(cf, command, data);
}

char*
set_reauth_user(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->reauth_user != nullptr) {
        return duplicate();
    }
    std::span<ngx_str_t> args = arguments(cf);
    ReauthUser& user = own(cf, conf->reauth_user);
    user.where = where(cf);
    user.voucher = Voucher::site;
    if (says_off(cf)) {
        user.off = true;
        return NGX_CONF_OK;
    }
    std::string error;
    if (!parse_reauth_user(cf, view(args[1]), user, error)) {
        return invalid_value(cf, view(args[1]), error);
    }
    if (user.voucher == Voucher::password) {
        return invalid_value(cf, view(args[1]),
                             "who was let in by a password is known without "
                             "asking the app: \"entitle_trusted_user "
                             "$remote_user\"");
    }
    if (user.kind == ReauthUser::Kind::variable) {
        if (char* refused = check_believed(cf, view(args[1]));
            refused != NGX_CONF_OK) {
            return refused;
        }
    }
    if (args.size() == 3) {
        if (view(args[2]) != "optional") {
            return invalid_value(cf, view(args[2]),
                                 "the only other word is optional");
        }
        user.optional = true;
    }
    return NGX_CONF_OK;
}

char*
set_claim_email(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->claim_email != nullptr) {
        return duplicate();
    }
    const std::string_view text = view(arguments(cf)[1]);
    ClaimEmail& email = own(cf, conf->claim_email);
    std::string error = "it must be header=Name, json=/pointer or off";
    if (text != "off" &&
        !parse_in_answer(text, email.json, email.name, error)) {
        return invalid_value(cf, text, error);
    }
    return NGX_CONF_OK;
}

char*
set_login_url(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->login_url != nullptr) {
        return duplicate();
    }
    std::string_view url = view(arguments(cf)[1]);
    conf->login_url_where = where(cf);
    if (says_off(cf)) {
        conf->login_url = &compiled(cf, {});
        return NGX_CONF_OK;
    }
    if (!is_url(url)) {
        return invalid_value(cf, url, kUrlAllowed);
    }
    conf->login_url = &compiled(cf, url);
    return NGX_CONF_OK;
}

// --- merging -----------------------------------------------------------------

void
merge_reauth(const LocationConf* prev, LocationConf* conf) {
    inherit_reauth(prev, conf);
    inherit_login_url(prev, conf);
    if (conf->claim_email == nullptr) {
        conf->claim_email = prev->claim_email;
    }
}

char*
check_reauth(ngx_conf_t* cf, const LocationConf* conf) {
    if (conf->reauth.len == 0) {
        return NGX_CONF_OK;
    }
    if (conf->reauth_user != nullptr) {
        note_belief(cf, conf->reauth_user->voucher, "entitle_reauth_user",
                    conf->reauth_user->where);
        return NGX_CONF_OK;
    }
    return missing(cf, conf->reauth_where,
                   "\"entitle_reauth\" needs \"entitle_reauth_user\": where "
                   "in the answer the user's id is");
}

}  // namespace entitle::ngx
