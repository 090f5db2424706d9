#include "core/redis/sentinel.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"
#include "core/base/decimal.h"

namespace entitle {
namespace {

std::optional<RedisHost> host_and_port(std::string_view host,
                                       std::string_view port) {
  auto number = parse_decimal<std::uint16_t>(port);
  if (!number || *number == 0 || host.empty() || host.size() > 253 ||
      !all_visible(host)) {
    return std::nullopt;
  }
  return RedisHost{std::string(host), *number};
}

bool is_string(const Reply& reply) { return reply.type == Reply::Type::string; }
bool is_integer(const Reply& reply) {
  return reply.type == Reply::Type::integer;
}

std::optional<Role> parse_replica(const std::vector<Reply>& parts) {
  if (parts.size() < 5 || !is_string(parts[1]) || !is_integer(parts[2]) ||
      !is_string(parts[3]) || !is_integer(parts[4])) {
    return std::nullopt;
  }
  std::optional<RedisHost> primary =
      host_and_port(parts[1].text, std::to_string(parts[2].integer));
  if (!primary) return std::nullopt;
  return Role{Role::Kind::replica, parts[4].integer,
              parts[3].text == "connected", *std::move(primary)};
}

}  // namespace

std::optional<RedisHost> parse_master_address(const Reply& reply) {
  if (!reply.is_array() || reply.elements.size() != 2 ||
      !is_string(reply.elements[0]) || !is_string(reply.elements[1])) {
    return std::nullopt;
  }
  return host_and_port(reply.elements[0].text, reply.elements[1].text);
}

std::optional<MasterState> parse_master_state(const Reply& reply) {
  std::string_view host, port, flags;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    const Reply& name = reply.elements[i];
    const Reply& value = reply.elements[i + 1];
    if (!is_string(name) || !is_string(value)) return std::nullopt;
    if (name.text == "ip") host = value.text;
    if (name.text == "port") port = value.text;
    if (name.text == "flags") flags = value.text;
  }
  std::optional<RedisHost> address = host_and_port(host, port);
  if (!address) return std::nullopt;
  // Any other flag is some trouble: s_down, o_down, disconnected,
  // failover_in_progress ...
  return MasterState{*std::move(address), flags == "master"};
}

std::optional<RedisHost> parse_switch_master(std::string_view payload,
                                             std::string_view master_name) {
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::size_t space = payload.find(' ');
    bool last = i + 1 == words.size();
    if (last != (space == std::string_view::npos)) return std::nullopt;
    words[i] = payload.substr(0, space);
    payload.remove_prefix(last ? payload.size() : space + 1);
  }
  if (words[0] != master_name) return std::nullopt;
  return host_and_port(words[3], words[4]);
}

std::optional<Role> parse_role(const Reply& role) {
  const std::vector<Reply>& parts = role.elements;
  if (!role.is_array() || parts.empty() || !is_string(parts[0])) {
    return std::nullopt;
  }
  const std::string& kind = parts[0].text;
  if (kind == "master" && parts.size() >= 2 && is_integer(parts[1])) {
    return Role{Role::Kind::primary, parts[1].integer, false, {}};
  }
  if (kind == "slave") return parse_replica(parts);
  if (kind == "sentinel") return Role{Role::Kind::sentinel, 0, false, {}};
  return std::nullopt;
}

SentinelSearch::SentinelSearch(std::vector<RedisHost> sentinels,
                               const BackoffPolicy& backoff)
    : sentinels_(std::move(sentinels)), backoff_(backoff) {}

void SentinelSearch::ask_next(std::uint64_t random) {
  candidate_ = {};
  next_ = Next::ask;
  if (++asking_ < sentinels_.size()) return;
  asking_ = 0;
  next_ = Next::rest;
  pause_ = backoff_.next(random);
}

void SentinelSearch::answered(const Reply& master_address,
                              std::uint64_t random) {
  if (next_ != Next::ask) return;
  std::optional<RedisHost> address = parse_master_address(master_address);
  if (!address) {
    ask_next(random);
    return;
  }
  candidate_ = *std::move(address);
  next_ = Next::connect;
}

void SentinelSearch::sentinel_failed(std::uint64_t random) {
  if (next_ == Next::ask) ask_next(random);
}

void SentinelSearch::role(const Reply& role, std::uint64_t random) {
  if (next_ != Next::connect) return;
  std::optional<Role> parsed = parse_role(role);
  if (!parsed || parsed->kind != Role::Kind::primary) {
    ask_next(random);
    return;
  }
  next_ = Next::found;
  backoff_.reset();
  auto knew = sentinels_.begin() + static_cast<std::ptrdiff_t>(asking_);
  std::rotate(sentinels_.begin(), knew, knew + 1);
  asking_ = 0;
}

void SentinelSearch::candidate_failed(std::uint64_t random) {
  if (next_ == Next::connect) ask_next(random);
}

void SentinelSearch::rested() {
  if (next_ == Next::rest) next_ = Next::ask;
}

void SentinelSearch::lost() {
  if (next_ != Next::found) return;
  candidate_ = {};
  next_ = Next::ask;
}

void SentinelSearch::switched(const RedisHost& to) {
  if (next_ == Next::found && candidate_ == to) return;
  candidate_ = to;
  next_ = Next::connect;
}

void PrimaryVote::answered(std::size_t sentinel, const Reply& master) {
  if (sentinel >= answered_.size() || answered_[sentinel]) return;
  answered_[sentinel] = true;
  std::optional<MasterState> state = parse_master_state(master);
  if (!state) return;
  if (state->address != primary_) {
    contradicted_ = true;
  } else if (state->well) {
    ++agree_;
  }
}

}  // namespace entitle
