// A model of several workers with one shared zone, Redis, its fail-over and a
// network that delays, breaks and silently swallows, all on a made-up clock.
// It asks core/redis/lease.h what may be believed and knows what was true.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "core/redis/lease.h"

namespace entitle::test {

struct Tally {
  long believed = 0;
  long remembered = 0;          // of those: without looking into the zone
  long old_within_lease = 0;    // believed, changed since, no longer ago
  long older_than_lease = 0;    // the violation
  long older_than_network = 0;  // changed longer ago than a message takes
  long overtaken_fills = 0;
  long reconnects = 0;

  Tally& operator+=(const Tally& other) {
    believed += other.believed;
    remembered += other.remembered;
    old_within_lease += other.old_within_lease;
    older_than_lease += other.older_than_lease;
    older_than_network += other.older_than_network;
    overtaken_fills += other.overtaken_fills;
    reconnects += other.reconnects;
    return *this;
  }
};

class LeaseModel {
 public:
  enum class Faults { none, all };
  // Whether a worker keeps what it believed, for as long as it may, and looks
  // into the zone only then.
  enum class Memory { off, on };
  // A rule taken away, to see that it is needed.
  enum class Without {
    nothing,
    invalidations,  // Redis tells nobody
    numbers,        // a fill that was overtaken is stored as current
    start,          // entries from before the subscription are believed
    lease,          // it never ends
    sending_time,   // it counts from the answer
    pong,           // the subscription need not answer
    instance,       // whoever was read from is good enough
    warrant,        // an isolated old primary is good enough
    looking,        // what is remembered is believed by itself
  };

  LeaseModel(int seed, Faults faults, Without without,
             Memory memory = Memory::off)
      : random_(static_cast<std::uint64_t>(seed)),
        faults_(faults == Faults::all),
        memory_(memory == Memory::on),
        without_(without) {
    for (int i = seed % kMostWorkers; i >= 0; --i) {
      workers_.push_back(new_worker());
    }
  }

  Tally run() {
    for (int w = 0; w < workers(); ++w) {
      at(pick(10), [this, w] { tick(w); });
    }
    at(10, [this] { write(); });
    if (faults_) at(200, [this] { break_something(); });
    while (!events_.empty() && events_.top().time < kEnd) {
      Event event = events_.top();
      events_.pop();
      now_ = event.time;
      event.action();
    }
    return tally_;
  }

 private:
  static constexpr int kMostWorkers = 3;
  static constexpr int kUsers = 4;
  static constexpr int kServers = 3;  // a primary and those that take over
  static constexpr int kEnd = 3000;
  static constexpr int kLease = 100;
  static constexpr int kBeatEvery = 20;
  static constexpr int kBeatTimeout = 150;  // longer than the lease: it, not
                                            // the time-out, has to protect
  static constexpr int kSlowest = 5;        // of a message, without faults

  using Action = std::function<void()>;
  struct Event {
    int time;
    long order;
    Action action;
    bool operator<(const Event& other) const {  // the earliest on top
      return time != other.time ? time > other.time : order > other.order;
    }
  };

  struct Connection {
    int server;
    int run;              // of the server's process
    bool closed = false;  // the worker let go of it, or was told it is closed
    bool silent = false;  // half-open: swallows everything, tells nobody
    int last_there = 0;   // messages do not overtake each other
    int last_back = 0;
  };
  using Wire = std::shared_ptr<Connection>;

  struct Server {
    int run = 0;
    std::array<int, kUsers> versions{};  // as this server knows them
    std::vector<Wire> subscribers;       // who listens, and who hears it
  };

  struct Entry {
    FillStamp stamp;
    int version = 0;
  };

  struct Worker {
    Lease lease;
    int generation = 0;  // a new one after a crash or reload
    Wire subscription, data;
    std::array<bool, kUsers> filling{};
    int next_beat = 0;
    MonoTime warranted{};  // until when it surely listens to the primary
    std::array<Entry, kUsers> remembered{};
  };

