#include "ngx_module/conf/warnings.h"

#include <algorithm>
#include <set>

#include "core/access/problem.h"
#include "core/base/ascii.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/conf/locations.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

using Kind = Location::Kind;

std::string
text(const ngx_str_t& text) {
    return std::string(view(text));
}

std::string
text(const Where& where) {
    return text(where.file) + ":" + std::to_string(where.line);
}

std::string
name_of(const Location& location) {
    return location.kind == Kind::server
               ? "this server"
               : "location \"" + text(location.core->name) + "\"";
}

bool
keeps_out(const Location& location) {
    const LocationConf& conf = location.conf();
    return conf.gated() && conf.gate == static_cast<ngx_uint_t>(GateMode::on);
}

// Nothing leads to the server itself where "location /" takes what is left.
bool
is_covered(const Location& location) {
    return location.kind == Kind::server &&
           std::any_of(location.inner.begin(), location.inner.end(),
                       [](const Location& inner) {
                           return inner.kind == Kind::prefix &&
                                  view(inner.core->name) == "/";
                       });
}

// The path of a URL of this site that is known without a request; empty: none.
std::string_view
literal_path(const ngx_str_t& url) {
    const std::string_view all = view(url);
    const std::string_view path = all.substr(0, all.find_first_of("?#"));
    const bool local = path.starts_with('/') && !path.starts_with("//");
    return local && path.find('$') == path.npos ? path : std::string_view{};
}

// --- one server
// ----------------------------------------------------------------

class ServerWarnings {
  public:
    ServerWarnings(ngx_conf_t* cf, const ngx_http_core_srv_conf_t* server)
        : cf_(cf), server_(server), root_(locations_of(server)) {}

    void
    say_all() {
        each_location(root_, [this](const Location& location) {
            if (keeps_out(location) && !is_covered(location)) {
                look_at_login_page(location);
                look_at_error_pages(location);
                look_at_question(location);
            }
        });
        look_at_cookie();
        look_at_regexes(root_, {});
    }

  private:
    void
    warn(const std::string& what, const Where& where) {
        const std::string line = what + ", in " + text(where);
        if (said_.insert(line).second) {
            ngx_log_error(NGX_LOG_WARN, cf_->log, 0, "%s", line.c_str());
        }
    }

    // Null: whoever is refused elsewhere is let in there.
    const Location*
    gated_at(std::string_view path) const {
        if (path.empty()) {
            return nullptr;
        }
        const Location* location = way_to(root_, path).back();
        return keeps_out(*location) ? location : nullptr;
    }

    void look_at_login_page(const Location& location);
    void look_at_error_pages(const Location& location);
    void look_at_question(const Location& location);
    void look_at_cookie();
    void look_at_regexes(const Location& level,
                         std::vector<const Location*> regexes);

    ngx_conf_t* cf_;
    const ngx_http_core_srv_conf_t* server_;
    Location root_;
    std::set<std::string> said_;
};

// --- pages for who is refused
// ----------------------------------------------------

void
ServerWarnings::look_at_login_page(const Location& location) {
    const LocationConf& conf = location.conf();
    if (conf.login_url == nullptr) {
        return;
    }
    const std::string_view path = literal_path(conf.login_url->value);
    if (const Location* gated = gated_at(path)) {
        warn("\"entitle_login_url " + std::string(path) +
                 "\" leads behind the gate of " + name_of(*gated) +
                 ": nobody could log in, and browsers go round in circles; "
                 "give the page a location with \"entitle off\"",
             conf.login_url_where);
    }
}

