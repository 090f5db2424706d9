// A worker's client of one Redis server on a made-up clock: the rules of
// core/redis/node_rules.h with connections, timers and callers that do whatever
// they are told to, in whatever order. A History is a list of choices; each is
// the number of one of the steps that are possible then, so every order of
// events is some history, and the same history always leads to the same state.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/redis/node_rules.h"

namespace entitle::test {

class NodeModel {
 public:
  using Choices = std::vector<int>;
  enum class Mode { fixed, searched };

  // Every time below is a multiple of 10 ms, so that time-outs of several
  // connections, patience and probes meet in one turn of the event loop.
  static constexpr Milliseconds kTimeout{50};    // of opening, of a reply
  static constexpr Milliseconds kPatience{100};  // of who searches
  static constexpr Milliseconds kPoolPatience{150};

  // What is waited for at most: a connection and a reply, twice, and, where the
  // server is searched for, each time the search.
  Milliseconds longest_read() const {
    return 4 * kTimeout +
           (mode_ == Mode::searched ? 2 * kPatience : Milliseconds{0});
  }
  static constexpr Milliseconds kBackWithin{600};

  struct Exchange;

  // One who waits for an exchange.
  struct Caller {
    bool waits = false;
    MonoTime since{};
    Exchange* exchange = nullptr;
    bool ok = false;  // how the last one ended
  };

  struct Exchange {
    explicit Exchange(Caller* its_caller) : caller(its_caller) {
      if (caller != nullptr) caller->exchange = this;
    }
    ~Exchange() {
      if (caller != nullptr) caller->exchange = nullptr;
    }
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    bool repeated = false;
    bool pinned = false;
    RedisStatus status = RedisStatus::ok;
    std::vector<int> replies;

    Caller* caller;       // null: nobody waits
    MonoTime deadline{};  // once written
    bool written = false;
    int writings = 0;
    bool wanted() const { return caller != nullptr; }
  };
  using Pending = std::unique_ptr<Exchange>;

  struct Hold {
    void (*acquired)(Hold* hold, RedisStatus status) = nullptr;
    void* connection = nullptr;
    enum class State { free, waiting, held } state = State::free;
    MonoTime since{};
    Caller caller;  // of what is sent on it
  };

  struct Timer {
    std::optional<MonoTime> due;
    NodeModel* model = nullptr;
    bool is_set() const { return due.has_value(); }
    void start(Milliseconds time) { due = model->now_ + time; }
    void stop() { due.reset(); }
    void keep_worker(bool) {}
  };

  class Connection {
   public:
    explicit Connection(NodeModel* model) : model_(model) {}

    bool is_closed() const { return state_ == State::closed; }
    bool is_ready() const { return state_ == State::ready; }
    std::size_t outstanding() const { return queue_.size(); }
    void set_held(bool) {}
    void send(Pending pending) {
      queue_.push_back(std::move(pending));
      write();
    }
    std::deque<Pending> take_queue() { return std::exchange(queue_, {}); }
    void shut() {
      state_ = State::closed;
      queue_.clear();
    }

   private:
    friend NodeModel;
    enum class State { closed, opening, ready };

    void write() {
      if (state_ != State::ready) return;
      for (Pending& pending : queue_) {
        if (pending->written) continue;
        pending->written = true;
        pending->writings++;
        if (pending->writings > 2) model_->fault_ = "a read goes on and on";
        pending->deadline = model_->now_ + kTimeout;
      }
    }
    std::optional<MonoTime> due() const {
      if (state_ == State::opening) return deadline_;
      if (state_ == State::ready && !queue_.empty()) {
        return queue_.front()->deadline;
      }
      return std::nullopt;
    }

    NodeModel* model_;
    State state_ = State::closed;
    bool silent_ = false;  // nothing comes over it any more
    MonoTime deadline_{};
    std::deque<Pending> queue_;
  };

  explicit NodeModel(Mode mode)
      : mode_(mode),
        shared_(this),
        rules_(policy(),
               mode == Mode::fixed ? Rules::Kind::fixed : Rules::Kind::searched,
               *this, shared_) {
    node_timer_.model = pool_timer_.model = this;
    for (Hold& hold : holds_) {
      hold.acquired = [](Hold* granted, RedisStatus status) {
        granted->state =
            status == RedisStatus::ok ? Hold::State::held : Hold::State::free;
      };
    }
  }
  ~NodeModel() { rules_.shut(); }

  // --- what can happen now
  // -----------------------------------------------------

