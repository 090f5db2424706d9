// The locations of a server, and which of them a URI leads to, as nginx would
// look for it. Once all is merged, before nginx serves.
#pragma once

#include <functional>

#include "ngx_module/settings.h"

namespace entitle::ngx {

struct Location {
    enum class Kind { server, exact, prefix, regex, named };
    Kind kind;
    ngx_http_core_loc_conf_t* core;  // of a regex, `name` is its pattern
    void** confs;                    // of every module
    std::vector<Location> inner{};   // in nginx's order, where it matters

    const LocationConf& conf() const;
    // What a module keeps for it.
    template <class T>
    const T*
    of(const ngx_module_t* module) const {
        return static_cast<const T*>(confs[module->ctx_index]);
    }
};

Location locations_of(const ngx_http_core_srv_conf_t* server);

// The server itself and all that lie in it.
void each_location(const Location& server,
                   const std::function<void(const Location&)>& f);

bool matches(const Location& regex, std::string_view path);

// The way to where `path`, without a query, is served; the server comes first.
std::vector<const Location*> way_to(const Location& server,
                                    std::string_view path);

// Null: nginx was built without that module.
const ngx_module_t* module_named(ngx_conf_t* cf, std::string_view name);

// Whether `try_files` stands there; `confs` are a location's, of every module.
bool tries_files(ngx_conf_t* cf, void** confs);

}  // namespace entitle::ngx
