#include "ngx_module/gate/purse.h"

#include <algorithm>
#include <utility>

#include "ngx_module/edge.h"
#include "ngx_module/seldom.h"

namespace entitle::ngx {

namespace {

constexpr ngx_msec_t kSecond = 1000;
// Unused for so long, what is held is given back.
constexpr ngx_msec_t kIdle = 2 * kSecond;
constexpr ngx_msec_t kForgotten = 10 * kSecond;

// So often it is tried when the worker has to go.
constexpr int kTicksAtEnd = 50;

Milliseconds
pause() {
    return Milliseconds{worker_quits() ? 100 : 1000};
}

bool
is_older(ngx_msec_t then, ngx_msec_t than) {
    return ngx_current_msec - then >= than;
}

}  // namespace

void
CreditClaim::leave() noexcept {
    if (waits_at_ != nullptr) {
        waits_at_->leave(*this);
    }
}

// --- an account
// ---------------------------------------------------------------

PurseAccount::PurseAccount(const MainConf* conf, const ServerConf* server,
                           const User& user, const std::string& name)
    : conf_(conf),
      server_(server),
      user_(user),
      name_(name),
      hash_(record_cache(conf).user_of(*server->audience, user)),
      talk_(conf, on_done, this) {}

PurseAccount::~PurseAccount() {
    for (CreditClaim* claim : waiting_) {
        claim->waits_at_ = nullptr;
    }
}

void
PurseAccount::leave(CreditClaim& claim) noexcept {
    std::erase(waiting_, &claim);
    claim.waits_at_ = nullptr;
}

bool
PurseAccount::is_idle() const {
    return !talking_ && waiting_.empty();
}

// A change of the record may be one of the account.
void
PurseAccount::check() {
    RecordCache& cache = record_cache(conf_);
    const std::uint64_t heard = cache.changes_heard();
    if (cache.changes_of(hash_) != changes_ ||
        (heard != 0 && heard != heard_ && is_older(read_at_, kSecond))) {
        wallet_.doubt();
        exhausted_at_.reset();
    }
    if (heard == 0 && is_older(read_at_, kSecond)) {
        read_anew_ = true;
    }
}

bool
PurseAccount::pay(CreditClaim& claim) {
    if (claim.looks) {
        return wallet_.left() >= claim.cost;
    }
    std::optional<Charge> charge = wallet_.pay(claim.cost);
    if (charge) {
        claim.charge = *std::move(charge);
    }
    return charge.has_value();
}

// Whoever goes on asking when there is nothing left asks Redis once a second.
bool
PurseAccount::knows_exhausted(const CreditClaim& claim) const {
    return exhausted_at_ && !is_older(*exhausted_at_, kSecond) &&
           claim.cost > wallet_.left();
}

void
PurseAccount::ask(CreditClaim& claim, std::int64_t block) {
    used_at = ngx_current_msec;
    block_ = block;
    claim.answer = CreditClaim::Answer::none;
    check();
    if (!read_anew_ && wallet_.account(now()) != nullptr) {
        if (pay(claim)) {
            claim.answer = CreditClaim::Answer::paid;
            claim.left = wallet_.left();
            return;
        }
        if (claim.looks || knows_exhausted(claim)) {
            claim.answer = CreditClaim::Answer::exhausted;
            claim.left = wallet_.left();
            return;
        }
    }
    claim.asked_for_ = false;
    claim.waits_at_ = this;
    waiting_.push_back(&claim);
    asking_ = &claim;
    begin_if_wanted();
    asking_ = nullptr;
}

std::int64_t
PurseAccount::waited_for() {
    std::int64_t need = 0;
    for (CreditClaim* claim : waiting_) {
        claim->asked_for_ = true;
        need += claim->looks ? 0 : claim->cost;
    }
    return std::min(need, kMostCredits);
}

void
PurseAccount::begin_if_wanted() {
    if (!talking_ && (!waiting_.empty() || late_ > 0)) {
        start(waited_for() + late_);
    }
}

void
PurseAccount::start(std::int64_t need) {
    const std::int64_t missing =
        std::max<std::int64_t>(0, need - wallet_.held());
    const std::int64_t want = missing == 0 ? 0 : std::max(missing, block_);
    talk(wallet_.taking(missing, want, now()));
}

void
PurseAccount::talk(CreditTaking taking) {
    RecordCache& cache = record_cache(conf_);
    cache.listen();
    if (read_anew_) {
        taking.account.reset();
        taking.uses.clear();
    }
    if (!taking.account) {  // what is heard of from now on ends it
        read_anew_ = false;
        heard_ = cache.changes_heard();
        changes_ = cache.changes_of(hash_);
        read_at_ = ngx_current_msec;
    }
    asked_ = std::move(taking);
    talk_.start(take_credits({*server_->keys, user_, name_,
                              server_->credits->find(name_), *server_->policy,
                              now(), replica_wait(conf_)},
                             asked_),
                4 * conf_->redis_timeout);
    talking_ = !talk_.done();
    if (!talking_) {  // Redis is known to be away
        done();
    }
}

void
PurseAccount::on_done(void* data) noexcept {
    auto* self = static_cast<PurseAccount*>(data);
    edge::event(
        "credits", [=] { self->done(); }, [=]() noexcept { self->give_up(); });
}

// No memory.
void
PurseAccount::give_up() noexcept {
    talking_ = false;
    read_anew_ = true;
    while (!waiting_.empty()) {
        CreditClaim& claim = *waiting_.back();
        waiting_.pop_back();
        wake(claim, CreditClaim::Answer::unreachable);
    }
}

void
PurseAccount::done() {
    talking_ = false;
    if (!talk_.error().empty()) {
        wallet_.not_told(asked_);
        fail(std::string(talk_.error()), CreditClaim::Answer::unreachable);
        return;
    }
    const CreditsTaken taken = std::move(talk_.result());
    wallet_.learn(taken);
    if (!taken.error.empty()) {
        if (!taken.settled && taken.account.pots.empty()) {
            wallet_.not_told(asked_);
        }
        fail(taken.error, taken.unreadable ? CreditClaim::Answer::unreadable
                                           : CreditClaim::Answer::unreachable);
        return;
    }
    finish_late();
    answer_all(false, CreditClaim::Answer::exhausted);
    begin_if_wanted();
}

void
PurseAccount::fail(const std::string& error, CreditClaim::Answer why) {
    static Seldom seldom;
    const ngx_str_t text = str(error);
    const ngx_str_t who = str(user_.str());
    const ngx_str_t name = str(name_);
    seldom.error(ngx_cycle->log,
                 "entitle: credits \"%V\" of \"%V\" cannot be counted: %V",
                 &name, &who, &text);
    read_anew_ = true;
    late_ = 0;
    answer_all(true, why);
}

void
PurseAccount::finish_late() {
    if (late_ == 0) {
        return;
    }
    const std::int64_t there = std::min(late_, wallet_.held());
    if (there < late_) {
        static Seldom seldom;
        const ngx_str_t who = str(user_.str());
        seldom.say(NGX_LOG_WARN, ngx_cycle->log,
                   "entitle: \"%V\" was answered what costs %L credits more "
                   "than there are",
                   &who, late_ - there);
    }
    (void)wallet_.pay(there);
    late_ = 0;
}

void
PurseAccount::wake(CreditClaim& claim, CreditClaim::Answer answer) noexcept {
    claim.answer = answer;
    claim.left = wallet_.left();
    claim.waits_at_ = nullptr;
    if (&claim != asking_) {
        gate_wake(claim.gate);
    }
}

// In the order in which they came; who came later waits for the next. What was
// taken already counts also while nobody can be asked.
void
PurseAccount::answer_all(bool failed, CreditClaim::Answer why) {
    bool exhausted = false;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        CreditClaim& claim = **at;
        const bool paid = !(failed && claim.looks) && pay(claim);
        if (!paid && !failed && !claim.asked_for_) {
            ++at;
            continue;
        }
        at = waiting_.erase(at);
        exhausted = exhausted || !(paid || claim.looks);
        wake(claim, paid ? CreditClaim::Answer::paid : why);
    }
    purse_of(conf_).look_after();
    if (exhausted && !failed) {
        exhausted_at_ = ngx_current_msec;
        settle();  // too few for this one are enough for another
    }
}