  struct Step {
    const char* name;
    void (*happens)(NodeModel& model, void* to);
    void* to = nullptr;  // a connection, a caller, a hold
  };
  void happen(const Step& step) { step.happens(*this, step.to); }

  std::vector<Step> possible();
  bool settle_one();
  bool read_again();
  bool write_again(MonoTime& tried);
  // The first thing that must not be; empty: all is well.
  std::string fault() const;
  // What comes next, and is to end well: connections open and reply, and a host
  // finds its server; those of before say nothing more, but new ones are well;
  // nothing ever comes again.
  enum class Next { well, well_but_old_ones, nothing };
  // Empty: whoever waits was answered in time, and where there is something to
  // reach, it is reached again.
  std::string ends(Next next);
  // Equal where nothing that may follow differs.
  std::string fingerprint() const;

  // --- what the rules ask for
  // --------------------------------------------------

  MonoTime now() const { return now_; }
  std::uint64_t random() const { return 0; }
  bool quits() const { return false; }
  Timer& node_timer() { return node_timer_; }
  Timer& pool_timer() { return pool_timer_; }
  void turn_soon() { turn_ = true; }
  std::unique_ptr<Connection> make_connection() {
    auto connection = std::make_unique<Connection>(this);
    pooled_.push_back(connection.get());
    return connection;
  }
  void open_connection(Connection& connection, bool) {
    connection.state_ = Connection::State::opening;
    connection.silent_ = false;
    connection.deadline_ = now_ + kTimeout;
    if (refuses_at_once_) close(connection, Ending::refused);
  }
  Pending unwatch() { return std::make_unique<Exchange>(nullptr); }
  bool said_down(std::string_view) { return true; }
  void said_back() {}
  void said_refused(std::string_view) {}
  void said_lost(std::string_view) {}

 private:
  using Rules = NodeRules<NodeModel>;

  static NodePolicy policy() {
    NodePolicy policy;
    policy.patience = kPatience;
    // Each step as long as the last: what a state leads to is in the state.
    policy.breaker.backoff = {Milliseconds{20}, Milliseconds{20}};
    policy.breaker.probe_timeout = Milliseconds{200};
    policy.pool.connections = 2;
    policy.pool.patience = kPoolPatience;
    policy.pool.refused = {Milliseconds{40}, Milliseconds{40}};
    return policy;
  }

  std::vector<Connection*> connections() {
    std::vector<Connection*> all{&shared_};
    all.insert(all.end(), pooled_.begin(), pooled_.end());
    return all;
  }
  std::vector<const Connection*> connections() const {
    std::vector<const Connection*> all{&shared_};
    all.insert(all.end(), pooled_.begin(), pooled_.end());
    return all;
  }

  // --- what happens ---

  void begin(Caller& caller) {
    caller.waits = true;
    caller.ok = false;
    caller.since = now_;
  }
  void read(Caller& caller) {
    begin(caller);
    auto pending = std::make_unique<Exchange>(&caller);
    if (!rules_.send(std::move(pending))) caller.waits = false;
  }
  void cancel(Caller& caller) {
    if (caller.exchange != nullptr) caller.exchange->caller = nullptr;
    caller.exchange = nullptr;
    caller.waits = false;
  }
  void acquire(Hold& hold) {
    hold.state = Hold::State::waiting;
    hold.since = now_;
    if (!rules_.acquire(&hold)) hold.state = Hold::State::free;
  }
  void send_on(Hold& hold) {
    begin(hold.caller);
    auto* pooled = static_cast<PoolRules<NodeModel>::Pooled*>(hold.connection);
    auto pending = std::make_unique<Exchange>(&hold.caller);
    pending->pinned = true;
    if (!rules_.hold_send(&hold, std::move(pending))) {
      release(hold);
    } else if (rules_.serves() && !would_be_heard(pooled->ticket)) {
      fault_ = "if this write were late, nobody would hear of it";
    }
  }
  void release(Hold& hold) {
    cancel(hold.caller);
    hold.state = Hold::State::free;
    rules_.release(&hold, LeftBehind::watch);
  }

  // Its last answers left a transaction open, perhaps.
  void distrust(Hold& hold) {
    auto* pooled = static_cast<PoolRules<NodeModel>::Pooled*>(hold.connection);
    hold.state = Hold::State::free;
    rules_.release(&hold, LeftBehind::doubt);
    if (pooled->connection->is_ready()) fault_ = "what is in doubt goes on";
  }

