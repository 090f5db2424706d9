// entitle_guest_user: a visitor nobody knows is known by the browser.

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

// Browsers keep no cookie for longer (RFC 6265bis, section 5.5).
constexpr time_t kLifetime = 400 * 24 * 3600;

bool
sends_to_buy(const LocationConf* conf) {
    return conf->role == Role::redirect && conf->redirect->names_buyer;
}

}  // namespace

char*
set_guest_user(ngx_conf_t* cf, ngx_command_t*, void* data) {
    constexpr std::string_view lifetime = "lifetime=";
    auto* conf = static_cast<LocationConf*>(data);
    if (conf->guest != nullptr) {
        return duplicate();
    }
    const std::span<ngx_str_t> args = arguments(cf);
    GuestUser& guest = own(cf, conf->guest);
    guest = {view(args[1]) == "on", kLifetime, where(cf)};
    if (!guest.on && view(args[1]) != "off") {
        return invalid_value(cf, view(args[1]), "it must be on or off");
    }
    if (args.size() == 2) {
        return NGX_CONF_OK;
    }
    const std::string_view text = view(args[2]);
    if (!guest.on) {
        return invalid_value(cf, text, "nothing goes with off");
    }
    ngx_str_t time = str(text.substr(std::min(lifetime.size(), text.size())));
    const ngx_int_t seconds =
        text.starts_with(lifetime) ? ngx_parse_time(&time, 1) : NGX_ERROR;
    if (seconds == NGX_ERROR || seconds == 0) {
        return invalid_value(cf, text,
                             "after on, it must be lifetime=TIME, greater "
                             "than 0, like lifetime=400d");
    }
    if (seconds > kLifetime) {
        return invalid_value(cf, text,
                             "browsers keep no cookie for longer than 400d");
    }
    guest.lifetime = seconds;
    return NGX_CONF_OK;
}

void
merge_guest(const LocationConf* prev, LocationConf* conf) {
    if (conf->guest == nullptr) {
        conf->guest = prev->guest;
    }
    if (conf->guest != nullptr && !conf->guest->on) {
        conf->guest = nullptr;
    }
    const auto off = static_cast<ngx_uint_t>(GateMode::off);
    const bool unsaid =
        conf->gate == NGX_CONF_UNSET_UINT &&
        (prev->gate == NGX_CONF_UNSET_UINT || prev->gate == off) &&
        conf->require == nullptr;
    if (conf->guest != nullptr && sends_to_buy(conf) && unsaid) {
        conf->gate = static_cast<ngx_uint_t>(GateMode::optional);
    }
}

char*
check_guest(ngx_conf_t* cf, const LocationConf* conf) {
    if (conf->guest == nullptr) {
        return NGX_CONF_OK;
    }
    const auto* server = static_cast<ServerConf*>(
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_entitle_module));
    if (server->browser_keys == nullptr) {
        return missing(cf, conf->guest->where,
                       "\"entitle_guest_user\" needs "
                       "\"entitle_session_key_file\", whose keys sign the id "
                       "of a browser");
    }
    if (server->browser_cookie->same_site == "Strict") {
        return missing(cf, conf->guest->where,
                       "\"samesite=strict\" in \"entitle_session_cookie\" "
                       "contradicts \"entitle_guest_user\": who comes back "
                       "from the checkout would come without the cookie, "
                       "named");
    }
    return NGX_CONF_OK;
}

}  // namespace entitle::ngx