void
PurseAccount::put_back(const Charge& charge, std::int64_t block) {
    wallet_.put_back(charge);
    exhausted_at_.reset();
    used_at = ngx_current_msec;
    if (wallet_.held() > 2 * block) {
        settle();
    }
    purse_of(conf_).look_after();
}

void
PurseAccount::owe(std::int64_t cost) {
    wallet_.owe(std::max(cost, -wallet_.debt()));
    purse_of(conf_).look_after();
}

void
PurseAccount::pay_late(std::int64_t cost) {
    if (wallet_.pay(cost)) {
        return;
    }
    late_ = std::min(kMostCredits, late_ + cost);
    begin_if_wanted();
}

bool
PurseAccount::settle() {
    if (!is_idle() || wallet_.owes_nothing()) {
        return false;
    }
    CreditTaking back = wallet_.taking(0, 0, now());
    for (const CreditShare& share : wallet_.release()) {
        back.back.push_back(share);
    }
    talk(std::move(back));
    return true;
}

// --- all of them
// --------------------------------------------------------------

Purse::Purse(const MainConf* conf) : conf_(conf), timer_(tick, this) {
    redis_of(conf);  // is there as long as this is
    record_cache(conf);
}

std::shared_ptr<PurseAccount>
Purse::account(const ServerConf* server, const User& user,
               const std::string& name) {
    key_.assign(reinterpret_cast<const char*>(&server), sizeof(server));
    key_ += name;
    key_ += '\0';
    key_ += user.str();
    if (const auto known = accounts_.find(key_); known != accounts_.end()) {
        return known->second;
    }
    auto account = std::make_shared<PurseAccount>(conf_, server, user, name);
    account->used_at = ngx_current_msec;
    accounts_.emplace(key_, account);
    look_after();
    return account;
}

