#include "ngx_module/gate/live_room.h"

#include <algorithm>
#include <utility>

#include "ngx_module/edge.h"

namespace entitle::ngx {

namespace {

// A logout in another worker is noticed as soon, and that changes are not
// heard.
constexpr ngx_msec_t kTick = 25;
constexpr ngx_msec_t kOverdue = 100;
constexpr ngx_msec_t kLookAgain = 250;
// In one turn of the event loop.
constexpr int kLooks = 64;
constexpr int kCuts = 64;
// Gates read over the same connection.
constexpr std::size_t kMostAsked = 64;

bool
is_past(ngx_msec_t time) {
    return static_cast<ngx_msec_int_t>(time - ngx_current_msec) <= 0;
}

Live*
live_at(ngx_queue_t* at) {
    return ngx_queue_data(at, Live, at);
}

// `see` may take it off the list.
template <class See>
void
each_response(LiveUser& user, See see) {
    for (ngx_queue_t* at = ngx_queue_head(&user.responses);
         at != ngx_queue_sentinel(&user.responses);) {
        Live* live = live_at(at);
        at = ngx_queue_next(at);
        see(*live);
    }
}

void
take_off(ngx_queue_t& at) {
    ngx_queue_remove(&at);
    ngx_queue_init(&at);
}

// The smallest of its responses, which all of them are told by.
void
set_patience(LiveUser& user, RecordQuestion& question) {
    question.lease = static_cast<ngx_msec_t>(NGX_MAX_INT_T_VALUE);
    question.stale = Seconds::max();
    each_response(user, [&](const Live& live) {
        question.lease = std::min(question.lease, live.location->lease);
        question.stale =
            std::min(question.stale, Seconds{live.location->stale});
    });
}

LiveRoom*
room_of(const Gate* gate) {
    return main_conf(gate->request)->worker->find<LiveRoom>();
}

}  // namespace

void
Live::end() noexcept {
    if (LiveRoom* room = room_of(gate)) {
        room->leave(*this);
    }
}

LiveUser::LiveUser(const User& its_name, const ServerConf* of)
    : name(its_name), server(of) {
    ngx_queue_init(&responses);
    ngx_queue_init(&turn);
}

LiveUser::~LiveUser() {
    each_response(*this, [](Live& live) {
        take_off(live.at);
        live.user = nullptr;
    });
    ngx_queue_remove(&turn);
}

LiveRoom::LiveRoom(const MainConf* conf)
    : conf_(conf), cache_(record_cache(conf)), ends_(conf->live_ends) {
    ngx_queue_init(&turns_);
    ngx_queue_init(&ending_);
    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = ngx_cycle->log;
    timer_.cancelable = 1;
    work_.handler = on_work;
    work_.data = this;
    work_.log = ngx_cycle->log;
    cache_.add_listener(this);
}

LiveRoom::~LiveRoom() {
    cache_.remove_listener(this);
    users_.clear();
    while (!ngx_queue_empty(&ending_)) {
        take_off(*ngx_queue_head(&ending_));
    }
    rest();
}

// --- who is on the list ------------------------------------------------------

void
LiveRoom::enter(Live& live, const User& name, bool sure) {
    leave(live);
    const ServerConf* server = server_conf(live.gate->request);
    const Hash128 hash = cache_.user_of(*server->audience, name);
    if (users_.empty()) {
        begin();
    }
    const auto [at, is_new] = users_.try_emplace(hash, name, server);
    LiveUser& user = at->second;
    if (is_new) {
        user.number = cache_.changes_of(hash);
        user.unsure = heard_by_ == 0;
        user.sure_at = ngx_current_msec;
        user.look_at = ngx_current_msec + live.location->lease;
    }
    live.user = &user;
    live.why = Reason::ok;
    ngx_queue_insert_tail(&user.responses, &live.at);
    next_end_ = std::min(next_end_, live.until);
    if (!sure) {
        take_turn(user);
    }
}

void
LiveRoom::leave(Live& live) noexcept {
    take_off(live.at);
    LiveUser* user = std::exchange(live.user, nullptr);
    if (user != nullptr && ngx_queue_empty(&user->responses)) {
        forget(*user);
    }
}

void
LiveRoom::forget(LiveUser& user) noexcept {
    if (user.asking) {
        asking_--;
        soon();  // another may ask
    }
    users_.erase(cache_.user_of(*user.server->audience, user.name));
    if (users_.empty()) {
        rest();
    }
}

void
LiveRoom::begin() {
    serving_.emplace();
    cache_.listen();
    heard_by_ = cache_.changes_heard();
    heard_at_ = ngx_current_msec;
    seen_ = ends_.told();
    next_end_ = kForever;
    ngx_add_timer(&timer_, kTick);
}

// What has to end is worked off yet.
void
LiveRoom::rest() noexcept {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
    if (work_.posted && ngx_queue_empty(&ending_)) {
        ngx_delete_posted_event(&work_);
    }
    serving_.reset();
}

// --- who has to be asked about -----------------------------------------------

void
LiveRoom::soon() noexcept {
    if (!work_.posted) {
        ngx_post_event(&work_, &ngx_posted_events);
    }
}

void
LiveRoom::take_turn(LiveUser& user) noexcept {
    if (user.lookup != nullptr) {
        user.again = true;
    } else if (ngx_queue_empty(&user.turn)) {
        ngx_queue_insert_tail(&turns_, &user.turn);
        soon();
    }
}

void
LiveRoom::note_change(LiveUser& user) noexcept {
    if (!std::exchange(user.unsure, true)) {
        user.sure_at = ngx_current_msec;
    }
    user.changed = true;
    take_turn(user);
}

void
LiveRoom::changed(const Hash128& hash) noexcept {
    const auto at = users_.find(hash);
    if (at != users_.end()) {
        note_change(at->second);
    }
}

void
LiveRoom::everything_changed() noexcept {
    for (auto& [hash, user] : users_) {
        note_change(user);
    }
}

void
LiveRoom::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<LiveRoom*>(event->data);
    edge::event("what is under way is watched", [=] { self->tick(); });
    if (!self->users_.empty()) {
        ngx_add_timer(&self->timer_, kTick);
    }
}

