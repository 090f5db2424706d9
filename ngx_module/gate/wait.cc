#include "ngx_module/gate/wait.h"

#include <algorithm>
#include <unordered_map>

#include "core/crypto/siphash.h"
#include "ngx_module/gate/lookup.h"
#include "ngx_module/gate/ruling.h"

namespace entitle::ngx {

namespace {

// What a request keeps of its waiting; a part of its gate. Times are
// ngx_current_msec.
struct Waiting {
    explicit Waiting(Gate* of) : gate(of) {}
    ~Waiting() {
        end();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    // Off the list, if it is on it.
    void end() noexcept;

    Gate* gate;
    enum class State {
        not_yet,
        listed,
        over,  // a request waits once, wherever it is redirected to
    } state = State::not_yet;
    bool held = false;     // nothing but the list will wake it
    bool changed = false;  // look again
    bool failed = false;   // the newest look
    bool pulse = false;    // pulse_at has come
    Hash128 user{};
    std::uint64_t address = 0;  // of the client; 0: a unix socket
    ngx_msec_t since = 0;
    ngx_msec_t until = 0;
    ngx_msec_t look_at = 0;      // while changes are not heard
    ngx_msec_t pulse_at = 0;     // of an open stream; 0: none
    std::uint64_t heard_by = 0;  // changes_heard() before the newest look
};

// The worker's list.
class WaitRoom final : RecordListener {
  public:
    WaitRoom(RecordCache& cache, ngx_uint_t limit, ngx_uint_t limit_per);
    ~WaitRoom();
    WaitRoom(const WaitRoom&) = delete;
    WaitRoom& operator=(const WaitRoom&) = delete;

    // False: it is full, or of this user or address.
    bool enter(Waiting* waiting);
    void leave(Waiting* waiting) noexcept;

