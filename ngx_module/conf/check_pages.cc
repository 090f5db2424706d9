// Where those are sent who are refused, what the app is asked, and the cookie
// that comes of it.

#include <algorithm>

#include "core/access/problem.h"
#include "core/base/ascii.h"
#include "ngx_module/conf/check.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

// The path of a URL of this site that is known without a request; empty: none.
std::string_view
literal_path(const ngx_str_t& url) {
    const std::string_view all = view(url);
    const std::string_view path = all.substr(0, all.find_first_of("?#"));
    const bool local = path.starts_with('/') && !path.starts_with("//");
    return local && path.find('$') == path.npos ? path : std::string_view{};
}

// --- pages for who is refused
// ----------------------------------------------------

void
look_at_login_page(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (conf.login_url == nullptr) {
        return;
    }
    const std::string_view path = literal_path(conf.login_url->value);
    if (const Location* gated = server.gated_at(path)) {
        server.warn(
            "\"entitle_login_url " + std::string(path) +
                "\" leads behind the gate of " + name_of(*gated) +
                ": nobody could log in, and browsers go round in circles; "
                "give the page a location with \"entitle off\"",
            conf.login_url_where);
    }
}

// A path, or the name of a location.
std::string_view
literal_page(const ngx_str_t& page) {
    const std::string_view all = view(page);
    return all.starts_with('@') ? all : literal_path(page);
}

// Who has to pay is known, so the way to the checkout may ask who it is.
bool
lets_in(const Location& page, ngx_int_t status) {
    return status == status_of(Decision::pay) &&
           page.conf().role == Role::redirect && page.conf().require == nullptr;
}

void
look_at_error_pages(Server& server, const Location& location) {
    const ngx_array_t* pages = location.core->error_pages;
    const auto* page =
        pages == nullptr ? nullptr
                         : static_cast<const ngx_http_err_page_t*>(pages->elts);
    for (ngx_uint_t i = 0; pages != nullptr && i < pages->nelts; i++) {
        const bool ours = page[i].status == NGX_HTTP_UNAUTHORIZED ||
                          page[i].status == status_of(Decision::pay);
        const std::string_view uri = literal_page(page[i].value.value);
        const Location* gated = ours ? server.gated_at(uri) : nullptr;
        if (gated != nullptr && !lets_in(*gated, page[i].status)) {
            server.warn("\"error_page " + std::to_string(page[i].status) + " " +
                            std::string(uri) + "\" leads behind the gate of " +
                            name_of(*gated) +
                            ": who is refused is refused that page, too; give "
                            "it a location with \"entitle off\"",
                        gated->conf().gate_where);
        }
    }
}

// --- what the app is asked
// -------------------------------------------------------

// Of a directive that nginx keeps as a list of names and values; where it keeps
// it is in the table of its module.
const ngx_array_t*
pairs_of(const ngx_module_t* module, std::string_view directive,
         const Location& location) {
    for (const ngx_command_t* command = module->commands;
         command != nullptr && command->name.len != 0; command++) {
        if (view(command->name) == directive &&
            command->set == ngx_conf_set_keyval_slot) {
            const auto* conf = location.of<char>(module);
            return *reinterpret_cast<ngx_array_t* const*>(conf +
                                                          command->offset);
        }
    }
    return nullptr;
}

bool
has_pair(const ngx_array_t* pairs, std::string_view name) {
    if (pairs == nullptr) {
        return false;
    }
    const auto* pair = static_cast<const ngx_keyval_t*>(pairs->elts);
    return std::any_of(pair, pair + pairs->nelts, [&](const ngx_keyval_t& p) {
        return equal_ignoring_case(view(p.key), name);
    });
}

