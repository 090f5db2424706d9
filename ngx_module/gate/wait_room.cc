#include "ngx_module/gate/wait_room.h"

#include <algorithm>

#include "ngx_module/counting.h"

namespace entitle::ngx {

namespace {

// How soon a worker that has to exit is noticed.
constexpr ngx_msec_t kTick = 100;
constexpr time_t kNoteFullAgain = 60;

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

}  // namespace

Waiting::~Waiting() {
    end(WaitEnd::left);
}

void
Waiting::end(WaitEnd how) noexcept {
    if (state != State::listed) {
        return;
    }
    state = State::over;
    held = false;
    const MainConf* conf = main_conf(gate->request);
    WaitRoom* room = conf->worker->find<WaitRoom>();
    room->leave(this);
    note_held(conf, room->size());
    SharedTally& counts = tally(conf);
    counts.waits[static_cast<std::size_t>(how)] += 1;
    counts.wait_times.add(kWaitTimes,
                          static_cast<std::int64_t>(ngx_current_msec - since));
}

WaitRoom::WaitRoom(RecordCache& cache, ngx_uint_t limit, ngx_uint_t limit_per)
    : cache_(cache), limit_(limit), limit_per_(limit_per) {
    cache_.add_listener(this);
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = ngx_cycle->log;
}

WaitRoom::~WaitRoom() {
    cache_.remove_listener(this);
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
    ngx_uint_t* of_address =
        waiting.address == 0 ? nullptr : &by_address_[waiting.address];
    if (of_address != nullptr && *of_address >= limit_per_) {
        note_full(limit_per_, "requests of one address wait");
        return false;
    }
    all_.emplace(waiting.user, entering);
    if (waiting.beside) {
        try {
            beside_.emplace(*waiting.beside, entering);
        } catch (...) {
            remove(all_, waiting.user, entering);
            throw;
        }
    }
    if (of_address != nullptr) {
        ++*of_address;  // nothing after this fails
    }
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
WaitRoom::remove(Waiters& from, const Hash128& user,
                 const Waiting* waiting) noexcept {
    const auto [begin, end] = from.equal_range(user);
    const auto at = std::find_if(
        begin, end, [&](const auto& entry) { return entry.second == waiting; });
    if (at != end) {
        from.erase(at);
    }
}

void
WaitRoom::leave(Waiting* waiting) noexcept {
    const std::size_t before = all_.size();
    remove(all_, waiting->user, waiting);
    if (waiting->beside) {
        remove(beside_, *waiting->beside, waiting);
    }
    if (all_.size() != before) {
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
    for (const Waiters* waiters : {&all_, &beside_}) {
        const auto [begin, end] = waiters->equal_range(user);
        std::for_each(begin, end,
                      [](const auto& entry) { call_to_look(entry.second); });
    }
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

}  // namespace entitle::ngx
