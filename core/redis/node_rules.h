// How a client reaches one Redis server: the rules alone, without a socket or a
// clock, so that every order of events can be tried. One shared, pipelined
// connection for reads, a pool of exclusive ones, and a breaker in front of
// both: while the server is known to be down every call fails at once, and a
// probe in the background finds out when it is back.
//
//   known      callers are served
//   searching  where the server is, is being found out: callers wait, but not
//              longer than NodePolicy::patience
//   nowhere    that takes too long: callers fail at once until it is found
//
// What holds, whatever happens in whichever order (node_rules_test.cc):
//   - nothing is queued on a connection that is not being opened: what cannot
//     be opened fails its queue;
//   - whoever waits, waits for a connection that has a timer of its own, or for
//     a timer here;
//   - while it is known where the server is, and it is down, a probe is under
//   way or due.
//
// Who drives them gives, as `Client`:
//   Connection   is_closed, is_ready, outstanding, send, take_queue, set_held,
//                shut; it is opened by open_connection
//   Pending      owns one exchange: repeated, pinned, status, replies, wanted()
//   Hold         connection, acquired(hold, status)
//   now, random, quits, node_timer, pool_timer, turn_soon, make_connection,
//   open_connection, unwatch, said_down, said_back, said_refused,
//   said_lost; said_down says whether it did
//
// A connection tells of itself from inside any call, so everything here only
// takes notes: turn() opens what is needed once that is over, and
// next_finished() and call_back_one() give what is to be called back.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "core/redis/breaker.h"
#include "core/redis/pool_rules.h"

namespace entitle {

struct NodePolicy {
  std::size_t outstanding = 16384;
  Milliseconds patience{1000};
  // One failure opens it: a command that was late has already cost somebody a
  // whole time-out, and the probe is back within a tenth of a second.
  BreakerPolicy breaker{
      .failures = 1,
      .backoff = {.first = Milliseconds{100}, .most = Milliseconds{1000}},
      .probe_timeout = Milliseconds{10000},
  };
  PoolPolicy pool;
};

template <class Client>
class NodeRules {
 public:
  using Connection = typename Client::Connection;
  using Pending = typename Client::Pending;
  using Hold = typename Client::Hold;

  // How it looks after itself.
  enum class Kind {
    fixed,     // a breaker, and a probe that finds it again
    searched,  // its host looks for it whenever it is lost
  };

  NodeRules(const NodePolicy& policy, Kind kind, Client& client,
            Connection& shared)
      : policy_(policy),
        kind_(kind),
        client_(client),
        breaker_(policy.breaker),
        shared_(shared),
        pool_(policy.pool, client, *this) {}
  NodeRules(const NodeRules&) = delete;
  NodeRules& operator=(const NodeRules&) = delete;

  // --- for callers

  // False: known to be down, or too much waits; `pending` was not taken.
  bool send(Pending&& pending);
  bool acquire(Hold* hold) { return up() && pool_.acquire(hold); }
  bool hold_send(Hold* hold, Pending pending) {
    return pool_.send(hold, std::move(pending));
  }
  void release(Hold* hold, LeftBehind left) noexcept {
    pool_.release(hold, left);
  }

  bool up() const { return whereabouts_ == Whereabouts::searching || serves(); }
  // Is where it is known to be, and not known to be down.
  bool serves() const {
    return whereabouts_ == Whereabouts::known &&
           breaker_.state() == Breaker::State::closed;
  }
  // Another number: what is sent on the shared connection since then goes over
  // another one.
  std::uint64_t generation() const { return generation_; }

  // --- for its host

  void search();
  // All connections are closed: another server. What they left unanswered is
  // asked of it, or fails.
  void move();
  // The same server, taken for well again.
  void trust() { breaker_.reset(); }
  void found();
  // Also while searching, and of the server that may be found then.
  bool ask(Pending&& pending);
  void rest();
  void shut();

  // --- what happens

  void connected(Connection* connection);
  void completed(Pending pending);
  void closed(Connection* connection, std::deque<Pending>& unanswered,
              RedisStatus status, Ending ending, std::string_view why);
  // node_timer is over.
  void on_timer();
  void on_pool_timer() { pool_.expire(); }
  // turn_soon() was asked for. True: something was lost; a host is to know
  // before open_what_is_needed().
  bool take_lost() { return std::exchange(lost_, false); }
  void open_what_is_needed();

  // What is to be called back; null: nothing any more.
  Pending next_finished();
  bool call_back_one() { return pool_.call_back_one(); }

  // --- for the pool

  // False: not now.
  bool open(Connection& connection, Breaker::Ticket& ticket);
  // What is begun now, where it serves, is of now: its failure counts.
  void renew(Breaker::Ticket& ticket) {
    if (serves()) ticket = *breaker_.pass(client_.now());
  }

 private:
  friend Client;

  enum class Whereabouts { known, searching, nowhere };

