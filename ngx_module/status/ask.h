// What Redis knows of each prefix and mode, for entitle_status and the watch:
// one key after the other, since in a cluster each has a node of its own.
#pragma once

#include <optional>
#include <vector>

#include "core/report/status.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// Its destructor undoes what is under way.
class SpacesAsked {
  public:
    // Called once all is known, or that Redis cannot be asked; never from
    // inside begin(). The object may be destroyed in there.
    using Done = void (*)(void* data) noexcept;

    SpacesAsked(const MainConf* conf, Done done, void* data);
    SpacesAsked(const SpacesAsked&) = delete;
    SpacesAsked& operator=(const SpacesAsked&) = delete;
    ~SpacesAsked() {
        redis_cancel(&exchange_);
    }

    // False: Redis is known to be away, and `done` will not come.
    bool begin();

    bool
    reachable() const {
        return reachable_;
    }
    const std::vector<SpaceStatus>&
    spaces() const {
        return spaces_;
    }
    const ReplicationStatus&
    replication() const {
        return replication_;
    }

  private:
    enum class Question { parked, unmatched, webhook, reconcile };
    static constexpr std::size_t kQuestions = 4;

    bool ask();
    void ask_about_list(std::string key);
    void take(const std::vector<Reply>& replies);
    // Whether `done` is to be called.
    bool next(RedisStatus status);
    static void on_replies(RedisExchange* exchange,
                           RedisStatus status) noexcept;

    const MainConf* conf_;
    Done done_;
    void* data_;
    std::vector<SpaceStatus> spaces_;
    std::size_t asked_ = 0;
    bool asks_replicas_ = false;
    bool reachable_ = false;
    ReplicationStatus replication_;
    RedisExchange exchange_;
};

}  // namespace entitle::ngx
