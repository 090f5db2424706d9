// The worker's accounts of credits: what it has taken in advance for a user,
// and who waits for more. One account a user, server and name, as long as it is
// used and for some seconds beyond; then what is left is given back.
//
// Whoever asks joins the question that is under way, and what it comes to is
// shared out in the order in which they came. An account counts as long as no
// worker of the node has heard of a change of the record; where nobody hears,
// it is read anew once a second.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/credit/wallet.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/redis_client/timer.h"

namespace entitle::ngx {

class PurseAccount;

// Who wants credits, or waits for them. Its destructor leaves.
class CreditClaim {
  public:
    enum class Answer { none, paid, exhausted, unreachable, unreadable };

    CreditClaim() = default;
    ~CreditClaim() {
        leave();
    }
    CreditClaim(const CreditClaim&) = delete;
    CreditClaim& operator=(const CreditClaim&) = delete;

    void leave() noexcept;

    Gate* gate = nullptr;  // woken when there is an answer
    std::int64_t cost = 0;
    bool looks = false;  // nothing is taken: `paid` says that it could be
    Answer answer = Answer::none;
    Charge charge;          // of `paid`
    std::int64_t left = 0;  // then

  private:
    friend class PurseAccount;
    PurseAccount* waits_at_ = nullptr;
    bool asked_for_ = false;  // by the question that is under way
};

class PurseAccount {
  public:
    PurseAccount(const MainConf* conf, const ServerConf* server,
                 const User& user, const std::string& name);
    ~PurseAccount();
    PurseAccount(const PurseAccount&) = delete;
    PurseAccount& operator=(const PurseAccount&) = delete;

    // The claim is answered at once, or waits.
    void ask(CreditClaim& claim, std::int64_t block);
    // A request that is not to be paid for.
    void put_back(const Charge& charge, std::int64_t block);
    // One that was let by while Redis was away, or was after all not.
    void owe(std::int64_t cost);
    // One that costs more than was said, when it has been answered already:
    // what there is.
    void pay_late(std::int64_t cost);

    const CreditWallet&
    wallet() const {
        return wallet_;
    }
    bool is_idle() const;
    // What is held is given back. False: there is nothing to do.
    bool settle();
    void leave(CreditClaim& claim) noexcept;
    ngx_msec_t used_at = 0;

  private:
    static void on_done(void* data) noexcept;
    void done();
    void give_up() noexcept;
    void check();
    bool pay(CreditClaim& claim);
    bool knows_exhausted(const CreditClaim& claim) const;
    void start(std::int64_t need);
    void talk(CreditTaking taking);
    void finish_late();
    void fail(const std::string& error, CreditClaim::Answer why);
    void answer_all(bool failed, CreditClaim::Answer why);
    std::int64_t waited_for();
    void wake(CreditClaim& claim, CreditClaim::Answer answer) noexcept;
    void begin_if_wanted();

    const MainConf* conf_;
    const ServerConf* server_;
    User user_;
    std::string name_;
    Hash128 hash_;
    CreditWallet wallet_;
    RedisTalk<CreditsTaken> talk_;
    bool talking_ = false;
    bool read_anew_ = true;  // the account is, at the next question
    CreditTaking asked_;
    std::vector<CreditClaim*> waiting_;
    const CreditClaim* asking_ = nullptr;  // in ask(): it needs no waking
    std::int64_t block_ = 1;
    std::int64_t late_ = 0;
    // When the account was read: by whom changes were heard of, and how many.
    std::uint64_t heard_ = 0;
    std::uint32_t changes_ = 0;
    ngx_msec_t read_at_ = 0;
    std::optional<ngx_msec_t> exhausted_at_;
};

class Purse {
  public:
    explicit Purse(const MainConf* conf);
    Purse(const Purse&) = delete;
    Purse& operator=(const Purse&) = delete;

    std::shared_ptr<PurseAccount> account(const ServerConf* server,
                                          const User& user,
                                          const std::string& name);
    // It holds something: it is looked after.
    void look_after() noexcept;

  private:
    static void tick(void* data);
    void tend();

    const MainConf* conf_;
    std::unordered_map<std::string, std::shared_ptr<PurseAccount>> accounts_;
    std::string key_;
    RedisTimer timer_;
    int ticks_at_end_ = 0;  // while the worker waits for it
};

// The worker's. Throws std::bad_alloc.
Purse& purse_of(const MainConf* conf);

}  // namespace entitle::ngx
