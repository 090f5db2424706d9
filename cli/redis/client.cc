#include "cli/redis/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "cli/base/stop.h"
#include "core/redis/error.h"
#include "core/redis/exec_reply.h"
#include "core/redis/sentinel.h"

namespace entitle::cli {
namespace {

constexpr int kMostRedirections = 5;
constexpr std::chrono::seconds kSearchTime{5};

using Kind = RedisAddress::Kind;

Endpoint endpoint_of(const RedisSettings& settings, RedisHost host,
                     Endpoint::Login login) {
  Endpoint endpoint;
  endpoint.host = std::move(host);
  endpoint.ssl = settings.address.ssl;
  endpoint.login = login;
  if (login == Endpoint::Login::redis) endpoint.db = settings.address.db;
  return endpoint;
}

bool opens_transaction(const Step& step) {
  return std::any_of(step.commands.begin(), step.commands.end(),
                     [](const Command& c) { return c.front() == "MULTI"; });
}

std::uint64_t random_bits() {
  static std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

[[noreturn]] void cannot_tell(const Unreachable& why) {
  throw Stop(Exit::cannot_tell, why.what());
}

}  // namespace

Client::Client(RedisSettings settings) : settings_(std::move(settings)) {
  settings_.address.ssl |= settings_.ssl.on;
}

// --- who is asked ------------------------------------------------------------

bool Client::confirmed(const RedisHost& primary) {
  const std::vector<RedisHost>& sentinels = settings_.address.hosts;
  PrimaryVote vote(primary, sentinels.size());
  const std::vector<Command> question{
      {"SENTINEL", "MASTER", settings_.address.master_name}};
  for (std::size_t i = 0; i < sentinels.size() && !vote.confirmed(); ++i) {
    try {
      Connection sentinel(
          endpoint_of(settings_, sentinels[i], Endpoint::Login::sentinel),
          settings_);
      vote.answered(i, sentinel.ask(question).front());
    } catch (const Unreachable&) {
      // It has no vote.
    }
  }
  return vote.confirmed();
}

std::unique_ptr<Connection> Client::found_by_sentinel() {
  SentinelSearch search(settings_.address.hosts);
  std::unique_ptr<Connection> candidate;
  const Clock::time_point until = Clock::now() + kSearchTime;
  std::string why;
  while (Clock::now() < until) {
    try {
      switch (search.next()) {
        case SentinelSearch::Next::ask: {
          Connection sentinel(endpoint_of(settings_, search.sentinel(),
                                          Endpoint::Login::sentinel),
                              settings_);
          const std::vector<Command> question{{"SENTINEL",
                                               "get-master-addr-by-name",
                                               settings_.address.master_name}};
          search.answered(sentinel.ask(question).front(), random_bits());
          break;
        }
        case SentinelSearch::Next::connect: {
          candidate = std::make_unique<Connection>(
              endpoint_of(settings_, search.candidate(),
                          Endpoint::Login::redis),
              settings_);
          const std::vector<Command> question{{"ROLE"}};
          search.role(candidate->ask(question).front(), random_bits());
          break;
        }
        case SentinelSearch::Next::rest:
          std::this_thread::sleep_for(search.pause());
          search.rested();
          break;
        case SentinelSearch::Next::found:
          if (confirmed(search.candidate())) return candidate;
          why = "most Sentinels do not say that it is the primary";
          search.lost();
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
          break;
      }
    } catch (const Unreachable& unreachable) {
      why = unreachable.what();
      if (search.next() == SentinelSearch::Next::ask) {
        search.sentinel_failed(random_bits());
      } else {
        search.candidate_failed(random_bits());
      }
    }
  }
  throw Unreachable(
      fmt::format("no primary \"{}\" was found by the Sentinels{}{}",
                  settings_.address.master_name, why.empty() ? "" : ": ", why));
}

Connection& Client::single() {
  if (!single_) {
    if (settings_.address.kind == Kind::sentinel) {
      single_ = found_by_sentinel();
    } else {
      Endpoint endpoint = endpoint_of(settings_, {}, Endpoint::Login::redis);
      if (settings_.address.kind == Kind::unix_socket) {
        endpoint.path = settings_.address.path;
      } else {
        endpoint.host = settings_.address.hosts.front();
      }
      single_ = std::make_unique<Connection>(endpoint, settings_);
    }
  }
  return *single_;
}

void Client::read_slots() {
  const std::vector<Command> question{{"CLUSTER", "SLOTS"}};
  std::string why;
  for (const RedisHost& host : settings_.address.hosts) {
    try {
      const Reply reply = node_at(host).ask(question).front();
      slots_ = SlotMap::parse(reply, host);
      if (slots_ && !slots_->primaries().empty()) return;
      why = fmt::format("Redis at {}:{} knows no slots ({})", host.host,
                        host.port, reply.text);
    } catch (const Unreachable& unreachable) {
      why = unreachable.what();
    }
  }
  throw Unreachable(why);
}

Connection& Client::node_at(const RedisHost& host) {
  for (const auto& node : nodes_) {
    if (node->endpoint().host == host) return *node;
  }
  nodes_.push_back(std::make_unique<Connection>(
      endpoint_of(settings_, host, Endpoint::Login::redis), settings_));
  return *nodes_.back();
}

Connection& Client::node_of(const std::string& key) {
  if (settings_.address.kind != Kind::cluster) return single();
  if (!slots_) read_slots();
  const RedisHost* host = slots_->primary(key_slot(key));
  if (host == nullptr) throw Unreachable("no Redis node has \"" + key + '"');
  return node_at(*host);
}

void Client::each_primary(const std::function<void(Connection&)>& look) {
  try {
    if (settings_.address.kind != Kind::cluster) {
      look(single());
      return;
    }
    if (!slots_) read_slots();
    for (const RedisHost& host : slots_->primaries()) look(node_at(host));
  } catch (const Unreachable& why) {
    cannot_tell(why);
  }
}

// --- what is asked -----------------------------------------------------------

std::optional<Redirect> Client::redirection(const std::vector<Reply>& replies,
                                            const Connection& asked) {
  if (settings_.address.kind != Kind::cluster) return std::nullopt;
  for (const Reply& reply : replies) {
    if (!reply.is_error()) continue;
    if (auto redirect = parse_redirect(reply, asked.endpoint().host)) {
      return redirect;
    }
  }
  return std::nullopt;
}

// Who has the key may have changed. What opens a transaction is not sent
// again: Redis has refused it, and whoever wanted it begins anew.
std::vector<Reply> Client::send(const Step& step) {
  if (step.pause.count() > 0) std::this_thread::sleep_for(step.pause);
  try {
    Connection* node = &node_of(step.key);
    std::vector<Reply> replies = node->ask(step.commands, step.more_time);
    for (int i = 0; i < kMostRedirections; ++i) {
      const auto redirect = redirection(replies, *node);
      if (!redirect) break;
      slots_->follow(*redirect);
      if (opens_transaction(step)) break;
      node = &node_at(redirect->host);
      std::vector<Command> commands;
      const bool asking = redirect->kind == Redirect::Kind::ask;
      for (const Command& command : step.commands) {
        if (asking) commands.push_back({"ASKING"});
        commands.push_back(command);
      }
      replies = node->ask(commands, step.more_time);
      if (!asking) continue;
      for (std::size_t j = 0; j < step.commands.size(); ++j) {
        replies[j] = std::move(replies[2 * j + 1]);
      }
      replies.resize(step.commands.size());
    }
    if (leaves_doubt(step.commands, replies)) {
      single_.reset();
      nodes_.clear();
    }
    return replies;
  } catch (const Unreachable& why) {
    cannot_tell(why);
  }
}

std::vector<Reply> Client::ask(const std::string& key,
                               std::vector<Command> commands) {
  std::vector<Reply> replies = send(Step{key, std::move(commands)});
  for (const Reply& reply : replies) {
    const ErrorMeaning meaning = meaning_of(reply);
    if (meaning != ErrorMeaning::none && meaning != ErrorMeaning::wrong) {
      throw Stop(Exit::cannot_tell,
                 fmt::format("Redis answers \"{}\"", reply.text));
    }
  }
  return replies;
}

std::vector<Reply> Client::ask_each(std::vector<Command> commands) {
  if (commands.empty()) return {};
  if (one_server()) return ask("", std::move(commands));
  std::vector<Reply> replies;
  for (Command& command : commands) {
    const std::string key = command.at(1);
    replies.push_back(ask(key, std::move(command)));
  }
  return replies;
}

bool Client::one_server() const {
  return settings_.address.kind != Kind::cluster;
}

Reply Client::ask(const std::string& key, Command command) {
  std::vector<Command> commands;
  commands.push_back(std::move(command));
  return std::move(ask(key, std::move(commands)).front());
}

}  // namespace entitle::cli
