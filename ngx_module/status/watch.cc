#include "ngx_module/status/watch.h"

#include "core/record/keys.h"
#include "core/report/words.h"
#include "ngx_module/counting.h"
#include "ngx_module/edge.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/status/ask.h"

namespace entitle::ngx {

namespace {

constexpr Milliseconds kFirst{5000};
constexpr Milliseconds kAgain{60'000};
// What a purchase may take to be told whole: its session may come after its
// subscription. The webhook itself was warned of at once.
constexpr std::int64_t kLongEnough = 60;  // s

class Watch {
  public:
    explicit Watch(const MainConf* conf)
        : conf_(conf),
          asked_(conf, on_asked, this),
          timer_([](void* self) { static_cast<Watch*>(self)->look(); }, this) {
        timer_.start(kFirst);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

  private:
    void
    look() {
        if (worker_quits()) {
            return;
        }
        timer_.start(kAgain);
        conf_->counted->hours.note(ngx_time() / 3600, counted_totals(conf_));
        asked_.begin();  // where Redis is away the client has said so
    }

    static void
    say(const SpaceStatus& space, const WaitingList& list,
        const std::string& key, const char* what, std::string_view command) {
        ngx_str_t name = str(key);
        if (!list.error.empty()) {
            ngx_str_t error = str(list.error);
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "entitle: \"%V\" cannot be read, so who is kept "
                          "waiting is not known: %V",
                          &name, &error);
            return;
        }
        const std::int64_t age = list.oldest_seconds(ngx_time());
        if (list.count == 0 || age < kLongEnough) {
            return;
        }
        const std::string words =
            command_words(command, {}, space.prefix, space.mode);
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "entitle: %L in \"%V\" %s, the oldest for %L s: %s",
                      list.count, &name, what, age, words.c_str());
    }

    void
    tell() const {
        for (const SpaceStatus& space : asked_.spaces()) {
            const Keys keys(space.prefix, space.mode);
            say(space, space.parked, keys.parked(), "paid and belong to nobody",
                "parked");
            say(space, space.unmatched, keys.unmatched(),
                "are paid for and open nothing", "unmatched");
        }
    }

    static void
    on_asked(void* data) noexcept {
        auto* self = static_cast<Watch*>(data);
        edge::event("watch", [=] {
            if (self->asked_.reachable()) {
                self->tell();
            }
        });
    }

    const MainConf* conf_;
    SpacesAsked asked_;
    RedisTimer timer_;
};

}  // namespace

void
watch_begin(const MainConf* conf) noexcept {
    const bool first = ngx_process == NGX_PROCESS_SINGLE ||
                       (ngx_process == NGX_PROCESS_WORKER && ngx_worker == 0);
    if (!first || !conf->used) {
        return;
    }
    edge::event("watch", [=] { conf->worker->make<Watch>(conf); });
}

}  // namespace entitle::ngx
