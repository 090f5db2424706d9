// What a location is for. It has one role, and nothing else may answer there.

#include <algorithm>
#include <fstream>

#include "ngx_module/conf/conf.h"
#include "ngx_module/conf/locations.h"
#include "ngx_module/gate/handlers.h"
#include "ngx_module/status/status.h"
#include "ngx_module/webhook/handlers.h"

namespace entitle::ngx {
namespace {

ngx_http_core_loc_conf_t*
core_conf(ngx_conf_t* cf) {
    return static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
}

ngx_http_handler_pt
handler_of(Role role) {
    switch (role) {
        case Role::webhook:
            return webhook_handler;
        case Role::logout:
            return logout_handler;
        case Role::status:
            return status_handler;
        case Role::redirect:
            return redirect_handler;
        case Role::poll:
            return poll_handler;
        case Role::none:
            break;
    }
    return nullptr;
}

// --- where another module's directive stands ---------------------------------

struct Directive {
    std::string name;
    std::size_t line;   // of its end, as nginx counts
    std::size_t block;  // which it stands in
};

// A file of nginx's configuration, as far as this takes: names and blocks.
// Quotes and comments are nginx's.
std::vector<Directive>
directives_in(const std::string& text) {
    std::vector<Directive> found;
    std::vector<std::size_t> blocks = {0};
    std::size_t block_count = 1, line = 1;
    std::string first, word;
    char quote = 0;
    const auto word_ends = [&] {
        if (first.empty()) {
            first = word;
        }
        word.clear();
    };
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        line += c == '\n' ? 1 : 0;
        if (c == '\\' && i + 1 < text.size()) {
            word += text[++i];
        } else if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if ((c == '"' || c == '\'') && word.empty()) {
            quote = c;
        } else if (c == '#' && word.empty()) {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (c == '{' && word.ends_with('$')) {
            word += c;  // ${name}
            i = std::min(text.find('}', i), text.size() - 1);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            word_ends();
        } else if (c == ';' || c == '{') {
            word_ends();
            found.push_back({std::exchange(first, {}), line, blocks.back()});
            if (c == '{') {
                blocks.push_back(block_count++);
            }
        } else if (c == '}') {
            if (blocks.size() > 1) {
                blocks.pop_back();
            }
        } else {
            word += c;
        }
    }
    return found;
}

bool
answers(std::string_view directive) {
    constexpr std::string_view others[] = {
        "empty_gif",  "flv",  "js_content", "content_by_lua_block",
        "mp4",        "perl", "echo",       "content_by_lua_file",
        "stub_status"};
    return directive.ends_with("_pass") ||
           std::find(std::begin(others), std::end(others), directive) !=
               std::end(others);
}

// " in FILE:LINE" of the directive that answers beside ours, or nothing where
// it cannot be found (it may stand in a file that is included).
template <class Is>
std::string
found_beside(const Where& ours, Is is) {
    const std::string file(view(ours.file));
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::vector<Directive> all = directives_in(text);
    const auto here =
        std::find_if(all.begin(), all.end(), [&](const Directive& directive) {
            return directive.line == ours.line &&
                   directive.name.starts_with("entitle");
        });
    if (here == all.end()) {
        return {};
    }
    for (const Directive& directive : all) {
        if (directive.block == here->block && is(directive.name)) {
            return ", \"" + directive.name + "\" in " + file + ":" +
                   std::to_string(directive.line);
        }
    }
    return {};
}

// --- `return` ----------------------------------------------------------------

// The beginning of what ngx_http_rewrite_module.c keeps for a location. (It has
// no header.)
struct RewriteConf {
    ngx_array_t* codes;  // of bytes: structs that begin with a function
};

// Of what runs whenever a request comes here: what stands inside `if` is passed
// over. `is` gets a code and where it begins.
template <class Is>
bool
any_code(ngx_conf_t* cf, void** confs, Is is) {
    const ngx_module_t* rewrite = module_named(cf, "ngx_http_rewrite_module");
    const auto* conf =
        rewrite == nullptr
            ? nullptr
            : static_cast<const RewriteConf*>(confs[rewrite->ctx_index]);
    if (conf == nullptr || conf->codes == nullptr) {
        return false;
    }
    const auto* at = static_cast<const char*>(conf->codes->elts);
    const char* end = at + conf->codes->nelts;
    while (at + sizeof(ngx_http_script_code_pt) <= end) {
        ngx_http_script_code_pt code;
        ngx_memcpy(&code, at, sizeof(code));
        if (is(code, at)) {
            return true;
        }
        ngx_http_script_if_code_t condition;
        if (code == ngx_http_script_if_code && at + sizeof(condition) <= end) {
            ngx_memcpy(&condition, at, sizeof(condition));
            at += std::max<std::intptr_t>(condition.next, sizeof(condition));
        } else {
            at += sizeof(ngx_http_script_code_pt);
        }
    }
    return false;
}

// A `rewrite` that leads out of the location: any but one with `break`.
bool
rewrites_away([[maybe_unused]] ngx_conf_t* cf, [[maybe_unused]] void** confs) {
#if (NGX_PCRE)
    return any_code(cf, confs,
                    [](ngx_http_script_code_pt code, const char* at) {
                        if (code != ngx_http_script_regex_start_code) {
                            return false;
                        }
                        // Complete: other codes follow it.
                        ngx_http_script_regex_code_t regex;
                        ngx_memcpy(&regex, at, sizeof(regex));
                        return regex.test == 0 && regex.break_cycle == 0;
                    });
#else
    return false;
#endif
}

// The beginning of what ngx_http_try_files_module.c keeps for a location, the
// same since 1.13.4. (It has no header.)
struct TryFilesConf {
    void* try_files;  // null: none here
};

bool
tries_files(ngx_conf_t* cf, void** confs) {
    const ngx_module_t* module = module_named(cf, "ngx_http_try_files_module");
    const auto* conf =
        module == nullptr
            ? nullptr
            : static_cast<const TryFilesConf*>(confs[module->ctx_index]);
    return conf != nullptr && conf->try_files != nullptr;
}

void**
confs_here(ngx_conf_t* cf) {
    return static_cast<const ngx_http_conf_ctx_t*>(cf->ctx)->loc_conf;
}

std::string
place(const Where& at) {
    return std::string(view(at.file)) + ":" + std::to_string(at.line);
}

char*
refuse(ngx_conf_t* cf, const LocationConf* conf, const std::string& what) {
    const ngx_str_t text = str(what);
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%V\" stands beside another that answers there%V: a "
                  "location has one role, in %V:%ui",
                  &conf->role_directive, &text, &conf->role_where.file,
                  conf->role_where.line);
    return static_cast<char*>(NGX_CONF_ERROR);
}

}  // namespace

