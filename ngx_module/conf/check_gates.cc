// Gates that cannot open, whoever comes.

#include "ngx_module/conf/check.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {
namespace {

// Internal ones take over what another gate has found out, or are the question
// itself.
bool
wants_to_know(const Location& location) {
    const LocationConf& conf = location.conf();
    const bool everywhere = conf.role == Role::logout && conf.logout_all;
    return everywhere || (keeps_out(location) && !is_covered(location) &&
                          location.core->internal != 1);
}

// A session is worth something only for the question that made it, so where
// nothing is asked none ever is.
void
check_known(Server& server, const Location& location) {
    const LocationConf& conf = location.conf();
    if (!wants_to_know(location) || conf.reauth.len != 0 ||
        identity_kind(&conf) != IdentitySource::Kind::edge_session) {
        return;
    }
    const bool gate = conf.role != Role::logout;
    server.refuse(
        std::string(gate ? "a gate" : "\"entitle_logout all\"") +
            " needs a way to know who is there: \"entitle_reauth\", which asks "
            "the app, or \"entitle_jwt\", \"entitle_session_redis\" or "
            "\"entitle_trusted_user\"; without one everybody is a guest for "
            "ever, required by the directive",
        gate ? conf.gate_where : conf.role_where);
}

}  // namespace

void
check_gates(Server& server) {
    each_location(server.root, [&](const Location& location) {
        check_known(server, location);
    });
}

}  // namespace entitle::ngx
