// Credits: what is put on an account, and what a request takes of it.

#include <algorithm>

#include "core/base/decimal.h"
#include "ngx_module/conf/believed.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

constexpr std::string_view kNameAllowed =
    "the name of an account must be 1 to 64 letters, digits and . _ -, and not "
    "\"off\"";

char*
check_account(ngx_conf_t* cf, std::string_view name) {
    if (char* refused = check_literal(cf, name); refused != NGX_CONF_OK) {
        return refused;
    }
    return is_credit_name(name) && name != "off"
               ? NGX_CONF_OK
               : invalid_value(cf, name, kNameAllowed);
}

// What follows `key` in a word; null: it is another word.
std::optional<std::string_view>
value_of(std::string_view word, std::string_view key) {
    if (!word.starts_with(key)) {
        return std::nullopt;
    }
    return word.substr(key.size());
}

char*
read_cost(ngx_conf_t* cf, std::string_view text, MeterSettings& meter) {
    if (meter.cost != nullptr) {
        return const_cast<char*>("says \"cost=\" twice");
    }
    if (!is_one_variable(text)) {
        return invalid_value(cf, text, "the cost must be one $variable");
    }
    if (is_capture(text)) {
        return invalid_value(cf, text,
                             "the client writes what a regular expression "
                             "finds: it cannot be trusted");
    }
    if (char* refused = check_believed(cf, text); refused != NGX_CONF_OK) {
        return refused;
    }
    meter.cost = &compiled(cf, text);
    return NGX_CONF_OK;
}

char*
read_refund(ngx_conf_t* cf, std::string_view text, MeterSettings& meter) {
    if (!meter.refund.empty()) {
        return const_cast<char*>("says \"refund=\" twice");
    }
    const std::string_view all = text;
    while (true) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const auto code =
            parse_canonical_decimal<ngx_uint_t>(text.substr(0, comma));
        if (!code || *code < 200 || *code > 599) {
            return invalid_value(cf, all,
                                 "it must be statuses from 200 to 599, like "
                                 "refund=500,502,503,504");
        }
        meter.refund.push_back(*code);
        if (comma == text.size()) {
            return NGX_CONF_OK;
        }
        text.remove_prefix(comma + 1);
    }
}

char*
read_block(ngx_conf_t* cf, std::string_view text, MeterSettings& meter) {
    constexpr std::int64_t most = 1000000;
    const auto block = parse_decimal<std::int64_t>(text, most);
    if (meter.block != 1) {
        return const_cast<char*>("says \"block=\" twice");
    }
    if (text.empty() || !block || *block == 0) {
        return invalid_value(cf, text,
                             "the block must be a number from 1 to 1000000");
    }
    meter.block = *block;
    return NGX_CONF_OK;
}

char*
read_word(ngx_conf_t* cf, std::string_view word, MeterSettings& meter) {
    if (const auto cost = value_of(word, "cost=")) {
        return read_cost(cf, *cost, meter);
    }
    if (const auto block = value_of(word, "block=")) {
        return read_block(cf, *block, meter);
    }
    if (const auto refund = value_of(word, "refund=")) {
        return read_refund(cf, *refund, meter);
    }
    return invalid_value(cf, word,
                         "after the name, it must be cost=$variable, block=N "
                         "or refund=STATUS,...");
}

}  // namespace

char*
add_credit(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<ServerConf*>(data);
    std::span<ngx_str_t> args = arguments(cf);
    if (says_off(cf)) {
        return cancel(cf, conf->credits);
    }
    if (char* refused = check_not_cancelled(conf->credits);
        refused != NGX_CONF_OK) {
        return refused;
    }
    const std::string_view name = view(args[1]);
    if (char* refused = check_account(cf, name); refused != NGX_CONF_OK) {
        return refused;
    }
    const std::string_view last = view(args.back());
    const bool per_period = last == "per=period";
    if (last.starts_with("per=") && !per_period) {
        return invalid_value(cf, last, "it must be per=period");
    }
    args = args.subspan(2);
    if (per_period) {
        args = args.first(args.size() - 1);
    }
    if (args.empty()) {
        return const_cast<char*>(
            "has an invalid number of arguments: it needs IDENTIFIER=NUMBER "
            "after the name, or off alone");
    }
    for (const ngx_str_t& argument : args) {
        warn_literal(cf, view(argument));
        const auto line = parse_credit(view(argument));
        if (!line) {
            return invalid_value(
                cf, view(argument),
                "it must be an identifier as in entitle_grant and a number "
                "from 1 to 1000000000000, like price_...=1000");
        }
        if (!own(cf, conf->credits)
                 .add(name, line->first, line->second, per_period)) {
            return invalid_value(cf, view(argument),
                                 "this account has a number for it already");
        }
    }
    return NGX_CONF_OK;
}

char*
set_meter(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->meter != nullptr) {
        return duplicate();
    }
    MeterSettings& meter = own(cf, conf->meter);
    meter.where = where(cf);
    if (says_off(cf)) {
        meter.off = true;
        return NGX_CONF_OK;
    }
    const std::span<ngx_str_t> args = arguments(cf);
    meter.name = view(args[1]);
    if (char* refused = check_account(cf, view(args[1]));
        refused != NGX_CONF_OK) {
        return refused;
    }
    for (const ngx_str_t& argument : args.subspan(2)) {
        if (char* refused = read_word(cf, view(argument), meter);
            refused != NGX_CONF_OK) {
            return refused;
        }
    }
    if (conf->gate_where.line == 0) {
        conf->gate_where = where(cf);
    }
    return NGX_CONF_OK;
}

void
merge_credits(const ServerConf* prev, ServerConf* conf) {
    inherit_list(conf->credits, prev->credits);
    if (conf->credits == nullptr) {
        return;
    }
    // It opens something: whoever bought it is not told that it does not.
    for (const Identifier& identifier : conf->credits->identifiers()) {
        conf->grants->also_knows(identifier);
    }
}

bool
is_metered(const LocationConf* conf) {
    return conf->meter != nullptr && !conf->meter->off;
}

char*
merge_meter(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    if (conf->meter == nullptr) {
        conf->meter = prev->meter;
    }
    if (!is_metered(conf)) {
        conf->meter = nullptr;
        return NGX_CONF_OK;
    }
    if (!conf->gated() || conf->role == Role::poll) {
        return NGX_CONF_OK;  // nobody is asked, or nothing is served
    }
    const Where& at = conf->meter->where;
    if (conf->gate != static_cast<ngx_uint_t>(GateMode::on)) {
        return missing(cf, at,
                       "\"entitle_meter\" has to know whose credits it takes: "
                       "say \"entitle on\", not \"optional\", or "
                       "\"entitle_meter off\", required by the directive");
    }
    const auto* server = static_cast<const ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    const CreditLines* lines = server->credits == nullptr
                                   ? nullptr
                                   : server->credits->find(conf->meter->name);
    if (lines == nullptr) {
        const std::string why =
            "no \"entitle_credit " + conf->meter->name +
            "\" in this server or above says what is put on this account, "
            "required by \"entitle_meter\"";
        return missing(cf, at, why.c_str());
    }
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
