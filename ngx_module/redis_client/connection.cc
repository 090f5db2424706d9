#include "ngx_module/redis_client/connection.h"

#include <array>

#include "core/redis/error.h"
#include "ngx_module/edge.h"
#include "ngx_module/redis_client/ssl.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;

}  // namespace

// nginx's time is as old as this turn of the event loop.
ngx_msec_t
RedisConnection::from_now(ngx_msec_t time) {
    ngx_time_update();
    return ngx_current_msec + time;
}

RedisConnection::RedisConnection(const MainConf* conf, Owner* owner)
    : conf_(conf), owner_(owner) {
    log_ = *ngx_cycle->log;
    log_.handler = log_context;
    log_.data = this;

    timer_.handler = on_timer;
    timer_.data = this;
    timer_.log = &log_;
    timer_.cancelable = 1;

    flush_.handler = on_flush;
    flush_.data = this;
    flush_.log = &log_;

    found_.handler = on_found;
    found_.data = this;
    found_.log = &log_;

    recheck_.handler = on_recheck;
    recheck_.data = this;
    recheck_.log = &log_;
    recheck_.cancelable = 1;

    set_endpoint(conf->redis_endpoints->front());
}

void
RedisConnection::set_endpoint(Endpoint endpoint) {
    endpoint_ = std::move(endpoint);
    endpoint_text_ = endpoint_.text();
    address_text_ = str(endpoint_text_);
}

u_char*
RedisConnection::log_context(ngx_log_t* log, u_char* buffer, std::size_t size) {
    auto* self = static_cast<RedisConnection*>(log->data);
    return ngx_snprintf(buffer, size, ", redis: \"%V\"", &self->address_text_);
}

// Where nginx calls in: what throws (no memory) costs the connection.
template <class F>
void
RedisConnection::guard(RedisConnection* self, F f) noexcept {
    edge::event("redis connection", f, [=]() noexcept {
        edge::event(
            "redis connection",
            [=] { self->close(RedisStatus::unavailable, true, "no memory"); },
            [=]() noexcept { self->shut(); });
    });
}

void
RedisConnection::on_read(ngx_event_t* event) noexcept {
    auto* c = static_cast<ngx_connection_t*>(event->data);
    auto* self = static_cast<RedisConnection*>(c->data);
    // Told to go while responses depend on what is heard here: it stays open.
    const bool stays = c->idle && !c->error && !worker_is_done();
    guard(self, [=] {
        if (c->close && stays) {
            c->close = 0;  // said once; what is asked later has its answer
            self->receive();
        } else if (c->close && c->idle) {
            self->close(RedisStatus::unavailable, false, "the worker quits");
        } else if (c->close) {
            // worker_shutdown_timeout: whoever waits is about to be ended, too.
            self->close(RedisStatus::unavailable, true,
                        "the worker must quit now");
        } else if (self->state_ == State::connecting) {
            on_write(c->write);
        } else {
            self->receive();
        }
    });
}

void
RedisConnection::on_write(ngx_event_t* event) noexcept {
    auto* c = static_cast<ngx_connection_t*>(event->data);
    auto* self = static_cast<RedisConnection*>(c->data);
    guard(self, [=] {
        if (self->state_ == State::connecting) {
            self->connect_ended();
        } else {
            self->flush();
        }
    });
}

void
RedisConnection::on_secured(ngx_connection_t* c) noexcept {
    auto* self = static_cast<RedisConnection*>(c->data);
    guard(self, [=] { self->secured(); });
}

void
RedisConnection::on_timer(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisConnection*>(event->data);
    guard(self, [=] { self->expire(); });
}

void
RedisConnection::on_flush(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisConnection*>(event->data);
    guard(self, [=] { self->flush(); });
}

void
RedisConnection::on_found(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisConnection*>(event->data);
    guard(self, [=] { self->found(); });
}

void
RedisConnection::on_recheck(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisConnection*>(event->data);
    guard(self, [=] {
        if (!worker_is_done()) {
            self->lookup_.start(*self->conf_, self->endpoint_.host);
        }
    });
}

void
RedisConnection::send(Pending pending) {
    queue_.push_back(std::move(pending));
    update_idle();
    if (state_ == State::ready) {
        ngx_post_event(&flush_, &ngx_posted_events);
    }
}

void
RedisConnection::say(const Command& command) {
    append_command(out_, command);
    ngx_post_event(&flush_, &ngx_posted_events);
}

