// nginx's slots, with messages that say what is allowed.

#include "ngx_module/conf/conf.h"

namespace entitle::ngx {
namespace {

template <class T>
T&
slot(ngx_command_t* command, void* conf) {
    return *reinterpret_cast<T*>(static_cast<char*>(conf) + command->offset);
}

}  // namespace

char*
set_seconds(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    if (slot<time_t>(command, data) != NGX_CONF_UNSET) {
        return duplicate();
    }
    if (ngx_conf_set_sec_slot(cf, command, data) != NGX_CONF_OK) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time, like 30s, 5m, 12h or 7d");
    }
    return NGX_CONF_OK;
}

char*
set_positive_seconds(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    char* result = set_seconds(cf, command, data);
    if (result == NGX_CONF_OK && slot<time_t>(command, data) == 0) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time greater than 0");
    }
    return result;
}

char*
set_positive_msec(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    if (slot<ngx_msec_t>(command, data) != NGX_CONF_UNSET_MSEC) {
        return duplicate();
    }
    if (ngx_conf_set_msec_slot(cf, command, data) != NGX_CONF_OK ||
        slot<ngx_msec_t>(command, data) == 0) {
        return invalid_value(cf, view(arguments(cf)[1]),
                             "it must be a time greater than 0, like 500ms or "
                             "2s");
    }
    return NGX_CONF_OK;
}

char*
set_choice(ngx_conf_t* cf, ngx_command_t* command, void* data) {
    auto& value = slot<ngx_uint_t>(command, data);
    if (value != NGX_CONF_UNSET_UINT) {
        return duplicate();
    }
    std::string_view word = view(arguments(cf)[1]);
    auto* choices = static_cast<ngx_conf_enum_t*>(command->post);
    std::string allowed;
    for (ngx_conf_enum_t* choice = choices; choice->name.len != 0; choice++) {
        if (word == view(choice->name)) {
            value = choice->value;
            return NGX_CONF_OK;
        }
        allowed += allowed.empty() ? "it must be " : " or ";
        allowed += view(choice->name);
    }
    return invalid_value(cf, word, allowed);
}

}  // namespace entitle::ngx