void
look_at_question(Server& server, const Location& location) {
    constexpr std::string_view lost = "X-Forwarded-Proto";
    const LocationConf& conf = location.conf();
    const ngx_module_t* proxy =
        module_named(server.cf, "ngx_http_proxy_module");
    const std::string_view path = literal_path(conf.reauth);
    if (proxy == nullptr || path.empty()) {
        return;
    }
    const std::vector<const Location*> way = way_to(server.root, path);
    const ngx_array_t* sent = pairs_of(proxy, "proxy_set_header", *way.back());
    const bool lost_here =
        sent != nullptr && !has_pair(sent, lost) &&
        std::any_of(way.begin(), way.end() - 1, [&](const Location* outer) {
            return has_pair(pairs_of(proxy, "proxy_set_header", *outer), lost);
        });
    if (lost_here) {
        server.warn(
            "\"proxy_set_header\" in " + name_of(*way.back()) +
                " replaces those above it, X-Forwarded-Proto among them: an "
                "app that insists on HTTPS answers the question with a "
                "redirect; repeat it there",
            conf.reauth_where);
    }
}

// --- the cookie
// --------------------------------------------------------------------

// Somebody stands before it, who may well speak SSL.
bool
is_fronted(const ngx_http_conf_addr_t& address) {
    return address.opt.proxy_protocol ||
           address.opt.sockaddr->sa_family == AF_UNIX;
}

bool
listens_without_ssl_only(ngx_conf_t* cf,
                         const ngx_http_core_srv_conf_t* server) {
    const auto* core = static_cast<const ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    if (core->ports == nullptr) {
        return false;
    }
    const auto* port =
        static_cast<const ngx_http_conf_port_t*>(core->ports->elts);
    for (ngx_uint_t p = 0; p < core->ports->nelts; p++) {
        const auto* address =
            static_cast<const ngx_http_conf_addr_t*>(port[p].addrs.elts);
        for (ngx_uint_t a = 0; a < port[p].addrs.nelts; a++) {
            auto** servers = static_cast<ngx_http_core_srv_conf_t**>(
                address[a].servers.elts);
            const bool here =
                std::find(servers, servers + address[a].servers.nelts,
                          server) != servers + address[a].servers.nelts;
            if (here && (compat::speaks_ssl(address[a].opt) ||
                         is_fronted(address[a]))) {
                return false;
            }
        }
    }
    return true;
}

// The beginning of what ngx_http_realip_module.c keeps for a location. (It has
// no header.)
struct RealIpConf {
    ngx_array_t* from;
};

void
look_at_cookie(Server& server) {
    const ngx_module_t* realip =
        module_named(server.cf, "ngx_http_realip_module");
    const bool fronted = realip != nullptr &&
                         server.root.of<RealIpConf>(realip)->from != nullptr;
    if (!server.conf().cookie->secure || fronted ||
        !listens_without_ssl_only(server.cf, server.core)) {
        return;
    }
    const Location* gated = nullptr;
    each_location(server.root, [&](const Location& location) {
        const bool sets_it = location.conf().gated() && !is_covered(location) &&
                             !server.answers_first(location) &&
                             identity_kind(&location.conf()) ==
                                 IdentitySource::Kind::edge_session;
        gated = gated == nullptr && sets_it ? &location : gated;
    });
    if (gated != nullptr) {
        server.warn(
            "the cookie \"" + server.conf().cookie->name +
                "\" is Secure and its server listens without SSL: browsers "
                "drop it, and the app is asked at every request; \"listen "
                "... ssl\", \"set_real_ip_from\" where something in front "
                "speaks SSL, or for trials \"entitle_session_cookie entitle "
                "secure=off\"",
            gated->conf().gate_where);
    }
}

}  // namespace

void
check_pages(Server& server) {
    each_location(server.root, [&](const Location& location) {
        if (keeps_out(location) && !is_covered(location)) {
            look_at_login_page(server, location);
            look_at_error_pages(server, location);
            look_at_question(server, location);
        }
    });
    look_at_cookie(server);
}

}  // namespace entitle::ngx
