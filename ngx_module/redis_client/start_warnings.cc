#include "ngx_module/redis_client/start_warnings.h"

#include <set>

#include "core/redis/backoff.h"
#include "core/redis/warnings.h"
#include "ngx_module/edge.h"
#include "ngx_module/redis_client/client.h"

namespace entitle::ngx {

// Goes from primary to primary, in rounds, until all that are known have
// answered.
class RedisWarnings final : RedisConnection::Owner {
  public:
    explicit RedisWarnings(const MainConf* conf);
    ~RedisWarnings() {
        shut();
    }
    RedisWarnings(const RedisWarnings&) = delete;
    RedisWarnings& operator=(const RedisWarnings&) = delete;

    void shut();

  private:
    // RedisConnection::Owner
    void
    connected(RedisConnection*) override {}
    void completed(Pending pending) override;
    void closed(RedisConnection* connection, std::deque<Pending>& unanswered,
                RedisStatus status, Ending ending,
                std::string_view why) override;

    static void on_next(ngx_event_t* event) noexcept;

    void begin_round();
    void ask_next();
    bool take(const std::vector<Reply>& replies) const;
    void say(ngx_uint_t level, std::string_view what) const;

    const MainConf* conf_;
    RedisConnection connection_;
    Backoff backoff_{
        {.first = Milliseconds{1000}, .most = Milliseconds{60000}}};
    RedisTimer round_;
    ngx_event_t next_{};  // posted
    std::deque<RedisNode*> left_;
    bool again_ = false;  // another round is needed
    RedisNode* asked_ = nullptr;
    std::set<std::string> done_;  // addresses
};

namespace {

const std::vector<Command> kQuestions = {
    {"INFO", "memory"}, {"INFO", "persistence"}, {"INFO", "replication"}};

// Sentinels may still have to say where the primary is.
bool
has_address(const RedisNode& node) {
    const Endpoint& endpoint = node.endpoint();
    return !endpoint.host.host.empty() || !endpoint.path.empty();
}

}  // namespace

RedisWarnings::RedisWarnings(const MainConf* conf)
    : conf_(conf),
      connection_(conf, this),
      round_(
          [](void* self) { static_cast<RedisWarnings*>(self)->begin_round(); },
          this) {
    next_.handler = on_next;
    next_.data = this;
    next_.log = ngx_cycle->log;
    round_.start(Milliseconds{1});
}

void
RedisWarnings::shut() {
    round_.stop();
    forget(next_);
    connection_.shut();
}

void
RedisWarnings::on_next(ngx_event_t* event) noexcept {
    auto* self = static_cast<RedisWarnings*>(event->data);
    edge::event("redis warnings", [=] { self->ask_next(); });
}

void
RedisWarnings::begin_round() {
    if (worker_quits()) {
        return;
    }
    RedisTopology& primaries = redis_of(conf_).primaries();
    primaries.wanted();
    again_ = true;
    for (RedisNode* node : primaries.nodes()) {
        again_ = false;
        left_.push_back(node);
    }
    ask_next();
}

void
RedisWarnings::ask_next() {
    connection_.shut();
    for (; !left_.empty(); left_.pop_front()) {
        asked_ = left_.front();
        if (!has_address(*asked_)) {
            again_ = true;
        } else if (!done_.contains(asked_->endpoint().text())) {
            left_.pop_front();
            connection_.set_endpoint(asked_->endpoint());
            connection_.send(make_pending(kQuestions));
            connection_.open(true);
            return;
        }
    }
    if (again_) {
        round_.start(backoff_.next(random_bits()));
    }
}

void
RedisWarnings::completed(Pending pending) {
    if (take(pending->replies)) {
        done_.insert(connection_.endpoint().text());
    } else {
        again_ = true;
    }
    ngx_post_event(&next_, &ngx_posted_events);
}

void
RedisWarnings::closed(RedisConnection*, std::deque<Pending>&, RedisStatus,
                      Ending, std::string_view) {
    again_ = true;
    ngx_post_event(&next_, &ngx_posted_events);
}

// False: ask again later.
bool
RedisWarnings::take(const std::vector<Reply>& replies) const {
    std::string info;
    for (const Reply& reply : replies) {
        if (reply.is_error("NOPERM")) {
            say(NGX_LOG_INFO,
                "INFO is not permitted, so its settings are not "
                "looked at");
            return true;
        }
        if (reply.type != Reply::Type::string) {
            return false;
        }
        info += reply.text;
    }
    if (!says_primary(info)) {
        return false;
    }
    for (const std::string& warning : storage_warnings(info)) {
        say(NGX_LOG_WARN, warning);
    }
    const std::string wait =
        replica_wait_warning(connected_replicas(info), conf_->replica_wait);
    if (!wait.empty()) {
        say(NGX_LOG_WARN, wait);
    }
    return true;
}

void
RedisWarnings::say(ngx_uint_t level, std::string_view what) const {
    ngx_str_t name = str(asked_->name());
    ngx_str_t text = str(what);
    ngx_log_error(level, ngx_cycle->log, 0, "entitle: redis \"%V\": %V", &name,
                  &text);
}

// --- the interface -----------------------------------------------------------

void
redis_warnings_begin(const MainConf* conf) noexcept {
    const bool first = ngx_process == NGX_PROCESS_SINGLE ||
                       (ngx_process == NGX_PROCESS_WORKER && ngx_worker == 0);
    if (!first || !conf->used) {
        return;
    }
    edge::event("redis warnings",
                [=] { conf->worker->make<RedisWarnings>(conf); });
}

}  // namespace entitle::ngx