  void opened(Connection& connection) {
    connection.state_ = Connection::State::ready;
    rules_.connected(&connection);
    connection.write();
  }
  void replied(Connection& connection) {
    Pending pending = std::move(connection.queue_.front());
    connection.queue_.pop_front();
    rules_.completed(std::move(pending));
  }
  void close(Connection& connection, Ending ending,
             RedisStatus status = RedisStatus::unavailable) {
    const bool reads = &connection != &shared_ && shared_.is_ready() &&
                       rules_.serves() && ending == Ending::refused;
    std::deque<Pending> unanswered = connection.take_queue();
    for (Pending& pending : unanswered) pending->written = false;
    connection.shut();
    rules_.closed(&connection, unanswered, status, ending, "");
    if (mode_ == Mode::fixed && &connection == &shared_ &&
        ending == Ending::failed && rules_.serves()) {
      fault_ = "nobody heard that reads are late";
    }
    if (reads && !(rules_.serves() && shared_.is_ready())) {
      fault_ = "a connection that is not to be had took the reads along";
    }
  }
  void turn() {
    turn_ = false;
    if (rules_.take_lost() && mode_ == Mode::searched) rules_.search();
    rules_.open_what_is_needed();
    do {
      while (Pending pending = rules_.next_finished()) answered(*pending);
    } while (rules_.call_back_one());
  }
  void answered(Exchange& exchange) {
    Caller* caller = std::exchange(exchange.caller, nullptr);
    if (caller == nullptr) return;
    caller->exchange = nullptr;
    caller->waits = false;
    caller->ok = exchange.status == RedisStatus::ok;
    for (Hold& hold : holds_) {
      if (caller == &hold.caller && !caller->ok) release(hold);
    }
  }

  // --- what is due ---

  std::optional<MonoTime> next_due() const {
    std::optional<MonoTime> first;
    auto look = [&](std::optional<MonoTime> due) {
      if (due && (!first || *due < *first)) first = due;
    };
    for (const Connection* connection : connections()) look(connection->due());
    look(node_timer_.due);
    look(pool_timer_.due);
    return first;
  }
  void add_due(std::vector<Step>& steps) {
    auto is_due = [this](std::optional<MonoTime> due) {
      return due && *due <= now_;
    };
    for (Connection* connection : connections()) {
      if (is_due(connection->due())) {
        steps.push_back({"time-out", late, connection});
      }
    }
    if (is_due(node_timer_.due)) {
      steps.push_back({"node timer", [](NodeModel& model, void*) {
                         model.node_timer_.stop();
                         model.rules_.on_timer();
                       }});
    }
    if (is_due(pool_timer_.due)) {
      steps.push_back({"pool timer", [](NodeModel& model, void*) {
                         model.pool_timer_.stop();
                         model.rules_.on_pool_timer();
                       }});
    }
  }
  void pass_time() {
    constexpr Milliseconds kStep{25};
    now_ = std::min(next_due().value_or(MonoTime::max()), now_ + kStep);
  }

  void add_io(std::vector<Step>& steps) {
    for (Connection* c : connections()) {
      if (c->is_closed()) continue;
      if (!c->is_ready()) {
        steps.push_back({"opened", opens, c});
        steps.push_back({"refused", refuses, c});
      } else if (!c->queue_.empty()) {
        steps.push_back({"reply", replies, c});
      }
      steps.push_back({"lost", hangs_up, c});
    }
    steps.push_back({"refuses", [](NodeModel& model, void*) {
                       model.refuses_at_once_ = !model.refuses_at_once_;
                     }});
    if (mode_ == Mode::searched &&
        rules_.whereabouts_ != Rules::Whereabouts::known) {
      steps.push_back(
          {"found", [](NodeModel& model, void*) { model.rules_.found(); }});
      steps.push_back({"found elsewhere", [](NodeModel& model, void*) {
                         model.rules_.trust();
                         model.rules_.move();
                         model.rules_.found();
                       }});
    }
  }
  void add_callers(std::vector<Step>& steps) {
    bool one_more = false;  // all who do nothing are alike
    for (Caller& caller : readers_) {
      if (caller.waits) {
        steps.push_back({"cancel", cancels, &caller});
      } else if (!std::exchange(one_more, true)) {
        steps.push_back({"read", reads, &caller});
      }
    }
    one_more = false;
    for (Hold& hold : holds_) {
      if (hold.state != Hold::State::free) {
        steps.push_back({"release", releases, &hold});
      } else if (!std::exchange(one_more, true)) {
        steps.push_back({"acquire", acquires, &hold});
      }
      if (hold.state == Hold::State::held && !hold.caller.waits) {
        steps.push_back({"write", writes, &hold});
        if (hold.caller.ok) steps.push_back({"distrust", distrusts, &hold});
      }
    }
  }

