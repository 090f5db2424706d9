#include "ngx_module/gate/passage.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "ngx_module/gate/binding.h"
#include "ngx_module/gate/identity.h"
#include "ngx_module/gate/order.h"
#include "ngx_module/gate/response.h"
#include "ngx_module/gate/ruling.h"

namespace entitle::ngx {

namespace {

// Then it is looked for in the zone, which drops who is never looked for.
constexpr Seconds kLongest{10};

struct PassageMemory {
    explicit PassageMemory(std::size_t most) : all(fresh_key(), most) {}

    static SipKey
    fresh_key() {
        std::array<std::uint8_t, 16> key;
        if (RAND_bytes(key.data(), key.size()) != 1) {
            throw std::bad_alloc();
        }
        return SipKey::from(key);
    }

    Memory<Passage> all;
};

// A request of a location like this one is let in by nothing but what is in the
// evidence, the record, and the time.
bool
remembers(ngx_http_request_t* r) {
    const LocationConf* location = location_conf(r);
    return main_conf(r)->session_memory != 0 &&
           identity_kind(location) == IdentitySource::Kind::edge_session &&
           server_conf(r)->session_keys != nullptr && !polled(r);
}

// Null: there is none, or more than one.
const ngx_str_t*
only_cookie_line(ngx_http_request_t* r) {
    const ngx_str_t* only = nullptr;
    int lines = 0;
    compat::each_cookie_line(r, [&](const ngx_str_t& line) {
        only = &line;
        lines++;
    });
    return lines == 1 ? only : nullptr;
}

// nginx keeps what a variable said. What is asked before it is known who is
// asking is asked again by the gate and by all that comes after it: a map of
// $entitle_user must not go on saying what it says of nobody.
class UnsaidVariables {
  public:
    explicit UnsaidVariables(ngx_http_request_t* r) : r_(r), count_(count(r)) {
        kept_ =
            static_cast<Value*>(ngx_palloc(r->pool, count_ * sizeof(Value)));
        if (kept_ == nullptr) {
            throw std::bad_alloc();
        }
        std::copy_n(r->variables, count_, kept_);
    }
    ~UnsaidVariables() {
        std::copy_n(kept_, count_, r_->variables);
    }
    UnsaidVariables(const UnsaidVariables&) = delete;
    UnsaidVariables& operator=(const UnsaidVariables&) = delete;

  private:
    using Value = ngx_http_variable_value_t;

    static std::size_t
    count(ngx_http_request_t* r) {
        auto* core = static_cast<ngx_http_core_main_conf_t*>(
            ngx_http_get_module_main_conf(r, ngx_http_core_module));
        return core->variables.nelts;
    }

    ngx_http_request_t* r_;
    std::size_t count_;
    Value* kept_;
};

// The features of the gate have already begun to find out.
bool
is_under_way(ngx_http_request_t* r) {
    const Gate* gate = gate_of(r);
    return gate != nullptr && gate->find<Order>() != nullptr;
}

}  // namespace

std::optional<Evidence>
passage_evidence(ngx_http_request_t* r) {
    if (!remembers(r)) {
        return std::nullopt;
    }
    const ngx_str_t* cookies = only_cookie_line(r);
    if (cookies == nullptr) {
        return std::nullopt;
    }
    Evidence evidence(location_conf(r));
    evidence.add(view(*cookies));
    std::optional<UnsaidVariables> unsaid;
    if (bound_by_variables(r) || requires_by_variables(r)) {
        unsaid.emplace(r);
    }
    add_bound_variables(r, evidence);
    add_required_variables(r, evidence);
    // A variable may have asked for $entitle_user.
    return evidence.whole() && !is_under_way(r) ? std::optional(evidence)
                                                : std::nullopt;
}

std::shared_ptr<const Passage>
recall_passage(ngx_http_request_t* r, const Evidence& evidence) {
    auto* memory = main_conf(r)->worker->find<PassageMemory>();
    if (memory == nullptr) {
        return nullptr;
    }
    std::shared_ptr<const Passage> passage =
        memory->all.find(r->connection->number, evidence);
    const bool stands = passage != nullptr && passage->from <= now() &&
                        now() < passage->until &&
                        record_cache(main_conf(r))
                            .stands(passage->record, location_conf(r)->lease);
    if (!stands) {
        return nullptr;
    }
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "entitle: let in as before");
    return passage;
}

void
remember_passage(ngx_http_request_t* r, const Evidence& evidence,
                 const Order& order, const Ruling& ruling) {
    const Identity& identity = order.identity();
    const RecordLookup& record = order.record();
    if (ruling.decision != Decision::allow || !ruling.same_until ||
        !order.known() || !identity.user || !identity.same_until ||
        !record.found) {
        return;
    }
    const UnixTime until =
        std::min({*ruling.same_until, *identity.same_until, now() + kLongest});
    auto passage = std::make_shared<const Passage>(Passage{
        *identity.user, record.standing.version, ruling, *record.found, now(),
        until, identity.issued_at, std::to_string(record.standing.version),
        entitlements_text(ruling)});
    std::size_t size = sizeof(Passage) + passage->user.str().size() +
                       2 * passage->entitlements.size() +
                       passage->record.key.size();
    size += ruling.entitlements.size() * sizeof(std::string);
    const MainConf* conf = main_conf(r);
    auto* memory = conf->worker->find<PassageMemory>();
    if (memory == nullptr) {
        memory = &conf->worker->make<PassageMemory>(conf->session_memory);
    }
    memory->all.put(r->connection->number, evidence, std::move(passage), size);
}

}  // namespace entitle::ngx