void
RedisConnection::flush() {
    if (leaving_ && !held_ && written_ == 0) {
        close(RedisStatus::unavailable, false, leaving_why_);
        return;
    }
    if (state_ == State::ready && (held_ || !leaving_) &&
        written_ < queue_.size()) {
        if (marks_writes_ && may_mark_) {
            push_mark();
        }
        ngx_msec_t deadline = from_now(conf_->redis_timeout);
        for (; written_ < queue_.size(); written_++) {
            queue_[written_]->deadline = deadline + queue_[written_]->more_time;
            out_ += queue_[written_]->bytes;
        }
        arm_timer(queue_.front()->deadline);
    }
    while (talks() && sent_ < out_.size()) {
        ssize_t n = c_->send(c_, reinterpret_cast<u_char*>(out_.data()) + sent_,
                             out_.size() - sent_);
        if (n == NGX_AGAIN || n == 0) {
            break;
        }
        if (n == NGX_ERROR) {
            // As in receive(): before it ever answered this is a refusal.
            close(RedisStatus::unavailable, state_ != State::ready,
                  "it closed the connection");
            return;
        }
        sent_ += static_cast<std::size_t>(n);
    }
    if (!talks()) {
        return;
    }
    if (sent_ == out_.size()) {
        out_.clear();
        sent_ = 0;
    }
    if (ngx_handle_write_event(c_->write, 0) != NGX_OK) {
        close(RedisStatus::unavailable, true, "cannot watch the socket");
    }
}

void
RedisConnection::receive() {
    u_char buffer[kReadSize];
    while (talks()) {
        ssize_t n = c_->recv(c_, buffer, sizeof(buffer));
        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(c_->read, 0) != NGX_OK) {
                close(RedisStatus::unavailable, true,
                      "cannot watch the socket");
            }
            return;
        }
        if (n == 0 || n == NGX_ERROR) {
            // Before it ever answered this is a refusal.
            bool failed = state_ != State::ready;
            close(RedisStatus::unavailable, failed,
                  n == 0 ? "it closed the connection" : "recv() failed");
            return;
        }
        reader_->feed(
            {reinterpret_cast<char*>(buffer), static_cast<std::size_t>(n)});
        take_replies();
    }
}

void
RedisConnection::take_replies() {
    while (talks()) {
        Reply reply;
        switch (reader_->next(reply)) {
            case ReplyReader::Result::need_more:
                return;
            case ReplyReader::Result::too_big:
                take_no_more();
                return;
            case ReplyReader::Result::protocol_error:
                close(RedisStatus::unavailable, true,
                      "protocol error: " + reader_->error());
                return;
            case ReplyReader::Result::got:
                take(std::move(reply));
                break;
        }
    }
}

void
RedisConnection::take(Reply reply) {
    if (state_ == State::greeting) {
        take_greeting(reply);
        return;
    }
    if (listening_) {
        if (!owner_->pushed(this, reply)) {
            close(RedisStatus::unavailable, false,
                  "it pushed what was not asked for");
        }
        return;
    }
    if (written_ == answered_) {
        close(RedisStatus::unavailable, true,
              "it sent a reply that was not asked for");
        return;
    }
    if (reply.is_error() && meaning_of(reply) == ErrorMeaning::elsewhere) {
        leave("it said \"" + reply.text + '"');
    }
    PendingExchange& head = *queue_[answered_];
    head.replies.push_back(std::move(reply));
    if (head.replies.size() < head.expected) {
        return;
    }
    answered_++;
    if (!head.mark.empty()) {
        // Errors are told apart from answers to others by what they mean.
        const Reply& mark = head.replies.front();
        if (mark.text != head.mark &&
            (!mark.is_error() || meaning_of(mark) == ErrorMeaning::wrong)) {
            static Seldom seldom;
            seldom.say(NGX_LOG_WARN, &log_,
                       "entitle: redis: its answers do not fit what it was "
                       "asked");
            close(RedisStatus::unavailable, false,
                  "its answers do not fit what it was asked");
            return;
        }
    } else if (marks_writes_ && may_mark_) {
        return;
    }
    complete_answered();
    if (leaving_) {
        ngx_post_event(&flush_, &ngx_posted_events);
    }
}

void
RedisConnection::push_mark() {
    std::string mark = "entitle-" + std::to_string(++marks_);
    const Command ping{"PING", mark};
    queue_.push_back(make_pending({&ping, 1}));
    queue_.back()->mark = std::move(mark);
}

void
RedisConnection::complete_answered() {
    for (; answered_ > 0; answered_--) {
        Pending done = std::move(queue_.front());
        queue_.pop_front();
        written_--;
        if (done->mark.empty()) {
            owner_->completed(std::move(done));
        }
    }
    update_idle();
}

