#include "ngx_module/conf/rewrites.h"

#include <algorithm>

#include "ngx_module/conf/locations.h"

namespace entitle::ngx {
namespace {

// The beginning of what ngx_http_rewrite_module.c keeps for a location. (It has
// no header.)
struct RewriteConf {
    ngx_array_t* codes;  // of bytes: structs that begin with a function
};

template <class Code>
bool
read(const char* at, const char* end, Code& code) {
    if (at + sizeof(code) > end) {
        return false;
    }
    ngx_memcpy(&code, at, sizeof(code));
    return true;
}

void
note_rewrite([[maybe_unused]] const char* at, [[maybe_unused]] const char* end,
             [[maybe_unused]] bool in_if, [[maybe_unused]] Rewrites& found) {
#if (NGX_PCRE)
    ngx_http_script_regex_code_t regex;
    if (!read(at, end, regex) || regex.test != 0 || regex.break_cycle != 0) {
        return;
    }
    (regex.redirect ? (in_if ? found.redirects_if : found.redirects)
                    : (in_if ? found.leads_away_if : found.leads_away)) = true;
#endif
}

bool
names_a_site(std::string_view uri) {
    return uri.starts_with("http://") || uri.starts_with("https://") ||
           uri.starts_with("$scheme");
}

bool
is_rewrite(const Directive& directive) {
    return directive.name() == "rewrite" && directive.words.size() >= 3;
}

}  // namespace

Rewrites
rewrites_of(ngx_conf_t* cf, void** confs) {
    Rewrites found;
    const ngx_module_t* rewrite = module_named(cf, "ngx_http_rewrite_module");
    const auto* conf =
        rewrite == nullptr
            ? nullptr
            : static_cast<const RewriteConf*>(confs[rewrite->ctx_index]);
    if (conf == nullptr || conf->codes == nullptr) {
        return found;
    }
    const auto* at = static_cast<const char*>(conf->codes->elts);
    const char* end = at + conf->codes->nelts;
    const char* if_ends = at;
    ngx_http_script_code_pt code;
    for (; read(at, end, code); at += sizeof(code)) {
        const bool in_if = at < if_ends;
        ngx_http_script_if_code_t condition;
        ngx_http_script_return_code_t answer;
        if (code == ngx_http_script_if_code && read(at, end, condition)) {
            if_ends = std::max(if_ends, at + condition.next);
            found.has_if = true;
        } else if (code == ngx_http_script_return_code && !in_if &&
                   found.returns == 0 && read(at, end, answer)) {
            found.returns = answer.status;
#if (NGX_PCRE)
        } else if (code == ngx_http_script_regex_start_code) {
            note_rewrite(at, end, in_if, found);
#endif
        }
    }
    return found;
}

bool
is_return(const Directive& directive) {
    return directive.name() == "return";
}

bool
is_redirecting(const Directive& directive) {
    return is_rewrite(directive) && (directive.words.back() == "redirect" ||
                                     directive.words.back() == "permanent" ||
                                     (directive.words.back() != "break" &&
                                      names_a_site(directive.words[2])));
}

bool
is_leading_away(const Directive& directive) {
    return is_rewrite(directive) && directive.words.back() != "break" &&
           !is_redirecting(directive);
}

}  // namespace entitle::ngx
