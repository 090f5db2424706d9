// Making, filling and merging this module's configuration. A directive is one
// row of the table in ngx_module/module.cc; what nginx's own slots cannot
// read has a setter here. Setters say file, line, value and what is allowed.
#pragma once

#include "ngx_module/edge.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

void* create_main_conf(ngx_conf_t* cf) noexcept;
char* init_main_conf(ngx_conf_t* cf, void* conf) noexcept;
void* create_server_conf(ngx_conf_t* cf) noexcept;
char* merge_server_conf(ngx_conf_t* cf, void* parent, void* child) noexcept;
void* create_location_conf(ngx_conf_t* cf) noexcept;
char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept;

using Setter = char*(ngx_conf_t* cf, ngx_command_t* command, void* conf);

// ngx_module/conf/webhook.cc
Setter set_webhook, add_webhook_secret_file, add_webhook_account,
    set_stripe_request, set_user_from, add_grant, set_provisional;

// ngx_module/conf/redis.cc
Setter set_redis, set_redis_read, set_redis_user, set_redis_password_file,
    set_sentinel_password_file, set_redis_prefix, set_redis_wait;
// Once all of them were read.
char* init_redis(ngx_conf_t* cf, MainConf* conf);

// ngx_module/conf/redis_ssl.cc; each notes where it stands.
Setter set_redis_ssl_flag, set_redis_ssl_text, set_redis_ssl_file;
// Decides whether TLS is spoken (RedisAddress::ssl of `conf`) and makes the
// SSL context for it.
char* init_redis_ssl(ngx_conf_t* cf, MainConf* conf);

// ngx_module/conf/gate.cc
Setter set_gate, set_dry_run, add_require, add_session_key_file,
    set_session_cookie, set_reauth, set_reauth_user, set_login_url,
    set_claim_email;