  std::uint64_t hash(int user) const {
    return static_cast<std::uint64_t>(user + 1) * 0x9e3779b97f4a7c15u;
  }
  int pick(int below) {
    return static_cast<int>(random_() % static_cast<unsigned>(below));
  }
  bool chance(int percent) { return pick(100) < percent; }
  void at(int time, Action action) {
    events_.push({time, order_++, std::move(action)});
  }
  MonoTime clock() const { return mono_time(now_ + 1); }  // 0 is "never"

  int delay() {
    if (faults_ && chance(1)) return pick(3 * kLease);
    return pick(kSlowest + 1);
  }
  void send(const Wire& wire, bool there, Action action) {
    if (wire->closed || wire->silent) return;
    int& last = there ? wire->last_there : wire->last_back;
    last = std::max(last, now_ + delay());
    at(last, [wire, action] {
      if (!wire->closed && !wire->silent) action();
    });
  }
  // There and back: `serve` runs at the server, if it is still the process
  // connected to, and `use` at the worker.
  template <class Answer>
  void ask(const Wire& wire, std::function<Answer(Server&)> serve,
           std::function<void(Answer)> use) {
    send(wire, true, [this, wire, serve, use] {
      Server& server = servers_[static_cast<std::size_t>(wire->server)];
      if (server.run != wire->run) return;
      Answer answer = serve(server);
      send(wire, false, [use, answer] { use(answer); });
    });
  }

  Instance instance(int server, int run) const {
    return {"s" + std::to_string(server), std::to_string(run), true, 0};
  }

  Instance listening_to(int w) {
    const Wire& wire = worker(w).subscription;
    return instance(wire->server, wire->run);
  }

  Worker new_worker() {
    unsigned parts = Lease::subscription | Lease::data;
    if (without_ == Without::pong) parts &= ~unsigned{Lease::subscription};
    return Worker{Lease(length(), parts), 0, nullptr, nullptr, {}, 0, {}, {}};
  }
  // Of a lease, and of what others say of the primary.
  Milliseconds length() const {
    return Milliseconds{without_ == Without::lease ? 100 * kEnd : kLease};
  }
  int workers() const { return static_cast<int>(workers_.size()); }
  Worker& worker(int w) { return workers_[static_cast<std::size_t>(w)]; }

  // --- a worker ---

  // Where a worker's resolver or Sentinel sends it: not always the newest.
  int believed_primary() {
    return faults_ && primary_ > 0 && chance(20) ? primary_ - 1 : primary_;
  }
  Wire open() {
    int server = believed_primary();
    return std::make_shared<Connection>(
        Connection{server, servers_[static_cast<std::size_t>(server)].run,
                   false, false, now_, now_});
  }

  void tick(int w) {
    Worker& self = worker(w);
    if (!self.data || self.data->closed) {
      self.data = open();
      self.filling.fill(false);
      self.lease.reads_from(instance(self.data->server, self.data->run));
    }
    if (!self.subscription || self.subscription->closed) subscribe(w);
    auto waiting = self.lease.waiting_since();
    if (waiting && clock() - *waiting > Milliseconds{kBeatTimeout}) give_up(w);
    if (now_ >= self.next_beat) heartbeat(w);
    read(w, pick(kUsers));
    at(now_ + 1 + pick(3), [this, w] { tick(w); });
  }

  void give_up(int w) {
    Worker& self = worker(w);
    self.lease.lost();
    if (self.subscription) self.subscription->closed = true;
    if (self.data) self.data->closed = true;
    ++tally_.reconnects;
  }

  void subscribe(int w) {
    Worker& self = worker(w);
    self.lease.lost();
    Wire wire = open();
    self.subscription = wire;
    self.warranted = {};
    ask<bool>(
        wire,
        [wire](Server& server) {
          server.subscribers.push_back(wire);
          return true;
        },
        [this, w, wire](bool) {
          if (worker(w).subscription != wire) return;
          worker(w).lease.subscribed(instance(wire->server, wire->run),
                                     clock());
        });
  }