  static void late(NodeModel& model, void* to) {
    model.close(*static_cast<Connection*>(to), Ending::failed,
                RedisStatus::timed_out);
  }
  static void opens(NodeModel& model, void* to) {
    model.opened(*static_cast<Connection*>(to));
  }
  static void refuses(NodeModel& model, void* to) {
    model.close(*static_cast<Connection*>(to), Ending::refused);
  }
  static void replies(NodeModel& model, void* to) {
    model.replied(*static_cast<Connection*>(to));
  }
  static void hangs_up(NodeModel& model, void* to) {
    model.close(*static_cast<Connection*>(to), Ending::lost);
  }
  static void reads(NodeModel& model, void* to) {
    model.read(*static_cast<Caller*>(to));
  }
  static void cancels(NodeModel& model, void* to) {
    model.cancel(*static_cast<Caller*>(to));
  }
  static void acquires(NodeModel& model, void* to) {
    model.acquire(*static_cast<Hold*>(to));
  }
  static void writes(NodeModel& model, void* to) {
    model.send_on(*static_cast<Hold*>(to));
  }
  static void releases(NodeModel& model, void* to) {
    model.release(*static_cast<Hold*>(to));
  }

  static void distrusts(NodeModel& model, void* to) {
    model.distrust(*static_cast<Hold*>(to));
  }

  // Would a failure that is reported with it count?
  bool would_be_heard(Breaker::Ticket ticket) const {
    Breaker breaker = rules_.breaker_;
    const MonoTime later = now_ + Milliseconds{100000};
    breaker.failed(ticket, later, 0);
    return breaker.wait(later) > Milliseconds{0};
  }

  // --- in words ---

  std::string since(MonoTime time) const {
    return std::to_string((time - now_).count());
  }
  int index(const Hold* hold) const {
    return hold == nullptr ? -1 : static_cast<int>(hold - holds_);
  }
  void tell(std::ostream& out, const Exchange& exchange) const {
    int who = 0;
    for (const Caller* caller :
         {&readers_[0], &readers_[1], &holds_[0].caller, &holds_[1].caller}) {
      if (exchange.caller == caller) break;
      ++who;
    }
    out << '<' << who << exchange.repeated << exchange.pinned;
    if (exchange.written) out << since(exchange.deadline);
    if (exchange.status != RedisStatus::ok) out << '!';
    out << '>';
  }
  void tell(std::ostream& out, const Connection& c,
            Breaker::Ticket ticket) const {
    out << static_cast<int>(c.state_);
    if (c.due()) out << since(*c.due());
    for (const Pending& pending : c.queue_) tell(out, *pending);
    out << (would_be_heard(ticket) ? "h;" : ";");
  }

