// What nginx's rewrite module does at a location, before every gate and role.
#pragma once

#include "ngx_module/conf/beside.h"

namespace entitle::ngx {

struct Rewrites {
    // Outside of every `if`, so whenever a request comes.
    ngx_uint_t returns = 0;   // the status of a `return`; 0: there is none
    bool redirects = false;   // `rewrite ... redirect`, to another site ...
    bool leads_away = false;  // any other `rewrite`, but for `break`
    // Inside of one.
    bool redirects_if = false;
    bool leads_away_if = false;
    bool has_if = false;
};

// `confs` are those of a location, of every module.
Rewrites rewrites_of(ngx_conf_t* cf, void** confs);

// What found_beside() looks for.
bool is_return(const Directive& directive);
bool is_redirecting(const Directive& directive);
bool is_leading_away(const Directive& directive);

}  // namespace entitle::ngx
