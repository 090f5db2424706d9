#include "ngx_module/gate/wait.h"

#include <algorithm>
#include <unordered_map>

#include "ngx_module/gate/identity.h"

namespace entitle::ngx {

// The worker's list.
class WaitRoom final : RecordListener {
  public:
    WaitRoom(RecordCache& cache, ngx_uint_t limit, ngx_uint_t limit_per);
    ~WaitRoom();
    WaitRoom(const WaitRoom&) = delete;
    WaitRoom& operator=(const WaitRoom&) = delete;

    // As gate->waiting says. False: it is full, or of this user or address.
    bool enter(Gate* gate);
    void leave(Gate* gate) noexcept;

  private:
    // RecordListener
    void changed(const Hash128& user) noexcept override;
    void everything_changed() noexcept override;
    bool
    listens() const noexcept override {
        return !gates_.empty();
    }

    struct ByUser {
        std::size_t
        operator()(const Hash128& user) const {
            return user.high;
        }
    };

    static void on_timer(ngx_event_t* event) noexcept;
    void tick() noexcept;
    void note_full(ngx_uint_t limit, std::string_view of);

    RecordCache& cache_;
    std::unordered_multimap<Hash128, Gate*, ByUser> gates_;
    std::unordered_map<std::uint64_t, ngx_uint_t> by_address_;
    ngx_uint_t limit_;
    ngx_uint_t limit_per_;
    ngx_event_t timer_{};
    time_t full_noted_ = 0;
};

namespace {

// How soon a worker that has to exit is noticed.
constexpr ngx_msec_t kTick = 100;
constexpr ngx_msec_t kLook = 1000;
constexpr time_t kNoteFullAgain = 60;

bool
is_past(ngx_msec_t time) {
    return static_cast<ngx_msec_int_t>(time - ngx_current_msec) <= 0;
}

void
call(Gate* gate) noexcept {
    if (gate->waiting.held) {
        gate->waiting.held = false;
        gate_wake(gate);
    }
}

void
call_to_look(Gate* gate) noexcept {
    gate->waiting.changed = true;
    call(gate);
}

bool
has_to_look(const Waiting& waiting, std::uint64_t heard_by) {
    return heard_by == 0 || waiting.failed ? is_past(waiting.look_at)
                                           : heard_by != waiting.heard_by;
}

}  // namespace

WaitRoom::WaitRoom(RecordCache& cache, ngx_uint_t limit, ngx_uint_t limit_per)
    : cache_(cache), limit_(limit), limit_per_(limit_per) {
    cache_.set_listener(this);
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = ngx_cycle->log;
}

WaitRoom::~WaitRoom() {
    cache_.set_listener(nullptr);
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
}

bool
WaitRoom::enter(Gate* gate) {
    const Waiting& waiting = gate->waiting;
    if (gates_.size() >= limit_) {
        note_full(limit_, "requests wait");
        return false;
    }
    if (gates_.count(waiting.user) >= limit_per_) {
        note_full(limit_per_, "requests of one user wait");
        return false;
    }
    if (waiting.address != 0) {
        ngx_uint_t& count = by_address_[waiting.address];
        if (count >= limit_per_) {
            note_full(limit_per_, "requests of one address wait");
            return false;
        }
        count++;
    }
    gates_.emplace(waiting.user, gate);
    if (!timer_.timer_set) {
        ngx_add_timer(&timer_, 1);
    }
    return true;
}

void
WaitRoom::note_full(ngx_uint_t limit, std::string_view of) {
    if (ngx_time() - full_noted_ < kNoteFullAgain) {
        return;
    }
    full_noted_ = ngx_time();
    const ngx_str_t what = str(of);
    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "entitle: %ui %V, as many as \"entitle_wait_limit\" lets: "
                  "more are answered at once",
                  limit, &what);
}

