// Ways past a gate: what nginx serves or answers before it is asked.

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/conf/check.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

using Kind = Location::Kind;

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
look_at_regexes(Server& server, const Location& level,
                std::vector<const Location*> regexes) {
    for (const Location& location : level.inner) {
        if (location.kind == Kind::regex && serves(server.cf, location)) {
            regexes.push_back(&location);
        }
    }
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
        const auto first = std::find_if(
            regexes.begin(), regexes.end(), [&](const Location* regex) {
                return reaches_into(*regex, location);
            });
        if (keeps_out(location) && first != regexes.end()) {
            server.warn(
                name_of(**first) + " is tried before the gate of " +
                    name_of(location) +
                    " and serves what it matches there to everybody: write "
                    "\"location ^~\" for the gated one, gate the other, or "
                    "say \"entitle off\" in it if that is meant",
                location.conf().gate_where);
        }
        look_at_regexes(server, location, regexes);
    }
}

}  // namespace

void
check_doors(Server& server) {
    look_at_regexes(server, server.root, {});
}

}  // namespace entitle::ngx