void
LiveRoom::tick() {
    if (is_past(overdue_at_)) {
        overdue_at_ = ngx_current_msec + kOverdue;
        cache_.listen();
        note_overdue();
    }
    note_hearing();
    note_ended();
    if (ends_.told() != seen_) {
        soon();
    }
}

// Under another subscription something may have been missed in between.
void
LiveRoom::note_hearing() noexcept {
    const std::uint64_t heard_by = cache_.changes_heard();
    if (heard_by != heard_by_) {
        for (auto& [hash, user] : users_) {
            if (!user.unsure) {
                user.unsure = true;
                user.sure_at = heard_at_;
            }
            if (heard_by != 0) {
                take_turn(user);
            } else {
                // Apart from each other: all of them began to wait at once.
                const LiveUser* of = &user;
                user.look_at = ngx_current_msec +
                               static_cast<ngx_msec_t>(ngx_random()) %
                                   live_at(ngx_queue_head(&of->responses))
                                       ->location->lease;
            }
        }
        heard_by_ = heard_by;
    }
    if (heard_by_ != 0) {
        heard_at_ = ngx_current_msec;
    }
}

void
LiveRoom::note_overdue() noexcept {
    for (auto& [hash, user] : users_) {
        if (user.unsure && user.lookup == nullptr) {
            if (cache_.changes_of(hash) != user.number && !user.changed) {
                note_change(user);
            } else if (is_past(user.look_at)) {
                take_turn(user);
            }
        }
    }
}

void
LiveRoom::note_ended() noexcept {
    if (now() < next_end_) {
        return;
    }
    next_end_ = kForever;
    for (auto& [hash, user] : users_) {
        each_response(user, [&, &of = user](const Live& live) {
            if (live.until <= now()) {
                take_turn(of);
            } else {
                next_end_ = std::min(next_end_, live.until);
            }
        });
    }
}

void
LiveRoom::log_out(const LiveEnd& end) {
    ends_.tell(end);
    soon();
}

// --- asking, and ending ------------------------------------------------------

void
LiveRoom::on_work(ngx_event_t* event) noexcept {
    auto* self = static_cast<LiveRoom*>(event->data);
    edge::event("what is under way is asked about", [=] { self->work(); });
    const bool may_ask =
        !ngx_queue_empty(&self->turns_) && self->asking_ < kMostAsked;
    if ((may_ask || !ngx_queue_empty(&self->ending_)) && !self->work_.posted) {
        ngx_post_event(&self->work_, &ngx_posted_next_events);
    }
}