void
ServerWarnings::look_at_error_pages(const Location& location) {
    const ngx_array_t* pages = location.core->error_pages;
    const auto* page =
        pages == nullptr ? nullptr
                         : static_cast<const ngx_http_err_page_t*>(pages->elts);
    for (ngx_uint_t i = 0; pages != nullptr && i < pages->nelts; i++) {
        const bool ours = page[i].status == NGX_HTTP_UNAUTHORIZED ||
                          page[i].status == status_of(Decision::pay);
        const std::string_view path = literal_path(page[i].value.value);
        const Location* gated = ours ? gated_at(path) : nullptr;
        if (gated != nullptr) {
            warn("\"error_page " + std::to_string(page[i].status) + " " +
                     std::string(path) + "\" leads behind the gate of " +
                     name_of(*gated) +
                     ": who is refused is refused that page, too; give it a "
                     "location with \"entitle off\"",
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
ServerWarnings::look_at_question(const Location& location) {
    constexpr std::string_view lost = "X-Forwarded-Proto";
    const LocationConf& conf = location.conf();
    const ngx_module_t* proxy = module_named(cf_, "ngx_http_proxy_module");
    const std::string_view path = literal_path(conf.reauth);
    if (proxy == nullptr || path.empty()) {
        return;
    }
    const std::vector<const Location*> way = way_to(root_, path);
    const ngx_array_t* sent = pairs_of(proxy, "proxy_set_header", *way.back());
    const bool lost_here =
        sent != nullptr && !has_pair(sent, lost) &&
        std::any_of(way.begin(), way.end() - 1, [&](const Location* outer) {
            return has_pair(pairs_of(proxy, "proxy_set_header", *outer), lost);
        });
    if (lost_here) {
        warn("\"proxy_set_header\" in " + name_of(*way.back()) +
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
ServerWarnings::look_at_cookie() {
    const auto* conf = static_cast<const ServerConf*>(
        server_->ctx->srv_conf[ngx_http_entitle_module.ctx_index]);
    const ngx_module_t* realip = module_named(cf_, "ngx_http_realip_module");
    const bool fronted =
        realip != nullptr && root_.of<RealIpConf>(realip)->from != nullptr;
    if (!conf->cookie->secure || fronted ||
        !listens_without_ssl_only(cf_, server_)) {
        return;
    }
    const Location* gated = nullptr;
    each_location(root_, [&](const Location& location) {
        const bool sets_it =
            location.conf().gated() && identity_kind(&location.conf()) ==
                                           IdentitySource::Kind::edge_session;
        gated = gated == nullptr && sets_it ? &location : gated;
    });
    if (gated != nullptr) {
        warn("the cookie \"" + conf->cookie->name +
                 "\" is Secure and its server listens without SSL: browsers "
                 "drop it, and the app is asked at every request; \"listen "
                 "... ssl\", \"set_real_ip_from\" where something in front "
                 "speaks SSL, or for trials \"entitle_session_cookie entitle "
                 "secure=off\"",
             gated->conf().gate_where);
    }
}

// --- regular expressions that are tried before a gate
// ------------------------------

// Outside of all parentheses.
bool
has_alternatives(std::string_view pattern) {
    int depth = 0;
    for (std::size_t i = 0; i < pattern.size(); i++) {
        const char c = pattern[i];
        i += c == '\\' ? 1 : 0;
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

// What every match of a pattern begins with; null: it may match in the middle.
std::optional<std::string>
literal_beginning(std::string_view pattern) {
    constexpr std::string_view special = ".[]$()|?*+{}^";
    if (!pattern.starts_with('^') || has_alternatives(pattern)) {
        return std::nullopt;
    }
    std::string literal;
    for (std::size_t i = 1; i < pattern.size(); i++) {
        const bool escaped = pattern[i] == '\\' && i + 1 < pattern.size() &&
                             !is_alphanumeric(pattern[i + 1]);
        if (!escaped &&
            (pattern[i] == '\\' || special.find(pattern[i]) != special.npos)) {
            constexpr std::string_view makes_optional = "?*{";
            if (makes_optional.find(pattern[i]) != makes_optional.npos &&
                !literal.empty()) {
                literal.pop_back();
            }
            break;
        }
        i += escaped ? 1 : 0;
        literal += pattern[i];
    }
    return lower_case(literal);
}

// A pattern that names more than the prefix does was meant to.
bool
reaches_into(const Location& regex, const Location& prefix) {
    const std::optional<std::string> beginning =
        literal_beginning(view(regex.core->name));
    return !beginning ||
           lower_case(view(prefix.core->name)).starts_with(*beginning);
}

// The beginning of what ngx_http_access_module.c keeps for a location. (It has
// no header.)
struct AccessConf {
    struct Rule {
        in_addr_t mask;
        in_addr_t address;
        ngx_uint_t deny;
    };
    ngx_array_t* rules;
};

bool
denies_all(ngx_conf_t* cf, const Location& location) {
    const ngx_module_t* access = module_named(cf, "ngx_http_access_module");
    if (access == nullptr) {
        return false;
    }
    const ngx_array_t* rules = location.of<AccessConf>(access)->rules;
    if (rules == nullptr || rules->nelts == 0) {
        return false;
    }
    const auto& first = *static_cast<const AccessConf::Rule*>(rules->elts);
    return first.deny && first.mask == 0 && first.address == 0;
}

// To everybody, and nobody said so.
bool
serves(ngx_conf_t* cf, const Location& regex) {
    const LocationConf& conf = regex.conf();
    return conf.role == Role::none && !conf.gate_said && !keeps_out(regex) &&
           !regex.core->internal && !denies_all(cf, regex) &&
           !always_returns(cf, regex.confs);
}

void
ServerWarnings::look_at_regexes(const Location& level,
                                std::vector<const Location*> regexes) {
    for (const Location& location : level.inner) {
        if (location.kind == Kind::regex && serves(cf_, location)) {
            regexes.push_back(&location);
        }
    }
    for (const Location& location : level.inner) {
        if (location.kind != Kind::prefix) {
            continue;
        }
#if (NGX_PCRE)
        if (location.core->noregex) {
            look_at_regexes(location, {});
            continue;
        }
#endif
        const auto first = std::find_if(
            regexes.begin(), regexes.end(), [&](const Location* regex) {
                return reaches_into(*regex, location);
            });
        if (keeps_out(location) && first != regexes.end()) {
            warn(name_of(**first) + " is tried before the gate of " +
                     name_of(location) +
                     " and serves what it matches there to everybody: write "
                     "\"location ^~\" for the gated one, gate the other, or "
                     "say \"entitle off\" in it if that is meant",
                 location.conf().gate_where);
        }
        look_at_regexes(location, regexes);
    }
}

}  // namespace

void
warn_of_servers(ngx_conf_t* cf) noexcept {
    const auto* core = static_cast<const ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    edge::event("entitle: warnings", [&] {
        for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
            ServerWarnings(cf, servers[i]).say_all();
        }
    });
}

}  // namespace entitle::ngx
