// Exclusive connections for WATCH ... EXEC: a bounded number of them, and a
// bounded, timed queue of those who wait for one, first come, first served.
// The rules alone, without a socket or a clock of their own: who drives them is
// described in core/redis/node_rules.h.
//
// Redis may give fewer connections than the bound. Then the pool is as large as
// what it gave, waiters wait for those, and after a pause one more is tried;
// who waits where there is none at all is told at once.
#pragma once

#include <algorithm>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/monotonic.h"
#include "core/redis/backoff.h"
#include "core/redis/breaker.h"
#include "core/redis/ending.h"

namespace entitle {

template <class Client>
class NodeRules;

struct PoolPolicy {
  std::size_t connections = 16;
  std::size_t waiters = 4096;
  Milliseconds patience{2000};  // of a waiter
  BackoffPolicy refused{Milliseconds{500}, Milliseconds{1000}};
};

// What a hold leaves behind on its connection. `doubt`: a transaction that may
// be open still (core/redis/exec_reply.h); what permits none to one connection
// permits none to the others, so those that are idle are made anew, too.
enum class LeftBehind { nothing, watch, doubt };

template <class Client>
class PoolRules {
 public:
  using Connection = typename Client::Connection;
  using Pending = typename Client::Pending;
  using Hold = typename Client::Hold;

  PoolRules(const PoolPolicy& policy, Client& client, NodeRules<Client>& node)
      : policy_(policy), client_(client), node_(node), pause_(policy.refused) {}
  PoolRules(const PoolRules&) = delete;
  PoolRules& operator=(const PoolRules&) = delete;

  // False: too many wait already.
  bool acquire(Hold* hold);
  // False: the hold's connection is lost.
  bool send(Hold* hold, Pending pending);
  // No memory costs the connection, never the caller.
  void release(Hold* hold, LeftBehind left) noexcept;

  // News of the connections, and of Redis as a whole.
  void connected() {
    refused_ = false;
    pause_.reset();
    serve();
  }
  void reached() { serve(); }
  void closed(Connection* connection);
  // Redis gives no more than there are. False: that is no news.
  bool refused();
  void went_down();
  // The server is another one now. What the held connections leave unanswered.
  std::deque<Pending> cut();
  // Opens as many connections as there are waiters left without, or tells the
  // waiters that there will be none.
  void open_for_waiters();

  // Calls back one of those whose wait is over; false: there is none.
  bool call_back_one();
  // The first in line waits no longer.
  void expire();

  // Of one of the pool's connections: what its next failure is reported with.
  Breaker::Ticket ticket_of(const Connection* connection) const;

  void shut();

 private:
  friend Client;

  struct Pooled {
    std::unique_ptr<Connection> connection;
    Breaker::Ticket ticket = 0;
    Hold* hold = nullptr;
    bool lost = false;  // closed under its hold
  };
  struct Waiter {
    Hold* hold;
    MonoTime deadline;
  };
  struct Notice {  // a hold that was granted, or will not be
    Hold* hold;
    RedisStatus status;
  };

  void give_back(Connection& connection, LeftBehind left);
  void shut_idle();
  void serve();
  void open_up_to(std::size_t wanted);
  bool open_one();
  bool may_open() const { return !refused_ || client_.now() >= again_; }
  std::size_t living() const;  // that are not closed
  void fail_waiters(RedisStatus status);
  void notify(Hold* hold, RedisStatus status);
  void arm_timer();