  void heartbeat(int w) {
    Worker& self = worker(w);
    self.next_beat = now_ + kBeatEvery;
    const MonoTime limit =
        without_ == Without::warrant ? MonoTime::max() : self.warranted;
    Lease::Beat beat = self.lease.beat(clock(), limit);
    auto answered = [this, w, beat](Lease::Part part) {
      Lease& lease = worker(w).lease;
      if (without_ == Without::sending_time) {
        count_from_now(w, part);
      } else {
        lease.answered(beat, part);
      }
    };
    auto nothing = [](Server&) { return true; };
    Wire subscription = self.subscription, data = self.data;
    ask<bool>(subscription, nothing, [=, this](bool) {
      if (worker(w).subscription == subscription) {
        answered(Lease::subscription);
      }
    });
    ask<bool>(data, nothing, [=, this](bool) {
      if (worker(w).data != data) return;
      Instance who = instance(data->server, data->run);
      if (without_ == Without::instance) {
        answered(Lease::data);
      } else if (!worker(w).lease.data_replied(
                     without_ == Without::sending_time ? 0 : beat, who)) {
        give_up(w);
      } else if (without_ == Without::sending_time) {
        answered(Lease::data);
      }
    });
    // Who is the primary is asked over a network of its own.
    int generation = self.generation;
    const MonoTime until = clock() + length();
    at(now_ + delay(), [=, this] {
      int named = primary_;
      at(now_ + delay(), [=, this] {
        if (worker(w).generation == generation &&
            worker(w).subscription->server == named) {
          worker(w).warranted = std::max(worker(w).warranted, until);
        }
      });
    });
  }

  // Without::sending_time: as if each part were of a heartbeat sent just now.
  void count_from_now(int w, Lease::Part) {
    Lease& lease = worker(w).lease;
    Lease::Beat beat = lease.beat(clock());
    for (Lease::Part part : {Lease::subscription, Lease::data}) {
      lease.answered(beat, part);
    }
  }

  bool believes(int w, int user, FillStamp stamp) {
    if (without_ == Without::start) {
      stamp.began = clock().time_since_epoch().count();
    }
    if (without_ == Without::instance) stamp.instance = listening_to(w).tag();
    return worker(w).lease.may_believe(stamp, numbers_, hash(user), clock());
  }
  bool stands(int w, int user, const Entry& remembered) {
    return without_ == Without::looking ? remembered.stamp.instance != 0
                                        : believes(w, user, remembered.stamp);
  }

  void read(int w, int user) {
    const Entry& entry = zone_[static_cast<std::size_t>(user)];
    Entry& remembered = worker(w).remembered[static_cast<std::size_t>(user)];
    if (memory_ && stands(w, user, remembered)) {
      ++tally_.remembered;
      judge(user, remembered.version);
    } else if (believes(w, user, entry.stamp)) {
      remembered = entry;
      judge(user, entry.version);
    } else {
      fill(w, user);
    }
  }

  void fill(int w, int user) {
    Worker& self = worker(w);
    auto at_user = static_cast<std::size_t>(user);
    if (self.filling[at_user] || self.data->closed) return;
    if (without_ == Without::instance) {
      self.lease.reads_from(listening_to(w));
    }
    auto stamp = self.lease.begin_fill(numbers_, hash(user), clock());
    if (!stamp) return;
    self.filling[at_user] = true;
    Wire data = self.data;
    ask<int>(
        data, [at_user](Server& server) { return server.versions[at_user]; },
        [=, this](int version) {
          if (worker(w).data != data) return;
          worker(w).filling[at_user] = false;
          store(w, user, *stamp, version);
        });
  }

  void store(int w, int user, FillStamp stamp, int version) {
    if (without_ == Without::numbers) stamp.number = numbers_.of(hash(user));
    if (Lease::may_store(stamp, numbers_, hash(user))) {
      zone_[static_cast<std::size_t>(user)] = {stamp, version};
    } else {
      ++tally_.overtaken_fills;
      fill(w, user);
    }
  }