void
WaitRoom::leave(Gate* gate) noexcept {
    const auto [begin, end] = gates_.equal_range(gate->waiting.user);
    const auto at = std::find_if(
        begin, end, [&](const auto& entry) { return entry.second == gate; });
    if (at != end) {
        gates_.erase(at);
        const auto of_address = by_address_.find(gate->waiting.address);
        if (of_address != by_address_.end() && --of_address->second == 0) {
            by_address_.erase(of_address);
        }
    }
    if (gates_.empty() && timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
}

void
WaitRoom::changed(const Hash128& user) noexcept {
    const auto [begin, end] = gates_.equal_range(user);
    std::for_each(begin, end,
                  [](const auto& entry) { call_to_look(entry.second); });
}

void
WaitRoom::everything_changed() noexcept {
    for (const auto& [user, gate] : gates_) {
        call_to_look(gate);
    }
}

void
WaitRoom::on_timer(ngx_event_t* event) noexcept {
    static_cast<WaitRoom*>(event->data)->tick();
}

// Calling only posts events: nobody leaves the list meanwhile.
void
WaitRoom::tick() noexcept {
    ngx_msec_t next = kTick;
    for (const auto& [user, gate] : gates_) {
        Waiting& waiting = gate->waiting;
        if (is_past(waiting.until) || worker_quits()) {
            call(gate);
        } else {
            next = std::min(next, waiting.until - ngx_current_msec);
        }
        if (has_to_look(waiting, cache_.changes_heard())) {
            call_to_look(gate);
        }
        if (waiting.pulse_at != 0 && is_past(waiting.pulse_at)) {
            waiting.pulse = true;
            call(gate);
        }
    }
    ngx_add_timer(&timer_, std::max<ngx_msec_t>(next, 1));
}

// --- a request ---------------------------------------------------------------

namespace {

WaitRoom&
room_of(const MainConf* conf) {
    WaitRoom* room = conf->worker->find<WaitRoom>();
    return room != nullptr ? *room
                           : conf->worker->make<WaitRoom>(record_cache(conf),
                                                          conf->wait_limit,
                                                          conf->wait_limit_per);
}

// 0: not at all.
ngx_msec_t
time_to_wait(ngx_http_request_t* r) {
    const LocationConf* conf = location_conf(r);
    if (conf->gate != static_cast<ngx_uint_t>(GateMode::on)) {
        return 0;
    }
    if (conf->poll != 0 || conf->wait.time == 0 ||
        conf->wait.only_if == nullptr) {
        return conf->poll != 0 ? conf->poll : conf->wait.time;
    }
    ngx_str_t text;
    if (ngx_http_complex_value(r, conf->wait.only_if, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return text.len == 0 || view(text) == "0" ? 0 : conf->wait.time;
}

// Whoever has one IPv6 address has all of its /64.
std::uint64_t
address_of(const ngx_connection_t* c) {
    std::uint64_t address = 0;
    if (c->sockaddr->sa_family == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(c->sockaddr);
        address = std::uint64_t{0xffff} << 32 | in->sin_addr.s_addr;
    }
#if (NGX_HAVE_INET6)
    if (c->sockaddr->sa_family == AF_INET6) {
        const auto* in = reinterpret_cast<const sockaddr_in6*>(c->sockaddr);
        ngx_memcpy(&address, &in->sin6_addr, sizeof(address));
    }
#endif
    return address;
}

bool
begin(ngx_http_request_t* r, Gate* gate) {
    const ngx_msec_t time = time_to_wait(r);
    if (time == 0) {
        return false;
    }
    Waiting& waiting = gate->waiting;
    waiting.state = Waiting::State::over;
    if (worker_quits()) {
        return false;
    }
    waiting.user = record_user(r, gate);
    waiting.address = address_of(r->connection);
    waiting.since = ngx_current_msec;
    waiting.until = ngx_current_msec + time;
    if (room_of(main_conf(r)).enter(gate)) {
        waiting.state = Waiting::State::listed;
    }
    return waiting.state == Waiting::State::listed;
}

// What the app said stands under the version it was asked under, like the
// session it gets for that, so that a change makes it stale. But an app that
// renews its cookie when asked is asked once: the client does not have the new
// one yet.
void
keep_app_answer(ngx_http_request_t* r, Gate* gate) {
    if (!gate->answer) {
        return;
    }
    if (!gate->before) {
        gate->before = {*gate->identity.user, gate->record.standing.version};
    }
    if (!gate->answer->set_cookies.empty()) {
        return;
    }
    const UnixTime asked = gate->answer->asked_at;
    gate->identity.issued_at = asked;
    gate->identity.recheck_at =
        asked + Seconds{location_conf(r)->session_recheck};
    if (identity_kind(location_conf(r)) == IdentitySource::Kind::edge_session) {
        gate->identity.version = gate->before->version;
    }
    gate->answer.reset();
    gate->before.reset();
}

WaitStep
look(ngx_http_request_t* r, Gate* gate) {
    Waiting& waiting = gate->waiting;
    waiting.changed = false;
    waiting.heard_by = record_cache(main_conf(r)).changes_heard();
    // Apart from each other, when many began to wait at once.
    waiting.look_at = ngx_current_msec + kLook * 3 / 4 +
                      static_cast<ngx_msec_t>(ngx_random()) % (kLook / 2);
    keep_app_answer(r, gate);
    gate->stage = Gate::Stage::read_record;
    return WaitStep::look;
}

bool
may_get_better(const Gate* gate) {
    return gate->ruling.decision == Decision::pay ||
           gate->ruling.reason == Reason::redis_unreachable;
}

WaitStep
end(ngx_http_request_t* r, Gate* gate) {
    wait_leave(gate);
    ngx_str_t decision = str(name(gate->ruling.decision));
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "entitle: waited %M ms: %V",
                  ngx_current_msec - gate->waiting.since, &decision);
    return WaitStep::answer;
}

}  // namespace

WaitStep
wait_step(ngx_http_request_t* r, Gate* gate) {
    Waiting& waiting = gate->waiting;
    waiting.held = false;
    if (waiting.state != Waiting::State::listed) {
        const bool may_begin = waiting.state == Waiting::State::not_yet &&
                               gate->ruling.decision == Decision::pay;
        return may_begin && begin(r, gate) ? look(r, gate) : WaitStep::answer;
    }
    if (gate->ruling.decision == Decision::allow_unverified ||
        !may_get_better(gate) || is_past(waiting.until) || worker_quits()) {
        return end(r, gate);
    }
    if (gate->identity.user && waiting.user != record_user(r, gate)) {
        return end(r, gate);  // the app says it is somebody else now
    }
    if (waiting.changed) {
        return look(r, gate);
    }
    waiting.failed = gate->ruling.decision == Decision::error;
    waiting.held = true;
    return WaitStep::hold;
}

void
wait_leave(Gate* gate) noexcept {
    if (gate->waiting.state == Waiting::State::listed) {
        gate->waiting.state = Waiting::State::over;
        gate->waiting.held = false;
        main_conf(gate->request)->worker->find<WaitRoom>()->leave(gate);
    }
}

}  // namespace entitle::ngx