  PoolPolicy policy_;
  Client& client_;
  NodeRules<Client>& node_;
  std::vector<std::unique_ptr<Pooled>> pool_;
  std::deque<Waiter> waiters_;
  std::deque<Notice> notices_;
  bool refused_ = false;  // the last that was tried
  MonoTime again_{};      // when another may be
  Backoff pause_;
};

template <class Client>
bool PoolRules<Client>::acquire(Hold* hold) {
  hold->connection = nullptr;
  if (waiters_.size() >= policy_.waiters) return false;
  waiters_.push_back({hold, client_.now() + policy_.patience});
  serve();
  open_for_waiters();
  return true;
}

template <class Client>
bool PoolRules<Client>::send(Hold* hold, Pending pending) {
  auto* pooled = static_cast<Pooled*>(hold->connection);
  if (pooled == nullptr || pooled->lost) return false;
  // What it fails at from now on is news of now.
  if (pooled->connection->outstanding() == 0) node_.renew(pooled->ticket);
  pooled->connection->send(std::move(pending));
  return true;
}

template <class Client>
void PoolRules<Client>::release(Hold* hold, LeftBehind left) noexcept {
  auto is_ours = [hold](const auto& entry) { return entry.hold == hold; };
  std::erase_if(waiters_, is_ours);
  std::erase_if(notices_, is_ours);
  arm_timer();

  auto* pooled = static_cast<Pooled*>(hold->connection);
  hold->connection = nullptr;
  if (pooled == nullptr) return;
  pooled->hold = nullptr;
  try {
    give_back(*pooled->connection, left);
    if (left == LeftBehind::doubt) shut_idle();
    serve();
    open_for_waiters();
  } catch (const std::exception&) {
    if (pooled->hold == nullptr) pooled->connection->shut();
    client_.turn_soon();
  }
}

template <class Client>
void PoolRules<Client>::give_back(Connection& connection, LeftBehind left) {
  // Replies still to come belong to nobody any more, and while Redis is down no
  // connection is worth keeping.
  if (connection.outstanding() != 0 || !node_.up() ||
      left == LeftBehind::doubt) {
    connection.shut();
  } else if (left == LeftBehind::watch && connection.is_ready()) {
    connection.send(client_.unwatch());
  }
  connection.set_held(false);
}

template <class Client>
void PoolRules<Client>::serve() {
  if (node_.serves()) {
    for (auto& pooled : pool_) {
      if (waiters_.empty()) break;
      if (pooled->hold == nullptr && pooled->connection->is_ready()) {
        Hold* hold = waiters_.front().hold;
        waiters_.pop_front();
        pooled->hold = hold;
        pooled->lost = false;
        pooled->connection->set_held(true);
        hold->connection = pooled.get();
        notify(hold, RedisStatus::ok);
      }
    }
  }
  arm_timer();
}

template <class Client>
std::size_t PoolRules<Client>::living() const {
  return static_cast<std::size_t>(std::count_if(
      pool_.begin(), pool_.end(),
      [](const auto& pooled) { return !pooled->connection->is_closed(); }));
}

template <class Client>
void PoolRules<Client>::open_for_waiters() {
  if (!node_.serves() || waiters_.empty()) return;
  if (may_open()) open_up_to(refused_ ? 1 : waiters_.size());
  if (living() == 0) fail_waiters(RedisStatus::unavailable);
}

template <class Client>
void PoolRules<Client>::open_up_to(std::size_t wanted) {
  auto is_coming = [](const auto& pooled) {
    return pooled->hold == nullptr && !pooled->connection->is_closed();
  };
  auto coming = static_cast<std::size_t>(
      std::count_if(pool_.begin(), pool_.end(), is_coming));
  for (; coming < wanted && open_one(); coming++) {
  }
}

template <class Client>
bool PoolRules<Client>::open_one() {
  auto unused =
      std::find_if(pool_.begin(), pool_.end(), [](const auto& pooled) {
        return pooled->hold == nullptr && pooled->connection->is_closed();
      });
  if (unused == pool_.end()) {
    if (pool_.size() >= policy_.connections) return false;
    auto fresh = std::make_unique<Pooled>();
    fresh->connection = client_.make_connection();
    pool_.push_back(std::move(fresh));
    unused = std::prev(pool_.end());
  }
  Pooled& pooled = **unused;
  return node_.open(*pooled.connection, pooled.ticket) &&
         !pooled.connection->is_closed();
}

template <class Client>
void PoolRules<Client>::closed(Connection* connection) {
  for (auto& pooled : pool_) {
    pooled->lost |= pooled->connection.get() == connection;
  }
}

template <class Client>
bool PoolRules<Client>::refused() {
  const bool news = !std::exchange(refused_, true);
  again_ = client_.now() + pause_.next(client_.random());
  return news;
}

template <class Client>
void PoolRules<Client>::shut_idle() {
  for (auto& pooled : pool_) {
    if (pooled->hold == nullptr) pooled->connection->shut();
  }
}

// What is connected may be connected to a server that is hung: nobody is sent
// there again. Held connections find out for themselves.
template <class Client>
void PoolRules<Client>::went_down() {
  shut_idle();
  fail_waiters(RedisStatus::unavailable);
  refused_ = false;
  pause_.reset();
}

template <class Client>
void PoolRules<Client>::fail_waiters(RedisStatus status) {
  while (!waiters_.empty()) {
    notify(waiters_.front().hold, status);
    waiters_.pop_front();
  }
  arm_timer();
}

template <class Client>
auto PoolRules<Client>::cut() -> std::deque<Pending> {
  std::deque<Pending> unanswered;
  for (auto& pooled : pool_) {
    std::deque<Pending> queue = pooled->connection->take_queue();
    std::move(queue.begin(), queue.end(), std::back_inserter(unanswered));
    pooled->connection->shut();
    pooled->lost = true;
  }
  return unanswered;
}

template <class Client>
void PoolRules<Client>::notify(Hold* hold, RedisStatus status) {
  notices_.push_back({hold, status});
  client_.turn_soon();
}

template <class Client>
bool PoolRules<Client>::call_back_one() {
  if (notices_.empty()) return false;
  Notice notice = notices_.front();
  notices_.pop_front();
  notice.hold->acquired(notice.hold, notice.status);
  return true;
}

// All wait equally long, so the first in line is the first to give up.
template <class Client>
void PoolRules<Client>::arm_timer() {
  auto& timer = client_.pool_timer();
  timer.keep_worker(!waiters_.empty());
  if (!waiters_.empty() && !timer.is_set()) {
    timer.start(
        std::max(waiters_.front().deadline - client_.now(), Milliseconds{1}));
  }
}

template <class Client>
void PoolRules<Client>::expire() {
  while (!waiters_.empty() && waiters_.front().deadline <= client_.now()) {
    notify(waiters_.front().hold, RedisStatus::timed_out);
    waiters_.pop_front();
  }
  arm_timer();
}

template <class Client>
Breaker::Ticket PoolRules<Client>::ticket_of(
    const Connection* connection) const {
  auto ours = std::find_if(pool_.begin(), pool_.end(), [=](const auto& pooled) {
    return pooled->connection.get() == connection;
  });
  return (*ours)->ticket;
}

template <class Client>
void PoolRules<Client>::shut() {
  client_.pool_timer().stop();
  for (auto& pooled : pool_) pooled->connection->shut();
  waiters_.clear();
  notices_.clear();
}

}  // namespace entitle
