#include "ngx_module/gate/ruling.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/access/packed_access.h"
#include "ngx_module/gate/identity.h"

namespace entitle::ngx {

namespace {

// --- entitle_require --------------------------------------------------------

// Empty, which never matches, where a variable in it is empty.
std::string_view
required_name(ngx_http_request_t* r, const RequireName& name) {
    ngx_str_t text;
    for (ngx_http_complex_value_t* variable : name.variables) {
        if (ngx_http_complex_value(r, variable, &text) != NGX_OK) {
            throw std::bad_alloc();
        }
        if (text.len == 0) {
            return {};
        }
    }
    if (ngx_http_complex_value(r, name.value, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return view(text);
}

// The worker's, of each server, since they learn.
struct AccessOfServers {
    std::unordered_map<const ServerConf*, PackedAccess> all;
};

PackedAccess&
access_of(ngx_http_request_t* r) {
    auto& all = main_conf(r)->worker->part<AccessOfServers>().all;
    const ServerConf* conf = server_conf(r);
    return all.try_emplace(conf, *conf->grants, *conf->policy).first->second;
}

// Who is let in is told from the packed record; the reasons of a refusal need
// all of it.
Ruling
rule_by_kept(ngx_http_request_t* r, const RecordLookup& record,
             std::span<const Alternatives> lines) {
    const ServerConf* conf = server_conf(r);
    if (record.packed.empty()) {
        return decide(record.standing, lines, *conf->grants, *conf->policy,
                      now());
    }
    PackedAccess& access = access_of(r);
    if (const auto held = access.effective(record.packed, now())) {
        if (const auto until = allowed_until(lines, *held)) {
            Ruling ruling{Decision::allow, Reason::ok, *until, {}, {}};
            ruling.same_until = access.unchanged_until();
            ruling.entitlements.reserve(held->size());
            for (const HeldEntitlement& entitlement : *held) {
                ruling.entitlements.emplace_back(entitlement.name);
            }
            return ruling;
        }
    }
    const std::optional<Standing> standing = unpack(record.packed);
    return standing
               ? decide(*standing, lines, *conf->grants, *conf->policy, now())
               : cannot_tell(Reason::record_unreadable);
}

// Old knowledge may let in; what somebody has bought since it cannot deny.
Ruling
rule_by_stale(Ruling ruling) {
    if (ruling.decision != Decision::allow) {
        return cannot_tell(Reason::redis_unreachable);
    }
    ruling.decision = Decision::allow_stale;
    return ruling;
}

// Anybody has a browser's id who asked for one: that alone lets nobody in.
Ruling
rule_in_trouble(ngx_http_request_t* r, const Order& order) {
    Ruling ruling = cannot_tell(order.trouble());
    if (order.trouble() == Reason::redis_unreachable && order.identity().user &&
        !order.by_browser() && location_conf(r)->redis_down == 1) {
        ruling.decision = Decision::allow_unverified;
    }
    return ruling;
}

// entitle_guest_user: whom nobody knows has bought nothing, so what would help
// is to buy. Who is to log in all the same: who showed a token that does not
// count, who polls, and where nothing is required that could be bought.
Ruling
rule_nobody(ngx_http_request_t* r, const Order& order) {
    const LocationConf* location = location_conf(r);
    const Reason why = order.identity().why;
    const bool bad_token =
        identity_kind(location) == IdentitySource::Kind::jwt &&
        why != Reason::no_session;
    if (location->guest == nullptr || location->poll != 0 || bad_token) {
        return not_logged_in(why);
    }
    if (location->require == nullptr) {
        return location->role == Role::redirect
                   ? Ruling{Decision::allow, Reason::ok, kForever, {}, {}}
                   : not_logged_in(why);
    }
    const ServerConf* server = server_conf(r);
    return decide(Standing{}, required_lines(r, location), *server->grants,
                  *server->policy, now());
}

Ruling
rule_found(ngx_http_request_t* r, const Order& order) {
    if (order.guest()) {
        return rule_nobody(r, order);
    }
    if (!order.known()) {
        return rule_in_trouble(r, order);
    }
    const LocationConf* location = location_conf(r);
    if (order.by_browser() && location->require == nullptr &&
        location->role == Role::none &&
        location->gate == static_cast<ngx_uint_t>(GateMode::on)) {
        return not_logged_in(Reason::no_session);
    }
    return rule_by_record(r, order.record(),
                          required_lines(r, location_conf(r)));
}

// entitle_poll: only what is known for certain ends the waiting, and without a
// requirement anything the user has does.
Ruling
rule_polled(ngx_http_request_t* r, Ruling ruling) {
    if (ruling.decision == Decision::allow_unverified) {
        return cannot_tell(Reason::redis_unreachable);
    }
    if (location_conf(r)->require != nullptr || !ruling.entitlements.empty()) {
        return ruling;
    }
    if (ruling.decision == Decision::allow_stale) {
        return cannot_tell(Reason::redis_unreachable);
    }
    if (ruling.decision == Decision::allow) {
        ruling.decision = Decision::pay;
        ruling.reason = Reason::not_entitled;
    }
    return ruling;
}

}  // namespace

std::vector<Alternatives>
required_lines(ngx_http_request_t* r, const LocationConf* location) {
    std::vector<Alternatives> lines;
    const std::vector<RequireLine>* configured = location->require;
    if (configured == nullptr) {
        return lines;
    }
    lines.reserve(configured->size());
    for (const RequireLine& line : *configured) {
        Alternatives& alternatives = lines.emplace_back();
        alternatives.reserve(line.size());
        for (const RequireName& name : line) {
            alternatives.push_back(required_name(r, name));
        }
    }
    return lines;
}

Ruling
rule_by_record(ngx_http_request_t* r, const RecordLookup& record,
               std::span<const Alternatives> lines) {
    Ruling ruling = rule_by_kept(r, record, lines);
    return record.use == CacheUse::stale ? rule_by_stale(std::move(ruling))
                                         : ruling;
}

bool
requires_by_variables(ngx_http_request_t* r) {
    const std::vector<RequireLine>* configured = location_conf(r)->require;
    if (configured == nullptr) {
        return false;
    }
    const auto asks = [](const RequireName& name) {
        return !name.variables.empty();
    };
    return std::any_of(configured->begin(), configured->end(),
                       [&](const RequireLine& line) {
                           return std::any_of(line.begin(), line.end(), asks);
                       });
}

void
add_required_variables(ngx_http_request_t* r, Evidence& evidence) {
    const std::vector<RequireLine>* configured = location_conf(r)->require;
    if (configured == nullptr) {
        return;
    }
    for (const RequireLine& line : *configured) {
        for (const RequireName& name : line) {
            if (!name.variables.empty()) {
                evidence.add(required_name(r, name));
            }
        }
    }
}

Ruling
rule(ngx_http_request_t* r, const Order& order) {
    Ruling ruling = rule_found(r, order);
    return location_conf(r)->poll != 0 ? rule_polled(r, std::move(ruling))
                                       : ruling;
}

ngx_int_t
find_ruling(ngx_http_request_t* r, Gate* gate, Ruling& ruling) {
    auto& order = gate->part<Order>();
    const ngx_int_t rc = order.find_out(r);
    if (rc == NGX_OK) {
        ruling = rule(r, order);
    }
    return rc;
}

}  // namespace entitle::ngx