bool
always_returns(ngx_conf_t* cf, void** confs) {
    return any_code(cf, confs, [](ngx_http_script_code_pt code, const char*) {
        return code == ngx_http_script_return_code;
    });
}

char*
take_role(ngx_conf_t* cf, LocationConf* conf, Role role) {
    if (conf->role == role) {
        return duplicate();
    }
    if (conf->role != Role::none) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" stands beside \"%V\" in %V:%ui: a location "
                           "has one role",
                           &arguments(cf)[0], &conf->role_directive,
                           &conf->role_where.file, conf->role_where.line);
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    conf->role = role;
    conf->role_directive = arguments(cf)[0];
    conf->role_where = where(cf);
    return NGX_CONF_OK;
}

char*
merge_role(ngx_conf_t* cf, const LocationConf* prev, LocationConf* conf) {
    ngx_http_core_loc_conf_t* core = core_conf(cf);
    // `if` and `limit_except` blocks are locations of their own to nginx.
    if (core->noname && conf->role == Role::none) {
        conf->role = prev->role;
        conf->role_directive = prev->role_directive;
        conf->role_where = prev->role_where;
        conf->webhook = prev->webhook;
        conf->logout_all = prev->logout_all;
        conf->redirect = prev->redirect;
        conf->poll = prev->poll;
    }
    if (conf->role == Role::none) {
        return NGX_CONF_OK;
    }
    // The app's own way out answers beside ours, and so may `return`.
    const bool alone = conf->role != Role::logout;
    if (alone && core->handler != nullptr &&
        core->handler != handler_of(conf->role)) {
        return refuse(cf, conf, found_beside(conf->role_where, answers));
    }
    constexpr struct {
        const char* name;
        bool (*is_here)(ngx_conf_t*, void**);
    } before[] = {{"return", always_returns},
                  {"rewrite", rewrites_away},
                  {"try_files", tries_files}};
    for (const auto& other : before) {
        if (alone && !core->noname && other.is_here(cf, confs_here(cf))) {
            return refuse(
                cf, conf,
                found_beside(conf->role_where, [&](std::string_view name) {
                    return name == other.name;
                }));
        }
    }
    if (core->handler == nullptr) {
        core->handler = handler_of(conf->role);
    }
    return NGX_CONF_OK;
}

char*
check_ungated(ngx_conf_t* cf, const LocationConf* conf) {
    std::string_view why;
    switch (conf->role) {
        case Role::status:
            why =
                "\"entitle_status\" is behind no gate: protect it with "
                "\"allow\" and \"deny\"";
            break;
        case Role::webhook:
            why = "a webhook location cannot be gated: Stripe has no session";
            break;
        case Role::logout:
            why = "a logout location cannot be gated: everybody may go";
            break;
        case Role::none:
        case Role::redirect:
        case Role::poll:
            return NGX_CONF_OK;
    }
    const std::string text =
        std::string(why) + ", \"" + std::string(view(conf->role_directive)) +
        "\" in " + place(conf->role_where) + ", contradicted by the directive";
    return missing(cf, conf->gate_where, text.c_str());
}

void
warn_return(ngx_conf_t* cf, const LocationConf* conf) {
    // An optional one keeps nobody out.
    if (conf->gate != static_cast<ngx_uint_t>(GateMode::on) ||
        core_conf(cf)->noname || !always_returns(cf, confs_here(cf))) {
        return;
    }
    const std::string beside =
        found_beside(conf->gate_where,
                     [](std::string_view name) { return name == "return"; });
    const ngx_str_t text = str(beside);
    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"return\" in location \"%V\" answers before the gate does: "
                  "everybody gets it%V; see \"entitle_redirect\", in %V:%ui",
                  &core_conf(cf)->name, &text, &conf->gate_where.file,
                  conf->gate_where.line);
}

}  // namespace entitle::ngx
