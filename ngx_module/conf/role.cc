// What a location is for. It has one role, and nothing else may answer there.

#include <algorithm>

#include "ngx_module/conf/beside.h"
#include "ngx_module/conf/conf.h"
#include "ngx_module/conf/locations.h"
#include "ngx_module/conf/rewrites.h"
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

bool
answers(const Directive& directive) {
    constexpr std::string_view others[] = {
        "empty_gif",  "flv",  "js_content", "content_by_lua_block",
        "mp4",        "perl", "echo",       "content_by_lua_file",
        "stub_status"};
    return directive.name().ends_with("_pass") ||
           std::find(std::begin(others), std::end(others), directive.name()) !=
               std::end(others);
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
refuse(ngx_conf_t* cf, const LocationConf* conf, const std::string& beside) {
    const ngx_str_t text = str(beside);
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%V\" stands beside another that answers there%V: a "
                  "location has one role, in %V:%ui",
                  &conf->role_directive, &text, &conf->role_where.file,
                  conf->role_where.line);
    return static_cast<char*>(NGX_CONF_ERROR);
}

// Who clears the cookie of what the app answers is passed by what nginx answers
// or rewrites before.
char*
refuse_logout(ngx_conf_t* cf, const LocationConf* conf,
              const std::string& beside) {
    const ngx_str_t text = str(beside);
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%V%s\" does nothing where a request is answered or led "
                  "away before%V, in %V:%ui",
                  &conf->role_directive, conf->logout_all ? " all" : "", &text,
                  &conf->role_where.file, conf->role_where.line);
    return static_cast<char*>(NGX_CONF_ERROR);
}

// Of what runs before the role does.
char*
check_rewrites(ngx_conf_t* cf, const LocationConf* conf) {
    const Rewrites found = rewrites_of(cf, confs_here(cf));
    const bool logout = conf->role == Role::logout;
    // Our cookie is cleared on what nginx itself answers, too.
    const bool takes_answers = logout && !conf->logout_all;
    const auto say = logout ? refuse_logout : refuse;
    if (found.leads_away || found.leads_away_if) {
        return say(cf, conf, found_beside(conf->role_where, is_leading_away));
    }
    if (found.returns != 0 && !takes_answers) {
        return say(cf, conf, found_beside(conf->role_where, is_return));
    }
    if ((found.redirects && !takes_answers) ||
        (found.redirects_if && !logout)) {
        return say(cf, conf, found_beside(conf->role_where, is_redirecting));
    }
    return NGX_CONF_OK;
}

}  // namespace

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
    // The app's own way out answers beside ours.
    const bool alone = conf->role != Role::logout;
    if (alone && core->handler != nullptr &&
        core->handler != handler_of(conf->role)) {
        return refuse(cf, conf, found_beside(conf->role_where, answers));
    }
    if (char* refused = check_rewrites(cf, conf); refused != NGX_CONF_OK) {
        return refused;
    }
    if (alone && !core->noname && tries_files(cf, confs_here(cf))) {
        return refuse(cf, conf,
                      found_beside(conf->role_where, [](const auto& directive) {
                          return directive.name() == "try_files";
                      }));
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

}  // namespace entitle::ngx
