#include "ngx_module/conf/check.h"

#include <algorithm>

#include "ngx_module/conf/conf.h"
#include "ngx_module/conf/rewrites.h"
#include "ngx_module/edge.h"

namespace entitle::ngx {
namespace {

using Kind = Location::Kind;

ngx_int_t
check(Server& server) {
    check_gates(server);
    check_stripe(server);
    if (server.refused()) {
        return NGX_ERROR;
    }
    check_pages(server);
    check_doors(server);
    return NGX_OK;
}

}  // namespace

std::string
text(const Where& where) {
    return std::string(view(where.file)) + ":" + std::to_string(where.line);
}

std::string
name_of(const Location& location) {
    return location.kind == Kind::server
               ? "this server"
               : "location \"" + std::string(view(location.core->name)) + "\"";
}

bool
keeps_out(const Location& location) {
    const LocationConf& conf = location.conf();
    return conf.gated() && conf.gate == static_cast<ngx_uint_t>(GateMode::on);
}

bool
is_covered(const Location& location) {
    return location.kind == Kind::server &&
           std::any_of(location.inner.begin(), location.inner.end(),
                       [](const Location& inner) {
                           return inner.kind == Kind::prefix &&
                                  view(inner.core->name) == "/";
                       });
}

Server::Server(ngx_conf_t* conf, const ngx_http_core_srv_conf_t* server)
    : cf(conf), core(server), root(locations_of(server)) {}

const ServerConf&
Server::conf() const {
    return *static_cast<const ServerConf*>(
        core->ctx->srv_conf[ngx_http_entitle_module.ctx_index]);
}

const Location*
Server::gated_at(std::string_view uri) const {
    if (uri.empty()) {
        return nullptr;
    }
    const Location* location = nullptr;
    if (uri.starts_with('@')) {
        const auto named = std::find_if(
            root.inner.begin(), root.inner.end(), [&](const Location& inner) {
                return inner.kind == Kind::named &&
                       view(inner.core->name) == uri;
            });
        location = named == root.inner.end() ? nullptr : &*named;
    } else {
        location = way_to(root, uri).back();
    }
    return location != nullptr && keeps_out(*location) ? location : nullptr;
}

bool
Server::answers_first(const Location& location) const {
    return rewrites_of(cf, root.confs).returns != 0 ||
           rewrites_of(cf, location.confs).returns != 0;
}

bool
Server::is_new(const std::string& line) {
    return said_.insert(line).second;
}

void
Server::warn(const std::string& what, const Where& where) {
    const std::string line = what + ", in " + text(where);
    if (is_new(line)) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0, "%s", line.c_str());
    }
}

void
Server::refuse(const std::string& what, const Where& where) {
    refused_ = true;
    if (is_new(what + text(where))) {
        missing(cf, where, what.c_str());
    }
}

ngx_int_t
check_servers(ngx_conf_t* cf) noexcept {
    const auto* core = static_cast<const ngx_http_core_main_conf_t*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
    auto** servers =
        static_cast<ngx_http_core_srv_conf_t**>(core->servers.elts);
    return edge::answer("configuration", [&] {
        ngx_int_t result = NGX_OK;
        std::vector<Server> all;
        for (ngx_uint_t i = 0; i < core->servers.nelts; i++) {
            all.emplace_back(cf, servers[i]);
            if (check(all.back()) != NGX_OK) {
                result = NGX_ERROR;
            }
        }
        if (result == NGX_OK && !grants_can_be_met(cf, all)) {
            result = NGX_ERROR;
        }
        if (result == NGX_OK) {
            check_idle(cf, all);
        }
        return result;
    });
}

}  // namespace entitle::ngx
