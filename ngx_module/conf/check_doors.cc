// Ways past a gate: what nginx serves or answers before it is asked.

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/conf/check.h"
#include "ngx_module/conf/pattern.h"
#include "ngx_module/conf/rewrites.h"

namespace entitle::ngx {
namespace {

using Kind = Location::Kind;

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
    const bool meant =
        conf.gate_said && conf.gate == static_cast<ngx_uint_t>(GateMode::off);
    return conf.role == Role::none && !meant && !keeps_out(regex) &&
           !regex.core->internal && !denies_all(cf, regex) &&
           rewrites_of(cf, regex.confs).returns == 0;
}

// Tried before the others of its level, one that names more was meant to be.
bool
names_more(const Location& first, const Location& second) {
    const auto more = literal_beginning(view(first.core->name));
    const auto less = literal_beginning(view(second.core->name));
    return more &&
           (!less || (more->size() > less->size() && more->starts_with(*less)));
}

// A path that both match; empty: none was found.
std::string
met_by_both(const Location& first, const Location& second) {
    for (const std::string& a : samples_of(view(first.core->name))) {
        for (const std::string& b : samples_of(view(second.core->name))) {
            for (const std::string& text :
                 {b, a, b + a, b + "x" + a, a + b, a + "x" + b}) {
                const std::string path =
                    text.starts_with('/') ? text : "/x" + text;
                if (matches(first, path) && matches(second, path)) {
                    return path;
                }
            }
        }
    }
    return {};
}

void
look_at_earlier(Server& server, const std::vector<const Location*>& earlier,
                const Location& regex) {
    for (const Location* first : earlier) {
        const std::string path =
            names_more(*first, regex) ? "" : met_by_both(*first, regex);
        if (!path.empty()) {
            server.warn(name_of(*first) + " is tried before the gate of " +
                            name_of(regex) + " and serves what both match (\"" +
                            path +
                            "\" for one) to everybody: write the gated one "
                            "first, gate the other, or say \"entitle off\" in "
                            "it if that is meant",
                        regex.conf().gate_where);
            return;
        }
    }
}

void
look_at_prefix(Server& server, const std::vector<const Location*>& regexes,
               const Location& prefix) {
    const auto first = std::find_if(
        regexes.begin(), regexes.end(),
        [&](const Location* regex) { return reaches_into(*regex, prefix); });
    if (keeps_out(prefix) && first != regexes.end()) {
        server.warn(name_of(**first) + " is tried before the gate of " +
                        name_of(prefix) +
                        " and serves what it matches there to everybody: write "
                        "\"location ^~\" for the gated one, gate the other, or "
                        "say \"entitle off\" in it if that is meant",
                    prefix.conf().gate_where);
    }
}

// `regexes` serve to everybody and lie further out.
void
look_at_regexes(Server& server, const Location& level,
                std::vector<const Location*> regexes) {
    std::vector<const Location*> here;
    for (const Location& location : level.inner) {
        if (location.kind == Kind::regex) {
            if (keeps_out(location)) {
                look_at_earlier(server, here, location);
            } else if (serves(server.cf, location)) {
                here.push_back(&location);
            }
            look_at_regexes(server, location, {});
        }
    }
    regexes.insert(regexes.end(), here.begin(), here.end());
    for (const Location& location : level.inner) {
        if (location.kind != Kind::prefix) {
            continue;
        }
#if (NGX_PCRE)
        if (location.core->noregex) {
            look_at_regexes(server, location, {});
            continue;
        }
#endif
        look_at_prefix(server, regexes, location);
        look_at_regexes(server, location, regexes);
    }
}

// --- what answers before the gate
// ---------------------------------------------

// Beside the gate, or with a page; what refuses or sends elsewhere under a gate
// that is inherited shows nothing.
void
look_at_answers(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (!keeps_out(location)) {
        return;
    }
    const Rewrites found = rewrites_of(server.cf, location.confs);
    const bool page = found.returns >= NGX_HTTP_OK &&
                      found.returns < NGX_HTTP_SPECIAL_RESPONSE;
    if (found.returns != 0 && (conf.gate_said || page)) {
        server.warn(
            "\"return\" in " + name_of(location) +
                " answers before the gate does: everybody gets it" +
                (conf.gate_said ? found_beside(conf.gate_where, is_return)
                                : "") +
                "; see \"entitle_redirect\"",
            conf.gate_where);
    }
    if (found.redirects && conf.gate_said) {
        server.warn("\"rewrite\" that redirects in " + name_of(location) +
                        " answers before the gate does: everybody is sent on" +
                        found_beside(conf.gate_where, is_redirecting) +
                        "; see \"entitle_redirect\"",
                    conf.gate_where);
    }
}

}  // namespace

void
check_doors(Server& server) {
    look_at_regexes(server, server.root, {});
    each_location(server.root, [&](const Location& location) {
        look_at_answers(server, location);
    });
}

}  // namespace entitle::ngx