  void judge(int user, int version) {
    ++tally_.believed;
    const std::vector<int>& written = written_[static_cast<std::size_t>(user)];
    auto next = static_cast<std::size_t>(version);
    if (next >= written.size()) return;  // nothing newer
    int age = now_ - written[next];
    if (age >= kLease) {
      ++tally_.older_than_lease;
    } else {
      ++tally_.old_within_lease;
    }
    if (age > kSlowest) ++tally_.older_than_network;
  }

  // --- Redis ---

  // The writer's acknowledgement comes later still, so the rule checked here
  // is the stricter one.
  void write() {
    Server& server = servers_[static_cast<std::size_t>(primary_)];
    bool everything = faults_ && chance(3);
    int user = pick(kUsers);
    for (int u = 0; u < kUsers; ++u) {
      if (!everything && u != user) continue;
      auto at_user = static_cast<std::size_t>(u);
      written_[at_user].push_back(now_);
      server.versions[at_user] = static_cast<int>(written_[at_user].size());
    }
    if (without_ != Without::invalidations) tell(server, user, everything);
    at(now_ + 1 + pick(chance(20) ? 300 : 30), [this] { write(); });
  }

  void tell(Server& server, int user, bool everything) {
    for (const Wire& wire : server.subscribers) {
      send(wire, false, [this, user, everything] {
        if (everything) {
          numbers_.everything_changed();
        } else {
          numbers_.changed(hash(user));
        }
      });
    }
  }

  // --- trouble ---

  void break_something() {
    int w = pick(workers());
    Worker& self = worker(w);
    switch (pick(7)) {
      case 0:  // half-open
      case 1:
        if (self.subscription) self.subscription->silent = true;
        break;
      case 2:  // CLIENT KILL
        if (self.subscription) self.subscription->closed = true;
        if (chance(50) && self.data) self.data->closed = true;
        break;
      case 3:
        replace(w);
        break;
      case 4:
        restart();
        break;
      case 5:
        fail_over();
        break;
      case 6:  // made anew: whose worker died in the middle of a change
        zone_.fill({});
        break;
    }
    at(now_ + 20 + pick(300), [this] { break_something(); });
  }

  void replace(int w) {  // reload, or killed: what it had not read is gone
    Worker& self = worker(w);
    int generation = self.generation + 1;
    if (self.subscription) self.subscription->closed = true;
    if (self.data) self.data->closed = true;
    self = new_worker();
    self.generation = generation;
  }

  // Another process with the same data; some workers are told, some are not.
  void restart() {
    Server& server = servers_[static_cast<std::size_t>(primary_)];
    ++server.run;
    server.subscribers.clear();
    for (Worker& worker : workers_) {
      for (const Wire& wire : {worker.subscription, worker.data}) {
        if (!wire || wire->server != primary_) continue;
        (chance(50) ? wire->closed : wire->silent) = true;
      }
    }
  }

  // The old primary goes on answering whoever is connected to it.
  void fail_over() {
    if (primary_ + 1 == kServers) return;
    const std::array<int, kUsers> versions =
        servers_[static_cast<std::size_t>(primary_)].versions;
    ++primary_;
    servers_[static_cast<std::size_t>(primary_)].versions = versions;
  }

  std::mt19937_64 random_;
  bool faults_;
  bool memory_;
  Without without_;
  int now_ = 0;
  long order_ = 0;
  std::priority_queue<Event> events_;

  std::array<Server, kServers> servers_{};
  int primary_ = 0;
  std::array<std::vector<int>, kUsers> written_;  // when, in order

  std::array<FillNumbers::Word, 4> words_{};  // fewer than users: they collide
  FillNumbers numbers_{words_.data(), words_.size()};
  std::array<Entry, kUsers> zone_{};
  std::vector<Worker> workers_;
  Tally tally_;
};

}  // namespace entitle::test