void
LiveRoom::work() {
    take_ends();
    for (int looks = 0;
         looks < kLooks && asking_ < kMostAsked && !ngx_queue_empty(&turns_);
         looks++) {
        auto* user = ngx_queue_data(ngx_queue_head(&turns_), LiveUser, turn);
        take_off(user->turn);
        edge::event(
            "who is served is asked about in vain", [=, this] { look(*user); },
            [=, this]() noexcept {
                user->lookup = nullptr;
                user->unsure = true;
                user->look_at = ngx_current_msec + kLookAgain;
            });
    }
    for (int cuts = 0; cuts < kCuts && !ngx_queue_empty(&ending_); cuts++) {
        Live* live = live_at(ngx_queue_head(&ending_));
        take_off(live->at);
        live_cut(*live);
    }
}

void
LiveRoom::take_ends() {
    if (ends_.told() == seen_) {
        return;
    }
    std::vector<LiveEnd> ends;
    if (!ends_.take_after(seen_, ends)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: so many sessions ended at once that responses "
                      "of some may not have been cut");
    }
    for (const LiveEnd& end : ends) {
        const auto at = users_.find(end.user);
        if (at == users_.end()) {
            continue;
        }
        LiveUser& user = at->second;
        each_response(user, [&](Live& live) {
            if (end.device == 0 || live.device == 0 ||
                end.device == live.device) {
                finish(live, Reason::logged_out);
            }
        });
        if (ngx_queue_empty(&user.responses)) {
            forget(user);
        }
    }
}

// From inside the cache, which is let be.
void
LiveRoom::on_answer(void* data) noexcept {
    auto* user = static_cast<LiveUser*>(data);
    LiveRoom* room = room_of(live_at(ngx_queue_head(&user->responses))->gate);
    user->asking = false;
    room->asking_--;
    ngx_queue_insert_head(&room->turns_, &user->turn);
    room->soon();
}

void
LiveRoom::look(LiveUser& user) {
    if (user.lookup == nullptr) {
        user.lookup = std::make_unique<RecordLookup>(on_answer, &user);
        user.number = cache_.changes_of(
            cache_.user_of(*user.server->audience, user.name));
    }
    RecordQuestion question{.keys = user.server->keys,
                            .space = *user.server->audience,
                            .user = &user.name,
                            .lease = 0,
                            .stale = Seconds{0},
                            .version_awaited = 0,
                            .of_primary = false};
    set_patience(user, question);
    const ngx_int_t rc = cache_.lookup(*user.lookup, question);
    if (rc == NGX_AGAIN) {
        user.asking = true;
        asking_++;
        return;
    }
    const std::unique_ptr<RecordLookup> lookup = std::move(user.lookup);
    const bool again = std::exchange(user.again, false);
    const bool answered = rc == NGX_OK;
    if (answered && lookup->use != CacheUse::stale) {
        user.changed = again && user.changed;
        user.unsure = heard_by_ == 0 || again;
        user.sure_at = ngx_current_msec;
        user.look_at = ngx_current_msec + question.lease;
    } else {
        user.unsure = true;
        user.look_at = ngx_current_msec + kLookAgain;
    }
    judge(user, *lookup, answered);
    if (ngx_queue_empty(&user.responses)) {
        forget(user);
    } else if (again) {
        take_turn(user);
    }
}

// `answered`: `lookup` has the record; else why it has not.
void
LiveRoom::judge(LiveUser& user, const RecordLookup& lookup, bool answered) {
    const bool unreachable =
        !answered && lookup.trouble == Reason::redis_unreachable;
    each_response(user, [&](Live& live) {
        if (answered) {
            const auto why = live_refusal(live, lookup, live.until);
            next_end_ = std::min(next_end_, live.until);
            if (why) {
                finish(live, *why);
            }
            return;
        }
        if (unreachable && live.location->redis_down == 1) {
            return;
        }
        const ngx_msec_t patience =
            user.changed || !unreachable
                ? live.location->lease
                : static_cast<ngx_msec_t>(live.location->stale) * 1000;
        if (live.until <= now() || is_past(user.sure_at + patience)) {
            finish(live, lookup.trouble);
        }
    });
}

void
LiveRoom::finish(Live& live, Reason why) noexcept {
    ngx_queue_remove(&live.at);
    ngx_queue_insert_tail(&ending_, &live.at);
    live.user = nullptr;
    live.why = why;
    soon();
}

}  // namespace entitle::ngx