void merge_reauth(const LocationConf* prev, LocationConf* conf);
char* check_reauth(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/session.cc
Setter add_session_bind, set_session_scope, add_credentials, add_reauth_key;
void merge_session(ngx_conf_t* cf, const LocationConf* prev,
                   LocationConf* conf);

// ngx_module/conf/guest.cc
Setter set_guest_user;
// Before the gate is merged: a checkout that names who buys asks who that is.
void merge_guest(const LocationConf* prev, LocationConf* conf);
// Of a location that asks who is there.
char* check_guest(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/identity.cc
Setter set_jwt, add_jwt_key_file, set_jwt_key_request, add_jwt_issuer,
    add_jwt_audience, set_jwt_leeway, set_jwt_user_claim, set_jwt_version_claim,
    set_session_redis, set_trusted_user;
void merge_identity(ngx_conf_t* cf, const LocationConf* prev,
                    LocationConf* conf);
// Of a location that asks who is there. Logs what is missing or contradictory.
char* check_identity(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/jwt.cc
void merge_jwt(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf);
char* check_jwt(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/content.cc
Setter set_logout, set_redirect, set_status;
// Once all is merged, of a logout location.
char* check_logout(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/role.cc: one role a location.
// Of the directive being read; logs where another has given it one.
char* take_role(ngx_conf_t* cf, LocationConf* conf, Role role);
// Refuses whoever else answers there; sets the content handler.
char* merge_role(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf);
// Of a location that says itself that it is gated: its role may forbid that.
char* check_ungated(ngx_conf_t* cf, const LocationConf* conf);

// ngx_module/conf/wait.cc
Setter set_wait, set_wait_limit, set_poll;
void merge_wait(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf);

// ngx_module/conf/credits.cc
Setter add_credit, set_meter;
void merge_credits(const ServerConf* prev, ServerConf* conf);
// Before the gate is merged: naming an account implies one.
bool is_metered(const LocationConf* conf);
// Once the gate is.
char* merge_meter(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf);

// ngx_module/conf/cache.cc
Setter set_zone, set_session_memory;
void merge_cache(const LocationConf* prev, LocationConf* conf);
// Of each location that asks for records.
void note_gate(ngx_conf_t* cf, const LocationConf* conf);

// nginx's slots, with messages that say what is allowed. The alternatives of
// set_choice are the ngx_conf_enum_t table in the command's `post`.
Setter set_seconds, set_positive_seconds, set_positive_msec, set_choice;

// --- for the setters ---------------------------------------------------------

inline std::span<ngx_str_t>
arguments(ngx_conf_t* cf) {
    return {static_cast<ngx_str_t*>(cf->args->elts), cf->args->nelts};
}

inline Where
where(ngx_conf_t* cf) {
    return {cf->conf_file->file.name, cf->conf_file->line};
}

// The one word `off`: it cancels what is inherited.
inline bool
says_off(ngx_conf_t* cf) {
    const std::span<ngx_str_t> args = arguments(cf);
    return args.size() == 2 && view(args[1]) == "off";
}

// Of the directive being read, for when all is merged.
void note_said(ngx_conf_t* cf, const void* conf);

// What a `$` in the words of a directive is: a mistake, since it takes no
// variables; a variable's, but for what follows `cookie=` and `header=`; or
// what the setter looks at itself.
enum class Dollar { refused, of_variable, looked_at };
char* check_dollars(ngx_conf_t* cf, Dollar dollar);

template <Setter set, Dollar dollar>
char*
read_directive(ngx_conf_t* cf, ngx_command_t* command, void* conf) {
    if (char* refused = check_dollars(cf, dollar); refused != NGX_CONF_OK) {
        return refused;
    }
    note_said(cf, conf);
    return set(cf, command, conf);
}

// As ngx_command_t wants a setter.
template <Setter set, Dollar dollar = Dollar::refused>
constexpr auto reads = edge::setter<read_directive<set, dollar>>;
template <Setter set>
constexpr auto reads_variables = reads<set, Dollar::of_variable>;
template <Setter set>
constexpr auto reads_words = reads<set, Dollar::looked_at>;

// Of one word of such a directive; a warning where a `$` may be meant.
char* check_literal(ngx_conf_t* cf, std::string_view word);
void warn_literal(ngx_conf_t* cf, std::string_view word);

// An address without who may stand in it, and without the password somebody may
// have written there: messages are kept.
std::string without_user(std::string_view address);

inline constexpr char kPrefix[] = "entitle:";  // of every key in Redis

// Logs "invalid value "<value>" in "<directive>": <why>" with file and line.
char* invalid_value(ngx_conf_t* cf, std::string_view value,
                    std::string_view why);

// About something that is missing: it stands nowhere, so the directive that
// needs it is named. NGX_CONF_ERROR.
char* missing(ngx_conf_t* cf, const Where& at, const char* why);

// The same level's second use of a directive that takes one value.
inline char*
duplicate() {
    return const_cast<char*>("is duplicate");
}

// The content of a file named relative to the configuration; null: logged.
std::optional<std::string> read_conf_file(ngx_conf_t* cf,
                                          const ngx_str_t& name);

// Throws where it is not valid as a complex value (logged), or out of memory.
ngx_http_complex_value_t& compiled(ngx_conf_t* cf, std::string_view text);

// The variables of a text as nginx reads them: $name, ${name}, $1.
std::vector<std::string_view> variables_in(std::string_view text);
bool is_one_variable(std::string_view text);
// $1 to $9, or what is meant for one: ${1}.
bool is_capture(std::string_view variable);
// Once all is merged, since a variable may be made after it was named.
ngx_int_t check_variables(ngx_conf_t* cf) noexcept;
// Of one of those: without $ and braces.
std::string_view variable_name(std::string_view variable);

// Where a browser may be sent, variables included.
bool is_url(std::string_view text);
inline constexpr std::string_view kUrlAllowed =
    "it must begin with /, https://, http:// or a variable";

// cookie=NAME or one $variable; null: neither.
std::optional<Carrier> parse_carrier(ngx_conf_t* cf, std::string_view text);

// The list of this level, made at its first use.
template <class T>
T&
own(ngx_conf_t* cf, T*& list) {
    if (list == nullptr) {
        list = pool_new<T>(cf->pool);
        if (list == nullptr) {
            throw std::bad_alloc();
        }
    }
    return *list;
}

// A list that was cancelled is one of this level with nothing in it, until what
// is above would have been inherited: then it is none.
template <class T>
bool
is_cancelled(const T* list) {
    return list != nullptr && list->empty();
}

template <class T>
char*
cancel(ngx_conf_t* cf, T*& list) {
    if (list != nullptr) {
        return const_cast<char*>("says \"off\" beside another of its kind");
    }
    own(cf, list);
    return NGX_CONF_OK;
}

// Before something is added; `off` stands alone.
template <class T>
char*
check_not_cancelled(const T* list) {
    return is_cancelled(list) ? const_cast<char*>("stands beside its \"off\"")
                              : NGX_CONF_OK;
}

template <class T>
void
inherit_list(T*& list, T* above) {
    if (list == nullptr) {
        list = above;
    }
    if (is_cancelled(list)) {
        list = nullptr;
    }
}

}  // namespace entitle::ngx
