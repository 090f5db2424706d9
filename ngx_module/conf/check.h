// What can be told only once all is merged: what cannot work, and what nobody
// can want. A server at a time; each topic has a file.
#pragma once

#include <set>

#include "ngx_module/conf/locations.h"

namespace entitle::ngx {

class Server {
  public:
    Server(ngx_conf_t* conf, const ngx_http_core_srv_conf_t* server);

    const ServerConf& conf() const;
    // Null: whoever is refused elsewhere is let in there. `uri` has no query,
    // or is the name of a location; empty: it is nowhere.
    const Location* gated_at(std::string_view uri) const;

    // `return` answers whatever comes there, so no gate is ever asked.
    bool answers_first(const Location& location) const;

    // Once each.
    void warn(const std::string& what, const Where& where);
    void refuse(const std::string& what, const Where& where);
    bool
    refused() const {
        return refused_;
    }

    ngx_conf_t* const cf;
    const ngx_http_core_srv_conf_t* const core;
    const Location root;

  private:
    bool is_new(const std::string& line);

    std::set<std::string> said_;
    bool refused_ = false;
};

// ngx_module/conf/check_gates.cc: gates that cannot open.
void check_gates(Server& server);
// ngx_module/conf/check_pages.cc: where those are sent who are refused, what
// the app is asked, and the cookie that comes of it.
void check_pages(Server& server);
// ngx_module/conf/check_doors.cc: ways past a gate.
void check_doors(Server& server);

// ngx_module/conf/check_grants.cc: grants that nothing can meet. False:
// refused.
bool grants_can_be_met(ngx_conf_t* cf, std::vector<Server>& servers);

// ngx_module/conf/check_stripe.cc: where Stripe is asked.
void check_stripe(Server& server);

// ngx_module/conf/check_idle.cc: directives about visitors where nobody is
// asked who is there.
void check_idle(ngx_conf_t* cf, const std::vector<Server>& servers);

// All of that. NGX_ERROR: refused.
ngx_int_t check_servers(ngx_conf_t* cf) noexcept;

// --- for them
// -----------------------------------------------------------------

std::string text(const Where& where);
std::string name_of(const Location& location);
bool keeps_out(const Location& location);
// Nothing leads to the server itself where "location /" takes what is left.
bool is_covered(const Location& location);

}  // namespace entitle::ngx