  bool send_shared(Pending&& pending);
  void open_shared();
  void queue_again(std::deque<Pending>& unanswered, RedisStatus status);
  void fail(Pending pending, RedisStatus status);
  void fail_held(RedisStatus status);
  void count_failure(Connection* connection, std::string_view why);
  void went_down(std::string_view why);
  void say_down(std::string_view why);
  void came_up();
  void probe();
  void probe_soon();

  NodePolicy policy_;
  Kind kind_;
  Client& client_;
  Whereabouts whereabouts_ = Whereabouts::known;
  std::string why_lost_ = "it is not found";
  bool said_down_ = false;
  bool lost_ = false;
  Breaker breaker_;
  Connection& shared_;
  Breaker::Ticket shared_ticket_ = 0;
  std::uint64_t generation_ = 0;
  PoolRules<Client> pool_;
  std::deque<Pending> held_;  // while searching
  std::deque<Pending> finished_;
};

// --- what callers ask for ----------------------------------------------------

template <class Client>
bool NodeRules<Client>::send(Pending&& pending) {
  if (!up()) return false;
  if (whereabouts_ == Whereabouts::known)
    return send_shared(std::move(pending));
  if (held_.size() >= policy_.outstanding) return false;
  held_.push_back(std::move(pending));
  client_.node_timer().keep_worker(true);
  return true;
}

template <class Client>
bool NodeRules<Client>::ask(Pending&& pending) {
  if (kind_ == Kind::fixed && !up()) return false;
  pending->pinned = true;
  return send_shared(std::move(pending));
}

template <class Client>
bool NodeRules<Client>::send_shared(Pending&& pending) {
  if (shared_.outstanding() >= policy_.outstanding) return false;
  if (shared_.outstanding() == 0) renew(shared_ticket_);
  shared_.send(std::move(pending));
  open_shared();
  return true;
}

// Nobody is left on a connection that is not being opened.
template <class Client>
void NodeRules<Client>::open_shared() {
  if (!shared_.is_closed() || open(shared_, shared_ticket_)) return;
  for (Pending& pending : shared_.take_queue()) {
    fail(std::move(pending), RedisStatus::unavailable);
  }
}

template <class Client>
bool NodeRules<Client>::open(Connection& connection, Breaker::Ticket& ticket) {
  bool quiet = breaker_.state() != Breaker::State::closed || said_down_;
  std::optional<Breaker::Ticket> passed = breaker_.pass(client_.now());
  if (!passed) return false;
  ticket = *passed;
  client_.open_connection(connection, quiet);
  return true;
}

// --- where it is -------------------------------------------------------------

template <class Client>
void NodeRules<Client>::search() {
  if (whereabouts_ != Whereabouts::known) return;
  whereabouts_ = Whereabouts::searching;
  if (shared_.is_closed()) {
    for (Pending& pending : shared_.take_queue()) {
      held_.push_back(std::move(pending));
    }
  }
  client_.node_timer().start(policy_.patience);
  client_.node_timer().keep_worker(!held_.empty());
}

template <class Client>
void NodeRules<Client>::move() {
  std::deque<Pending> unanswered = shared_.take_queue();
  shared_.shut();
  generation_++;
  queue_again(unanswered, RedisStatus::unavailable);
  for (Pending& pending : pool_.cut()) {
    fail(std::move(pending), RedisStatus::unavailable);
  }
  client_.turn_soon();
}

template <class Client>
void NodeRules<Client>::found() {
  if (whereabouts_ == Whereabouts::known) return;
  whereabouts_ = Whereabouts::known;
  came_up();
  for (Pending& pending : std::exchange(held_, {})) {
    shared_.send(std::move(pending));
  }
  pool_.reached();
  client_.turn_soon();
}

template <class Client>
void NodeRules<Client>::rest() {
  pool_.went_down();
  if (shared_.outstanding() == 0 && !shared_.is_closed()) {
    shared_.shut();
    generation_++;
  }
  client_.node_timer().stop();
  said_down_ = false;
  breaker_.reset();
}

template <class Client>
void NodeRules<Client>::shut() {
  client_.node_timer().stop();
  shared_.shut();
  pool_.shut();
  held_.clear();
  finished_.clear();
}

// --- what the connections report ---------------------------------------------

template <class Client>
void NodeRules<Client>::connected(Connection* connection) {
  const bool shared = connection == &shared_;
  if (shared) generation_++;
  breaker_.succeeded(shared ? shared_ticket_ : pool_.ticket_of(connection));
  if (serves()) {
    came_up();
    if (shared) {
      pool_.reached();
    } else {
      pool_.connected();
    }
  }
}

template <class Client>
void NodeRules<Client>::came_up() {
  client_.node_timer().stop();
  if (std::exchange(said_down_, false)) client_.said_back();
}

template <class Client>
void NodeRules<Client>::completed(Pending pending) {
  finished_.push_back(std::move(pending));
  client_.turn_soon();
}

template <class Client>
void NodeRules<Client>::closed(Connection* connection,
                               std::deque<Pending>& unanswered,
                               RedisStatus status, Ending ending,
                               std::string_view why) {
  // First what needs no memory: the rest may end anywhere.
  const bool shared = connection == &shared_;
  client_.turn_soon();
  if (shared) {
    generation_++;
  } else {
    pool_.closed(connection);
  }
  if (ending == Ending::refused && !shared && shared_.is_ready()) {
    // Redis serves, and gives no more connections than there are.
    if (pool_.refused()) client_.said_refused(why);
  } else {
    lost_ = true;
    if (kind_ == Kind::searched) {
      why_lost_ = why;
    } else if (ending != Ending::lost) {
      count_failure(connection, why);
    }
  }
  const bool left = std::any_of(
      unanswered.begin(), unanswered.end(), [=](const Pending& pending) {
        return pending->wanted() && (!shared || pending->repeated);
      });
  if (ending == Ending::lost && left) client_.said_lost(why);
  if (shared) {
    queue_again(unanswered, status);
  } else {
    for (Pending& pending : unanswered) fail(std::move(pending), status);
  }
}

template <class Client>
void NodeRules<Client>::count_failure(Connection* connection,
                                      std::string_view why) {
  const bool was_up = serves();
  breaker_.failed(
      connection == &shared_ ? shared_ticket_ : pool_.ticket_of(connection),
      client_.now(), client_.random());
  if (was_up && !serves()) {
    went_down(why);
  } else if (!serves()) {
    say_down(why);
    probe_soon();
  }
}

// A connection that was merely lost (Redis restarted, or closes idle clients)
// is no news for a reader: once more, on a new one.
template <class Client>
void NodeRules<Client>::queue_again(std::deque<Pending>& unanswered,
                                    RedisStatus status) {
  for (Pending& pending : unanswered) {
    if (!up() || pending->repeated || pending->pinned || !pending->wanted()) {
      fail(std::move(pending), status);
      continue;
    }
    pending->repeated = true;
    pending->replies.clear();
    if (whereabouts_ == Whereabouts::known) {
      shared_.send(std::move(pending));
    } else {
      held_.push_back(std::move(pending));
      client_.node_timer().keep_worker(true);
    }
  }
}

template <class Client>
void NodeRules<Client>::open_what_is_needed() {
  if (shared_.outstanding() != 0) open_shared();
  if (serves()) {
    pool_.open_for_waiters();
  } else if (kind_ == Kind::fixed && !client_.node_timer().is_set()) {
    probe_soon();
  }
}

template <class Client>
void NodeRules<Client>::went_down(std::string_view why) {
  say_down(why);
  pool_.went_down();
  fail_held(RedisStatus::unavailable);
  if (kind_ == Kind::fixed) probe_soon();
}

// One that comes and goes is not said each time. One that stays away is, in the
// end: whatever looks after it comes here again.
template <class Client>
void NodeRules<Client>::say_down(std::string_view why) {
  if (!said_down_) said_down_ = client_.said_down(why);
  if (!said_down_ && whereabouts_ == Whereabouts::nowhere) {
    client_.node_timer().start(policy_.breaker.probe_timeout);
    client_.node_timer().keep_worker(false);
  }
}

template <class Client>
void NodeRules<Client>::fail(Pending pending, RedisStatus status) {
  pending->status = status;
  pending->replies.clear();
  completed(std::move(pending));
}

template <class Client>
void NodeRules<Client>::fail_held(RedisStatus status) {
  for (Pending& pending : std::exchange(held_, {})) {
    fail(std::move(pending), status);
  }
}

template <class Client>
void NodeRules<Client>::probe_soon() {
  client_.node_timer().start(breaker_.wait(client_.now()) + Milliseconds{1});
  client_.node_timer().keep_worker(false);
}

template <class Client>
void NodeRules<Client>::probe() {
  if (client_.quits()) return;
  // What it still owes is answered or late soon; nothing is added. One that is
  // closed owes nothing.
  if (shared_.is_ready() && shared_.outstanding() == 0) shared_.shut();
  open_shared();
  probe_soon();
}

template <class Client>
void NodeRules<Client>::on_timer() {
  if (whereabouts_ == Whereabouts::searching) {
    whereabouts_ = Whereabouts::nowhere;
    went_down(why_lost_);
  } else if (whereabouts_ == Whereabouts::known && !serves()) {
    probe();
  } else if (whereabouts_ == Whereabouts::nowhere) {
    say_down(why_lost_);
  }
}

// --- calling back ------------------------------------------------------------

template <class Client>
auto NodeRules<Client>::next_finished() -> Pending {
  if (finished_.empty()) return nullptr;
  Pending pending = std::move(finished_.front());
  finished_.pop_front();
  return pending;
}

}  // namespace entitle
