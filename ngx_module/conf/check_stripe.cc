// Where Stripe is asked: a location that has the operator's key, shown to
// nobody, and that asks.

#include "ngx_module/conf/check.h"
#include "ngx_module/conf/rewrites.h"

namespace entitle::ngx {
namespace {

// One of each kind (core/stripe/asking.cc).
constexpr std::string_view kAsked[] = {
    "/v1/checkout/sessions/cs_1/line_items",
    "/v1/subscription_items",
    "/v1/invoices/in_1/lines",
    "/v1/entitlements/active_entitlements",
};

// Why nothing of Stripe's comes from there; empty: it may.
std::string
wrong_with(const Server& server, const Location& there) {
    if (there.kind == Location::Kind::server) {
        return "leads nowhere: this server has no location for it, with "
               "\"internal\" and \"proxy_pass\"";
    }
    const std::string leads = "leads to " + name_of(there);
    if (there.conf().role != Role::none) {
        return leads + ", which is for \"" +
               std::string(view(there.conf().role_directive)) + "\"";
    }
    if (there.core->internal != 1) {
        return leads +
               ", which is not \"internal\": the key that it has "
               "would be everybody's to use";
    }
    const Rewrites found = rewrites_of(server.cf, there.confs);
    if (found.returns != 0 || found.redirects) {
        return leads + ", where \"" +
               (found.returns != 0 ? "return" : "rewrite") +
               "\" answers and nobody asks Stripe";
    }
    const bool elsewhere = found.leads_away || found.has_if;
    if (!elsewhere && there.core->handler == nullptr &&
        !tries_files(server.cf, there.confs)) {
        return leads + ", which has no \"proxy_pass\": nobody asks Stripe";
    }
    return {};
}

}  // namespace

void
check_stripe(Server& server) {
    each_location(server.root, [&](const Location& location) {
        const LocationConf& conf = location.conf();
        if (conf.webhook == 0 || conf.stripe_request.len == 0) {
            return;
        }
        const std::string uri(view(conf.stripe_request));
        for (const std::string_view asked : kAsked) {
            const std::string path = uri + std::string(asked);
            const std::string wrong =
                wrong_with(server, *way_to(server.root, path).back());
            if (!wrong.empty()) {
                server.refuse(
                    "\"" + uri + "/\" in \"entitle_stripe_request\" " + wrong,
                    conf.stripe_request_where);
            }
        }
    });
}

}  // namespace entitle::ngx
