// Which variables a directive may believe: one list of what a client can write,
// for every directive that takes who somebody is from a variable.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

Voucher voucher_of(std::string_view variable);  // $name or ${name}

// Of the directive that is being read, about one $variable: logs what is wrong
// with it.
char* check_believed(ngx_conf_t* cf, std::string_view variable);
// Of a location that uses such a directive, when it is merged.
void note_belief(ngx_conf_t* cf, Voucher voucher, const char* directive,
                 const Where& where);
// Whether a server, by its configurations, refuses a certificate that cannot be
// verified: `optional` does, too, `optional_no_ca` does not.
bool certificate_is_verified(ngx_conf_t* cf, void** server);
// Once all is merged.
ngx_int_t check_beliefs(ngx_conf_t* cf, const MainConf* conf);

}  // namespace entitle::ngx
