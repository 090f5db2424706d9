// Directives about waiting for the webhook.

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

// 0: none above zero.
ngx_msec_t
positive_time(ngx_str_t& text) {
    const ngx_int_t time = ngx_parse_time(&text, 0);
    return time == NGX_ERROR ? 0 : static_cast<ngx_msec_t>(time);
}

ngx_http_core_loc_conf_t*
core_conf(ngx_conf_t* cf) {
    return static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
}

}  // namespace

char*
set_wait(ngx_conf_t* cf, ngx_command_t*, void* data) {
    constexpr std::string_view only_if = "if=";
    Wait& wait = static_cast<LocationConf*>(data)->wait;
    std::span<ngx_str_t> args = arguments(cf);
    if (wait.time != NGX_CONF_UNSET_MSEC) {
        return duplicate();
    }
    wait.where = where(cf);
    wait.time = positive_time(args[1]);
    if (view(args[1]) != "off" && wait.time == 0) {
        return invalid_value(cf, view(args[1]),
                             "it must be a time greater than 0, like 10s, or "
                             "off");
    }
    if (args.size() == 2) {
        return NGX_CONF_OK;
    }
    const std::string_view condition = view(args[2]);
    if (wait.time == 0 || !condition.starts_with(only_if) ||
        !is_one_variable(condition.substr(only_if.size()))) {
        return invalid_value(cf, condition,
                             "after the time, it must be if=$variable");
    }
    wait.only_if = &compiled(cf, condition.substr(only_if.size()));
    return NGX_CONF_OK;
}

char*
set_wait_limit(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<MainConf*>(data);
    if (conf->wait_limit != NGX_CONF_UNSET_UINT) {
        return duplicate();
    }
    constexpr std::string_view per = "per=";
    const std::span<ngx_str_t> args = arguments(cf);
    const ngx_int_t limit = ngx_atoi(args[1].data, args[1].len);
    if (limit <= 0) {
        return invalid_value(cf, view(args[1]), "it must be a number above 0");
    }
    conf->wait_limit = static_cast<ngx_uint_t>(limit);
    if (args.size() == 2) {
        return NGX_CONF_OK;
    }
    const std::string_view text = view(args[2]);
    const ngx_int_t each =
        text.starts_with(per)
            ? ngx_atoi(args[2].data + per.size(), args[2].len - per.size())
            : NGX_ERROR;
    if (each <= 0 || each > limit) {
        return invalid_value(cf, text,
                             "after the number, it must be per=NUMBER, above 0 "
                             "and not above the first");
    }
    conf->wait_limit_per = static_cast<ngx_uint_t>(each);
    return NGX_CONF_OK;
}

char*
set_poll(ngx_conf_t* cf, ngx_command_t*, void* data) {
    auto* conf = static_cast<LocationConf*>(data);
    ngx_str_t& text = arguments(cf)[1];
    if (char* refused = take_role(cf, conf, Role::poll);
        refused != NGX_CONF_OK) {
        return refused;
    }
    conf->poll = positive_time(text);
    if (conf->poll == 0) {
        return invalid_value(cf, view(text),
                             "it must be a time greater than 0, like 30s");
    }
    if (conf->gate_where.line == 0) {
        conf->gate_where = where(cf);
    }
    return NGX_CONF_OK;
}

void
merge_wait(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    const bool here = conf->wait.time != NGX_CONF_UNSET_MSEC;
    if (!here) {
        conf->wait = prev->wait;
    }
    ngx_conf_init_msec_value(conf->wait.time, 0);

    // A server's may be meant for its locations.
    const bool gated =
        conf->gated() && conf->gate == static_cast<ngx_uint_t>(GateMode::on);
    if (here && conf->wait.time != 0 && core_conf(cf)->name.len != 0 &&
        !gated) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"entitle_wait\" where nobody is refused waits for "
                      "nobody, in %V:%ui",
                      &conf->wait.where.file, conf->wait.where.line);
    }
}

}  // namespace entitle::ngx
