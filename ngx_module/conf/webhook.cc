// Directives about Stripe: the webhook location, whose an event is, what a
// purchase gives.

#include <algorithm>

#include "core/base/ascii.h"
#include "core/crypto/secret_file.h"
#include "core/source/identifier.h"
#include "core/source/stripe_id.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

constexpr std::string_view kUserFromAllowed =
    "it must be client_reference_id, client_reference_id=signed, "
    "metadata.KEY, link or email";

// It goes to the location, and further, as it stands here.
bool
begins_uri(std::string_view text) {
    constexpr std::string_view signs = "/-_~.";
    const bool plain = std::all_of(text.begin(), text.end(), [&](char c) {
        return is_alphanumeric(c) || signs.find(c) != signs.npos;
    });
    const std::string closed = std::string(text) + "/";
    return plain && text.size() > 1 && text.starts_with('/') &&
           text.find("//") == text.npos && closed.find("/./") == closed.npos &&
           closed.find("/../") == closed.npos;
}

}  // namespace

char*
set_webhook(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (char* refused = take_role(cf, conf, Role::webhook);
        refused != NGX_CONF_OK) {
        return refused;
    }
    std::string_view mode = view(arguments(cf)[1]);
    if (mode != "live" && mode != "test") {
        return invalid_value(cf, mode, "it must be live or test");
    }
    conf->webhook = mode == "live" ? 2 : 1;
    return NGX_CONF_OK;
}

char*
add_webhook_secret_file(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (says_off(cf)) {
        return cancel(cf, conf->webhook_secrets);
    }
    if (char* refused = check_not_cancelled(conf->webhook_secrets);
        refused != NGX_CONF_OK) {
        return refused;
    }
    const ngx_str_t& file = arguments(cf)[1];
    std::optional<std::string> content = read_conf_file(cf, file);
    if (!content) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    std::string error;
    std::optional<std::vector<std::string>> secrets =
        parse_webhook_secrets(*content, error);
    if (!secrets) {
        return invalid_value(cf, view(file), error);
    }
    std::vector<HmacSha256>& keyed = own(cf, conf->webhook_secrets);
    for (const std::string& secret : *secrets) {
        keyed.emplace_back(secret);
    }
    return NGX_CONF_OK;
}

char*
add_webhook_account(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (says_off(cf)) {
        return cancel(cf, conf->webhook_accounts);
    }
    if (char* refused = check_not_cancelled(conf->webhook_accounts);
        refused != NGX_CONF_OK) {
        return refused;
    }
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        std::optional<AccountId> account = AccountId::parse(view(argument));
        if (!account) {
            return invalid_value(cf, view(argument),
                                 "it must be a Connect account's id, acct_...");
        }
        own(cf, conf->webhook_accounts).push_back(*std::move(account));
    }
    return NGX_CONF_OK;
}

char*
set_stripe_request(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->stripe_request.data != nullptr) {
        return duplicate();
    }
    ngx_str_t& uri = arguments(cf)[1];
    if (says_off(cf)) {
        ngx_str_set(&conf->stripe_request, "");
        return NGX_CONF_OK;
    }
    std::string_view text = view(uri);
    if (!begins_uri(text)) {
        return invalid_value(cf, text,
                             "it must be the beginning of a URI of this "
                             "server, like /stripe/, in plain letters, digits "
                             "and - _ ~ . without variables and query, or off");
    }
    if (text.ends_with('/')) {  // Stripe's paths begin with one
        uri.len--;
    }
    conf->stripe_request = uri;
    conf->stripe_request_where = where(cf);
    return NGX_CONF_OK;
}

char*
set_user_from(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    if (conf->user_from != nullptr) {
        return duplicate();
    }
    conf->user_from_where = where(cf);
    std::vector<UserFrom>& list = own(cf, conf->user_from);
    if (says_off(cf)) {
        list = default_user_from();  // as where nothing was said
        return NGX_CONF_OK;
    }
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        std::optional<UserFrom> from = parse_user_from(view(argument));
        if (!from) {
            return invalid_value(cf, view(argument), kUserFromAllowed);
        }
        list.push_back(std::move(*from));
    }
    return NGX_CONF_OK;
}

char*
add_grant(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (args.size() == 2) {
        if (!says_off(cf)) {
            return const_cast<char*>(
                "has an invalid number of arguments: it needs identifiers "
                "after the name, or off alone");
        }
        if (conf->grants != nullptr) {
            return const_cast<char*>("says \"off\" beside another of its kind");
        }
        own(cf, conf->grants);
        return NGX_CONF_OK;
    }
    std::string_view entitlement = view(args[1]);
    if (!is_entitlement_name(entitlement)) {
        return invalid_value(cf, entitlement,
                             "the name of an entitlement must not be empty or "
                             "have commas or control bytes");
    }
    if (char* refused = check_literal(cf, entitlement);
        refused != NGX_CONF_OK) {
        return refused;
    }
    for (const ngx_str_t& argument : args.subspan(2)) {
        warn_literal(cf, view(argument));  // what is free text may have one
        std::optional<Identifier> identifier =
            Identifier::parse(view(argument));
        if (!identifier) {
            return invalid_value(
                cf, view(argument),
                "it must be price_..., plan_..., prod_..., plink_..., "
                "price=..., lookup_key=..., feature=..., metadata=... or "
                "metadata.KEY=..., of a Connect account with acct_.../ before "
                "it");
        }
        if (identifier->parts().type == Identifier::Type::tag &&
            identifier->parts().value.starts_with("entitlements=")) {
            return invalid_value(cf, view(argument),
                                 "metadata.entitlements is a list of names: "
                                 "one of them is metadata=NAME");
        }
        own(cf, conf->grants).add(entitlement, std::move(*identifier));
    }
    return NGX_CONF_OK;
}

char*
set_provisional(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    if (view(arguments(cf)[1]) != "off") {
        return set_seconds(cf, command, data);
    }
    if (conf->provisional != NGX_CONF_UNSET) {
        return duplicate();
    }
    conf->provisional = 0;
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