// A key too big to be read concerns who asked for it. The others ask once more,
// over another connection, and Redis is as well as it was.
void
RedisConnection::take_no_more() {
    if (state_ != State::ready || listening_ || written_ == answered_) {
        close(RedisStatus::unavailable, true, "protocol error: reply too big");
        return;
    }
    const auto at = queue_.begin() + static_cast<std::ptrdiff_t>(answered_);
    Pending head = std::move(*at);
    queue_.erase(at);
    written_--;
    const std::string text =
        "TOOBIG its answer about \"" +
        (head->wanted() ? head->exchange->key : std::string("?")) +
        "\" is over " + std::to_string(ReplyReader::kMaxUnreadBytes >> 20) +
        " MiB or " + std::to_string(ReplyReader::kMaxElements) + " elements";
    static Seldom seldom;
    ngx_str_t said = str(text);
    seldom.error(&log_, "entitle: redis cannot be read: %V", &said);
    while (head->replies.size() < head->expected) {
        head->replies.push_back({Reply::Type::error, 0, text, {}});
    }
    owner_->completed(std::move(head));
    close(RedisStatus::unavailable, false, "a reply was too big");
}

void
RedisConnection::restart_timer(ngx_msec_t deadline) {
    if (timer_.timer_set) {
        ngx_del_timer(&timer_);
    }
    deadline_ = deadline;
    arm_timer(deadline);
}

// The timer is left running when its exchange is answered and looks again when
// it fires: most exchanges never touch the timer tree.
void
RedisConnection::arm_timer(ngx_msec_t deadline) {
    if (timer_.timer_set) {
        return;
    }
    auto wait = static_cast<ngx_msec_int_t>(deadline - ngx_current_msec);
    ngx_add_timer(&timer_, static_cast<ngx_msec_t>(wait > 0 ? wait : 1));
}

void
RedisConnection::expire() {
    ngx_msec_t deadline;
    if (state_ == State::ready && written_ > 0) {
        deadline = queue_.front()->deadline;
    } else if (state_ == State::closed || state_ == State::ready) {
        return;
    } else {
        deadline = deadline_;
    }
    if (static_cast<ngx_msec_int_t>(deadline - ngx_current_msec) > 0) {
        last_look_ = false;
        arm_timer(deadline);
        return;
    }
    // A worker that was held up may come here before it has looked at its
    // sockets: the answer may be there already.
    last_look_ = !last_look_;
    if (last_look_) {
        ngx_add_timer(&timer_, 1);
        return;
    }
    std::string_view why = "its answer timed out";
    if (state_ == State::finding) {
        why = "finding its address timed out";
    } else if (state_ == State::connecting) {
        why = "connecting timed out";
    } else if (state_ == State::securing) {
        why = "the TLS handshake timed out";
    }
    close(RedisStatus::timed_out, true, why);
}

void
RedisConnection::set_held(bool held) {
    held_ = held;
    update_idle();
    if (leaving_ && !held) {
        ngx_post_event(&flush_, &ngx_posted_events);
    }
}

void
RedisConnection::update_idle() {
    bool nobody_waits = queue_.empty();
    timer_.cancelable = nobody_waits;
    if (c_ != nullptr) {
        c_->idle = nobody_waits && !held_;
    }
}

void
RedisConnection::drop_socket() {
    if (c_ != nullptr) {
        ssl_end(c_);
        ngx_close_connection(c_);
        c_ = nullptr;
    }
    out_.clear();
    sent_ = 0;
}

void
RedisConnection::shut() {
    state_ = State::closed;
    listening_ = false;
    leaving_ = false;
    lookup_.cancel();
    for (ngx_event_t* event : {&timer_, &recheck_}) {
        if (event->timer_set) {
            ngx_del_timer(event);
        }
    }
    for (ngx_event_t* event : {&flush_, &found_}) {
        if (event->posted) {
            ngx_delete_posted_event(event);
        }
    }
    drop_socket();
    queue_.clear();
    written_ = 0;
    answered_ = 0;
}

void
RedisConnection::close(RedisStatus status, bool failed, std::string_view why) {
    if (failed && state_ != State::ready && next_address_ < addresses_.size()) {
        drop_socket();
        state_ = State::finding;
        ngx_post_event(&found_, &ngx_posted_events);
        return;
    }
    Ending ending = Ending::lost;
    if (failed) {
        ending = state_ == State::ready || status == RedisStatus::timed_out
                     ? Ending::failed
                     : Ending::refused;
    }
    // `why` may view what shut() frees. Without memory the owner is told, too.
    std::array<char, 256> reason;
    const std::size_t length = why.copy(reason.data(), reason.size());
    left_.swap(queue_);
    shut();
    owner_->closed(this, left_, status, ending, {reason.data(), length});
    left_.clear();
}

}  // namespace entitle::ngx
