// Reading the words of a directive.

#include <algorithm>

#include "core/base/ascii.h"
#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

// Null: not valid as a complex value, or no memory; logged.
ngx_http_complex_value_t*
compile_value(ngx_conf_t* cf, ngx_str_t text) {
    auto* value = static_cast<ngx_http_complex_value_t*>(
        ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t)));
    if (value == nullptr) {
        return nullptr;
    }
    ngx_http_compile_complex_value_t compile;
    ngx_memzero(&compile, sizeof(compile));
    compile.cf = cf;
    compile.value = &text;
    compile.complex_value = value;
    return ngx_http_compile_complex_value(&compile) == NGX_OK ? value : nullptr;
}

}  // namespace

ngx_http_complex_value_t&
compiled(ngx_conf_t* cf, std::string_view text) {
    ngx_http_complex_value_t* value = compile_value(cf, str(text));
    if (value == nullptr) {
        throw std::runtime_error("cannot compile \"" + std::string(text) +
                                 "\"");
    }
    return *value;
}

bool
is_url(std::string_view text) {
    bool local = text.starts_with('/') && !text.starts_with("//");
    return local || text.starts_with("https://") ||
           text.starts_with("http://") || text.starts_with('$');
}

std::optional<Carrier>
parse_carrier(ngx_conf_t* cf, std::string_view text) {
    constexpr std::string_view prefix = "cookie=";
    if (text.starts_with(prefix) && is_token(text.substr(prefix.size()))) {
        return Carrier{str(text.substr(prefix.size())), nullptr};
    }
    if (is_one_variable(text)) {
        return Carrier{ngx_null_string, &compiled(cf, text)};
    }
    return std::nullopt;
}

std::string
without_user(std::string_view address) {
    std::size_t at = address.rfind('@');
    std::size_t scheme = address.find("//");
    if (at == std::string_view::npos || scheme > at) {
        return std::string(address);
    }
    return std::string(address.substr(0, scheme)) + "//..." +
           std::string(address.substr(at));
}

void
note_said(ngx_conf_t* cf, const void* conf) {
    const std::string_view last = view(arguments(cf).back());
    if (last == "off" || last == "gate") {
        return;  // as where nothing was said
    }
    auto* main = static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_entitle_module));
    std::vector<std::string_view> words;
    for (const ngx_str_t& argument : arguments(cf).subspan(1)) {
        words.push_back(view(argument));
    }
    own(cf, main->notes)
        .said.push_back(
            {arguments(cf).front(), std::move(words), conf, where(cf)});
}

char*
invalid_value(ngx_conf_t* cf, std::string_view value, std::string_view why) {
    ngx_str_t quoted = str(value);
    ngx_str_t reason = str(why);
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": %V", &quoted,
                       &arguments(cf)[0], &reason);
    return static_cast<char*>(NGX_CONF_ERROR);
}

}  // namespace entitle::ngx