  Mode mode_;
  MonoTime now_ = mono_time(1000);
  bool turn_ = false;
  bool refuses_at_once_ = false;
  bool nothing_comes_ = false;
  std::string fault_;
  Timer node_timer_;
  Timer pool_timer_;
  Connection shared_;
  std::vector<Connection*> pooled_;
  Rules rules_;
  Caller readers_[2];
  Caller fresh_;  // who asks once all is well again
  Hold holds_[2];
};

inline std::vector<NodeModel::Step> NodeModel::possible() {
  std::vector<Step> steps;
  add_due(steps);
  if (turn_) {
    steps.push_back({"turn", [](NodeModel& model, void*) { model.turn(); }});
  } else if (steps.empty()) {
    steps.push_back(
        {"time", [](NodeModel& model, void*) { model.pass_time(); }});
  }
  add_io(steps);
  add_callers(steps);
  return steps;
}

inline std::string NodeModel::fault() const {
  if (!fault_.empty()) return fault_;
  for (const Caller& caller : readers_) {
    if (caller.waits && now_ - caller.since > longest_read()) {
      return "a read does not end";
    }
  }
  for (const Hold& hold : holds_) {
    if (hold.state == Hold::State::waiting &&
        now_ - hold.since > kPoolPatience) {
      return "a wait for a connection does not end";
    }
    if (hold.caller.waits && now_ - hold.caller.since > kTimeout) {
      return "a write does not end";
    }
  }
  if (!turn_ && shared_.is_closed() && shared_.outstanding() != 0) {
    return "something is queued on a closed connection";
  }
  for (const Hold& hold : holds_) {
    if (turn_ || hold.state != Hold::State::waiting) continue;
    if (!rules_.up()) return "somebody waits though it is down";
    if (rules_.serves() && rules_.pool_.living() == 0) {
      return "somebody waits for no connection at all";
    }
  }
  if (!turn_ && mode_ == Mode::fixed && !rules_.serves() &&
      shared_.is_closed() && !node_timer_.is_set()) {
    return "it is down and nobody probes";
  }
  return "";
}

inline std::string NodeModel::ends(Next next) {
  refuses_at_once_ = false;
  nothing_comes_ = next == Next::nothing;
  holds_[0].caller.ok = false;
  if (next == Next::well_but_old_ones) {
    for (Connection* connection : connections()) {
      connection->silent_ = !connection->is_closed();
    }
  }
  const MonoTime end = now_ + kBackWithin;
  bool reads = false;
  bool writes = false;
  MonoTime tried{};
  for (int steps = 0; now_ <= end; steps++) {
    if (steps > 2000) return "it spins";
    if (std::string what = fault(); !what.empty()) return what;
    if (settle_one()) continue;
    if (next != Next::nothing) {
      writes = writes || write_again(tried);
      reads = reads || read_again();
      if (reads && writes) return "";
    }
    if (!turn_) pass_time();
  }
  if (next == Next::nothing) return "";
  return reads ? "no connection for writes within its time"
               : "reads do not come back within their time";
}

// True: a read that was begun since was answered.
inline bool NodeModel::read_again() {
  if (fresh_.ok) return true;
  if (!fresh_.waits) read(fresh_);
  return false;
}

// True: a write was answered.
inline bool NodeModel::write_again(MonoTime& tried) {
  Hold& hold = holds_[0];
  if (hold.state == Hold::State::free && tried != now_) {
    tried = now_;
    acquire(hold);
  }
  if (hold.state != Hold::State::held || hold.caller.waits) return false;
  if (hold.caller.ok) {
    release(hold);
    return true;
  }
  send_on(hold);
  return false;
}

// One thing that a Redis that is well, a host and patient callers do at once.
inline bool NodeModel::settle_one() {
  std::vector<Step> due;
  add_due(due);
  if (!due.empty()) {
    happen(due.front());
    return true;
  }
  for (Connection* c : connections()) {
    if (c->is_closed() || c->silent_ || nothing_comes_) continue;
    if (!c->is_ready()) {
      opened(*c);
      return true;
    }
    if (!c->queue_.empty()) {
      replied(*c);
      return true;
    }
  }
  if (turn_) {
    turn();
    return true;
  }
  if (mode_ == Mode::searched &&
      rules_.whereabouts_ != Rules::Whereabouts::known && !nothing_comes_) {
    rules_.found();
    return true;
  }
  Hold& other = holds_[1];
  if (other.state == Hold::State::held && !other.caller.waits) {
    release(other);
    return true;
  }
  return false;
}

inline std::string NodeModel::fingerprint() const {
  std::ostringstream out;
  out << static_cast<int>(rules_.whereabouts_)
      << static_cast<int>(rules_.breaker_.state()) << ','
      << rules_.breaker_.wait(now_).count() << ',' << rules_.lost_ << turn_
      << refuses_at_once_ << ' ';
  tell(out, shared_, rules_.shared_ticket_);
  for (const auto& pooled : rules_.pool_.pool_) {
    out << index(pooled->hold) << pooled->lost;
    tell(out, *pooled->connection, pooled->ticket);
  }
  const auto& pool = rules_.pool_;
  if (pool.refused_) out << 'r' << since(std::max(pool.again_, now_));
  for (const auto& waiter : pool.waiters_) {
    out << 'w' << index(waiter.hold) << since(waiter.deadline);
  }
  for (const auto& notice : pool.notices_) {
    out << 'n' << index(notice.hold) << static_cast<int>(notice.status);
  }
  for (const Pending& pending : rules_.held_) tell(out << 'h', *pending);
  for (const Pending& pending : rules_.finished_) tell(out << 'f', *pending);
  for (const Timer* timer : {&node_timer_, &pool_timer_}) {
    out << 't' << (timer->due ? since(*timer->due) : "");
  }
  for (const Caller& caller : readers_) {
    out << 'c' << caller.waits << (caller.waits ? since(caller.since) : "");
  }
  for (const Hold& hold : holds_) {
    out << 'o' << static_cast<int>(hold.state) << hold.caller.waits;
    if (hold.state == Hold::State::waiting) out << since(hold.since);
    if (hold.caller.waits) out << since(hold.caller.since);
  }
  return out.str();
}

}  // namespace entitle::test
