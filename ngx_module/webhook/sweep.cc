#include "ngx_module/webhook/sweep.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/delivery/sweep.h"
#include "ngx_module/edge.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/redis_client/timer.h"
#include "ngx_module/seldom.h"
#include "ngx_module/webhook/spaces.h"

namespace entitle::ngx {

namespace {

constexpr Milliseconds kFirst{3000};  // and as much again, by chance
constexpr Milliseconds kNextPart{1000};
constexpr Milliseconds kNextList{10};
constexpr Milliseconds kNextPass{300'000};
constexpr Milliseconds kAgain{60'000};  // Redis did not answer

// One list after the other, in parts.
class Sweeper {
  public:
    explicit Sweeper(const MainConf* conf)
        : talk_(conf, on_done, this),
          timer_([](void* self) { static_cast<Sweeper*>(self)->go_on(); },
                 this) {
        for (const PrefixServers& one : servers_by_prefix()) {
            for (const Mode mode : {Mode::live, Mode::test}) {
                const Keys keys(one.prefix, mode);
                lists_.push_back({keys, readers_of(one, mode), false});
                lists_.push_back({keys, readers_of(one, mode), true});
            }
        }
        timer_.start(kFirst + Milliseconds{static_cast<std::int64_t>(
                                  random_bits() % kFirst.count())});
    }
    ~Sweeper() {
        timer_.stop();
        talk_.stop();
    }
    Sweeper(const Sweeper&) = delete;
    Sweeper& operator=(const Sweeper&) = delete;

  private:
    struct List {
        Keys keys;
        std::vector<const ServerConf*> servers;
        bool parked;  // else what is unmatched
        std::string
        key() const {
            return parked ? keys.parked() : keys.unmatched();
        }
    };

    // Servers that open the same by the same rules are one.
    static std::vector<DeliveryOptions>
    views_of(const List& list) {
        std::vector<DeliveryOptions> views;
        for (const ServerConf* server : list.servers) {
            const bool known = std::any_of(
                views.begin(), views.end(), [&](const DeliveryOptions& view) {
                    return view.grants == server->grants &&
                           view.policy == *server->policy;
                });
            if (!known) {
                views.push_back({.keys = list.keys,
                                 .policy = *server->policy,
                                 .grants = server->grants,
                                 .now = wall_clock(),
                                 .jitter_seed = random_bits()});
            }
        }
        return views;
    }

    void
    go_on() {
        if (worker_quits()) {
            return;
        }
        const List& list = lists_[at_];
        auto views = views_of(list);
        talk_.start(list.parked ? sweep_parked(std::move(views), from_)
                                : sweep_unmatched(std::move(views), from_));
        if (talk_.done()) {
            pass_over();
        }
    }

    // Redis is away, or something in this part is too large to be read, which
    // must not keep the others from being looked at.
    void
    pass_over() noexcept {
        from_ += kMostSwept;
        timer_.start(kAgain);
    }

    void
    take(const Swept& swept) {
        const List& list = lists_[at_];
        tell(list, swept);
        awaited_ += swept.awaited;
        if (swept.error.empty() && !swept.end) {
            from_ += swept.stay;
            timer_.start(kNextPart);
            return;
        }
        if (swept.error.empty() && !list.parked) {
            tell_of_awaited(list);
        }
        awaited_ = 0;
        from_ = 0;
        at_ = (at_ + 1) % lists_.size();
        timer_.start(at_ == 0 ? kNextPass : kNextList);
    }

    static void
    tell(const List& list, const Swept& swept) {
        const std::string key = list.key();
        ngx_str_t name = str(key);
        if (swept.gone != 0) {
            const char* why =
                list.parked ? "nobody's money waits there any more"
                            : "they open something now, are ignored or over";
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "entitle: %uz taken off \"%V\": %s", swept.gone,
                          &name, why);
        }
        if (!swept.error.empty()) {
            static Seldom seldom;
            ngx_str_t error = str(swept.error);
            seldom.say(NGX_LOG_WARN, ngx_cycle->log,
                       "entitle: \"%V\" is not looked through for what is "
                       "settled: %V",
                       &name, &error);
        }
    }

    // Once for as many as there are.
    void
    tell_of_awaited(const List& list) {
        const std::string key = list.key();
        std::size_t& told = told_[key];
        if (awaited_ > told) {
            ngx_str_t name = str(key);
            ngx_log_error(
                NGX_LOG_WARN, ngx_cycle->log, 0,
                "entitle: %uz in \"%V\" paid for a subscription, and Stripe "
                "has not said that it runs: does the endpoint get "
                "\"customer.subscription.created\" and \"updated\", or "
                "\"invoice.paid\"?",
                awaited_, &name);
        }
        told = awaited_;
    }

    static void
    on_done(void* data) noexcept {
        auto* self = static_cast<Sweeper*>(data);
        edge::event(
            "sweep",
            [=] {
                if (self->talk_.error().empty()) {
                    self->take(self->talk_.result());
                } else {
                    self->pass_over();
                }
            },
            [=]() noexcept { self->pass_over(); });
    }

    std::vector<List> lists_;
    std::size_t at_ = 0;                       // which list
    std::size_t from_ = 0;                     // how many of it stay
    std::size_t awaited_ = 0;                  // of the list looked through
    std::map<std::string, std::size_t> told_;  // by list
    RedisTalk<Swept> talk_;
    RedisTimer timer_;
};

}  // namespace

void
sweep_begin(const MainConf* conf) noexcept {
    const bool first = ngx_process == NGX_PROCESS_SINGLE ||
                       (ngx_process == NGX_PROCESS_WORKER && ngx_worker == 0);
    if (!first || !conf->used) {
        return;
    }
    edge::event("sweep", [=] { conf->worker->make<Sweeper>(conf); });
}

}  // namespace entitle::ngx
