// A `$` in the words of a directive: variables, and where there can be none.

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

bool
is_word(char c) {
    return is_alphanumeric(c) || c == '_';
}

// As nginx would compile it.
bool
is_well_formed(std::string_view variable) {
    if (variable.size() < 2) {
        return false;
    }
    const bool braces = variable[1] == '{';
    if (braces && !variable.ends_with('}')) {
        return false;
    }
    const std::string_view name = variable_name(variable);
    return !name.empty() && std::all_of(name.begin(), name.end(), is_word);
}

// Logs what is wrong with one; notes them all.
char*
check_variables_of(ngx_conf_t* cf, std::string_view word) {
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    for (std::string_view variable : variables_in(word)) {
        if (!is_well_formed(variable)) {
            return invalid_value(cf, word, "a variable is $name or ${name}");
        }
        own(cf, main->notes)
            .variables.push_back(
                {variable, word, arguments(cf).front(), where(cf)});
    }
    return NGX_CONF_OK;
}

// As ngx_http_variables_init_vars() will look for it, which says no place.
bool
is_known(const ngx_http_core_main_conf_t* core, const std::string& name) {
    const auto* key =
        static_cast<const ngx_hash_key_t*>(core->variables_keys->keys.elts);
    for (ngx_uint_t i = 0; i < core->variables_keys->keys.nelts; i++) {
        const auto* made =
            static_cast<const ngx_http_variable_t*>(key[i].value);
        if (view(key[i].key) == name && made->get_handler != nullptr) {
            return true;
        }
    }
    const auto* prefix =
        static_cast<const ngx_http_variable_t*>(core->prefix_variables.elts);
    for (ngx_uint_t i = 0; i < core->prefix_variables.nelts; i++) {
        if (name.starts_with(view(prefix[i].name))) {
            return true;
        }
    }
    const auto* used =
        static_cast<const ngx_http_variable_t*>(core->variables.elts);
    return std::any_of(used, used + core->variables.nelts,
                       [&](const ngx_http_variable_t& variable) {
                           return view(variable.name) == name &&
                                  variable.get_handler != nullptr;
                       });
}

}  // namespace

std::vector<std::string_view>
variables_in(std::string_view text) {
    std::vector<std::string_view> found;
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] != '$') {
            continue;
        }
        std::size_t end = i + 1;
        if (end < text.size() && text[end] == '{') {
            end = std::min(text.find('}', end), text.size() - 1) + 1;
        } else if (end < text.size() && text[end] >= '1' && text[end] <= '9') {
            end++;
        } else {
            while (end < text.size() && is_word(text[end])) {
                end++;
            }
        }
        found.push_back(text.substr(i, end - i));
        i = end - 1;
    }
    return found;
}

bool
is_one_variable(std::string_view text) {
    std::vector<std::string_view> variables = variables_in(text);
    return variables.size() == 1 && variables[0].size() == text.size() &&
           text.size() > 1;
}

std::string_view
variable_name(std::string_view variable) {
    variable.remove_prefix(1);
    if (variable.starts_with('{')) {
        variable = variable.substr(1, variable.size() - 2);
    }
    return variable;
}

bool
is_capture(std::string_view variable) {
    const std::string_view name = variable_name(variable);
    return name.size() == 1 && is_digit(name.front());
}

char*
check_literal(ngx_conf_t* cf, std::string_view word) {
    return word.find('$') == word.npos
               ? NGX_CONF_OK
               : invalid_value(cf, without_user(word),
                               "it takes no variables, and is taken as it "
                               "stands");
}

void
warn_literal(ngx_conf_t* cf, std::string_view word) {
    if (word.find('$') != word.npos) {
        const ngx_str_t text = str(word);
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" in \"%V\" is taken as it stands: it takes "
                           "no variables",
                           &text, &arguments(cf).front());
    }
}

char*
check_dollars(ngx_conf_t* cf, Dollar dollar) {
    const auto begins = [](std::string_view word,
                           std::initializer_list<std::string_view> with) {
        return std::any_of(with.begin(), with.end(), [=](auto beginning) {
            return word.starts_with(beginning);
        });
    };
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        const std::string_view word = view(argument);
        if (dollar == Dollar::looked_at) {
            continue;
        }
        // A member may have one in its name.
        if (begins(word, {"json=", "version="})) {
            warn_literal(cf, word);
        } else if (dollar == Dollar::refused ||
                   begins(word, {"cookie=", "header="})) {
            if (char* refused = check_literal(cf, word);
                refused != NGX_CONF_OK) {
                return refused;
            }
        } else if (char* refused = check_variables_of(cf, word);
                   refused != NGX_CONF_OK) {
            return refused;
        }
    }
    return NGX_CONF_OK;
}

ngx_int_t
check_variables(ngx_conf_t* cf) noexcept {
    const auto* core = static_cast<const ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    const auto* main = static_cast<const MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    return edge::answer("configuration", [&] {
        if (main->notes == nullptr) {
            return NGX_OK;
        }
        for (const NamedVariable& named : main->notes->variables) {
            const std::string name = lower_case(variable_name(named.variable));
            const bool capture =
                named.variable.size() == 2 && is_capture(named.variable);
            if (!capture && !is_known(core, name)) {
                const std::string why = "invalid value \"" +
                                        std::string(named.word) + "\" in \"" +
                                        std::string(view(named.directive)) +
                                        "\": nothing makes a variable \"" +
                                        std::string(named.variable) + "\",";
                missing(cf, named.where, why.c_str());
                return NGX_ERROR;
            }
        }
        return NGX_OK;
    });
}

}  // namespace entitle::ngx