// A worker that was told to go stays until what it holds is given back, or
// cannot be.
void
Purse::look_after() noexcept {
    timer_.keep_worker(ticks_at_end_ < kTicksAtEnd);
    if (!timer_.is_set()) {
        timer_.start(pause());
    }
}

void
Purse::tick(void* data) {
    static_cast<Purse*>(data)->tend();
}

void
Purse::tend() {
    const bool quits = worker_quits();
    bool holds = false;
    std::vector<std::shared_ptr<PurseAccount>> unused;
    for (auto at = accounts_.begin(); at != accounts_.end();) {
        PurseAccount& account = *at->second;
        const bool nothing =
            account.is_idle() && account.wallet().owes_nothing();
        if (nothing && at->second.use_count() == 1 &&
            (quits || is_older(account.used_at, kForgotten))) {
            at = accounts_.erase(at);
            continue;
        }
        holds = holds || !nothing;
        if (quits || is_older(account.used_at, kIdle)) {
            unused.push_back(at->second);
        }
        ++at;
    }
    for (const auto& account : unused) {
        account->settle();
    }
    ticks_at_end_ += quits && holds ? 1 : 0;
    timer_.keep_worker(holds && ticks_at_end_ < kTicksAtEnd);
    if (!accounts_.empty() && !timer_.is_set()) {
        timer_.start(pause());
    }
}

Purse&
purse_of(const MainConf* conf) {
    Purse* purse = conf->worker->find<Purse>();
    return purse != nullptr ? *purse : conf->worker->make<Purse>(conf);
}

}  // namespace entitle::ngx