  private:
    // RecordListener
    void changed(const Hash128& user) noexcept override;
    void everything_changed() noexcept override;
    bool
    listens() const noexcept override {
        return !all_.empty();
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
    std::unordered_multimap<Hash128, Waiting*, ByUser> all_;
    std::unordered_map<std::uint64_t, ngx_uint_t> by_address_;
    ngx_uint_t limit_;
    ngx_uint_t limit_per_;
    ngx_event_t timer_{};
    time_t full_noted_ = 0;
};

// How soon a worker that has to exit is noticed.
constexpr ngx_msec_t kTick = 100;
constexpr ngx_msec_t kLook = 1000;
constexpr time_t kNoteFullAgain = 60;

bool
is_past(ngx_msec_t time) {
    return static_cast<ngx_msec_int_t>(time - ngx_current_msec) <= 0;
}

void
call(Waiting* waiting) noexcept {
    if (waiting->held) {
        waiting->held = false;
        gate_wake(waiting->gate);
    }
}

void
call_to_look(Waiting* waiting) noexcept {
    waiting->changed = true;
    call(waiting);
}

bool
has_to_look(const Waiting& waiting, std::uint64_t heard_by) {
    return heard_by == 0 || waiting.failed ? is_past(waiting.look_at)
                                           : heard_by != waiting.heard_by;
}

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
WaitRoom::enter(Waiting* entering) {
    const Waiting& waiting = *entering;
    if (all_.size() >= limit_) {
        note_full(limit_, "requests wait");
        return false;
    }
    if (all_.count(waiting.user) >= limit_per_) {
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
    all_.emplace(waiting.user, entering);
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
WaitRoom::leave(Waiting* waiting) noexcept {
    const auto [begin, end] = all_.equal_range(waiting->user);
    const auto at = std::find_if(
        begin, end, [&](const auto& entry) { return entry.second == waiting; });
    if (at != end) {
        all_.erase(at);
        const auto of_address = by_address_.find(waiting->address);
        if (of_address != by_address_.end() && --of_address->second == 0) {
            by_address_.erase(of_address);
        }
    }
    if (all_.empty() && timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
}

void
WaitRoom::changed(const Hash128& user) noexcept {
    const auto [begin, end] = all_.equal_range(user);
    std::for_each(begin, end,
                  [](const auto& entry) { call_to_look(entry.second); });
}

void
WaitRoom::everything_changed() noexcept {
    for (const auto& [user, waiting] : all_) {
        call_to_look(waiting);
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
    for (const auto& [user, waiting] : all_) {
        if (is_past(waiting->until) || worker_quits()) {
            call(waiting);
        } else {
            next = std::min(next, waiting->until - ngx_current_msec);
        }
        if (has_to_look(*waiting, cache_.changes_heard())) {
            call_to_look(waiting);
        }
        if (waiting->pulse_at != 0 && is_past(waiting->pulse_at)) {
            waiting->pulse = true;
            call(waiting);
        }
    }
    ngx_add_timer(&timer_, std::max<ngx_msec_t>(next, 1));
}

// --- a request ---------------------------------------------------------------

void
Waiting::end() noexcept {
    if (state == State::listed) {
        state = State::over;
        held = false;
        main_conf(gate->request)->worker->find<WaitRoom>()->leave(this);
    }
}

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
begin(ngx_http_request_t* r, Waiting& waiting, const Order& order) {
    const ngx_msec_t time = time_to_wait(r);
    if (time == 0) {
        return false;
    }
    waiting.state = Waiting::State::over;
    if (worker_quits()) {
        return false;
    }
    waiting.user = record_user(r, *order.identity().user);
    waiting.address = address_of(r->connection);
    waiting.since = ngx_current_msec;
    waiting.until = ngx_current_msec + time;
    if (room_of(main_conf(r)).enter(&waiting)) {
        waiting.state = Waiting::State::listed;
    }
    return waiting.state == Waiting::State::listed;
}

// What a request does that would be answered by a ruling.
enum class WaitStep {
    answer,
    look,  // again, from the record on
    hold,  // until gate_wake
};

WaitStep
look(ngx_http_request_t* r, Waiting& waiting, Order& order) {
    waiting.changed = false;
    waiting.heard_by = record_cache(main_conf(r)).changes_heard();
    // Apart from each other, when many began to wait at once.
    waiting.look_at = ngx_current_msec + kLook * 3 / 4 +
                      static_cast<ngx_msec_t>(ngx_random()) % (kLook / 2);
    order.look_again(r);
    return WaitStep::look;
}

bool
may_get_better(const Ruling& ruling) {
    return ruling.decision != Decision::allow_unverified &&
           (ruling.decision == Decision::pay ||
            ruling.reason == Reason::redis_unreachable);
}

WaitStep
end(ngx_http_request_t* r, Waiting& waiting, const Ruling& ruling) {
    waiting.end();
    ngx_str_t decision = str(name(ruling.decision));
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "entitle: waited %M ms: %V", ngx_current_msec - waiting.since,
                  &decision);
    return WaitStep::answer;
}

WaitStep
next_step(ngx_http_request_t* r, Waiting& waiting, Order& order,
          const Ruling& ruling) {
    waiting.held = false;
    if (waiting.state != Waiting::State::listed) {
        const bool may_begin = waiting.state == Waiting::State::not_yet &&
                               ruling.decision == Decision::pay;
        return may_begin && begin(r, waiting, order) ? look(r, waiting, order)
                                                     : WaitStep::answer;
    }
    if (!may_get_better(ruling) || is_past(waiting.until) || worker_quits()) {
        return end(r, waiting, ruling);
    }
    const auto& user = order.identity().user;
    if (user && waiting.user != record_user(r, *user)) {
        return end(r, waiting, ruling);  // the app says it is somebody else now
    }
    if (waiting.changed) {
        return look(r, waiting, order);
    }
    waiting.failed = ruling.decision == Decision::error;
    waiting.held = true;
    return WaitStep::hold;
}

}  // namespace

ngx_int_t
wait_for_ruling(ngx_http_request_t* r, Gate* gate, Ruling& ruling) {
    for (;;) {
        const ngx_int_t rc = find_ruling(r, gate, ruling);
        if (rc != NGX_OK) {
            return rc;
        }
        // Nearly nobody waits, or has to.
        if (gate->find<Waiting>() == nullptr &&
            ruling.decision != Decision::pay) {
            return NGX_OK;
        }
        auto& waiting = gate->part<Waiting>();
        switch (next_step(r, waiting, gate->part<Order>(), ruling)) {
            case WaitStep::answer:
                return NGX_OK;
            case WaitStep::look:
                break;
            case WaitStep::hold:
                return gate_suspend(r);
        }
    }
}

void
set_pulse(Gate* gate, ngx_msec_t in) {
    auto& waiting = gate->part<Waiting>();
    waiting.pulse = false;
    waiting.pulse_at = ngx_current_msec + in;
}

bool
has_pulse(const Gate* gate) {
    const auto* waiting = gate->find<Waiting>();
    return waiting != nullptr && waiting->pulse;
}

}  // namespace entitle::ngx
