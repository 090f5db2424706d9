#include "core/redis/invalidation.h"

#include <algorithm>

#include "core/base/percent.h"

namespace entitle {
namespace {

bool is_string(const Reply& reply) { return reply.type == Reply::Type::string; }

PushMessage invalidation(const Reply& payload) {
  if (payload.is_array() && !payload.elements.empty() &&
      std::all_of(payload.elements.begin(), payload.elements.end(),
                  is_string)) {
    return {PushMessage::Kind::keys, payload.elements, {}};
  }
  return {PushMessage::Kind::everything, {}, {}};
}

}  // namespace

PushMessage read_push(const Reply& message) {
  // Outside a subscription PING answers with a plain status.
  const std::vector<Reply>& parts = message.elements;
  if (!message.is_array() || parts.empty() || !is_string(parts[0])) return {};

  const std::string& what = parts[0].text;
  if (what == "pong" && parts.size() == 2) {
    return {PushMessage::Kind::pong, {}, parts[1].text};
  }
  if (parts.size() != 3 || parts[1].text != kInvalidationChannel) return {};
  if (what == "subscribe") return {PushMessage::Kind::subscribed, {}, {}};
  if (what == "message") return invalidation(parts[2]);
  return {};
}

std::string tracking_prefix(std::string_view prefix, Mode mode) {
  return std::string(prefix) + std::string(name(mode)) + ":{u:";
}

std::optional<std::string> user_of_key(std::string_view key,
                                       std::string_view tracking_prefix) {
  if (!key.starts_with(tracking_prefix) || !key.ends_with('}')) {
    return std::nullopt;
  }
  key.remove_prefix(tracking_prefix.size());
  if (key.empty()) return std::nullopt;
  key.remove_suffix(1);
  if (key.find_first_of("{}") != std::string_view::npos) return std::nullopt;
  std::optional<std::string> user = percent_decode(key);
  if (!user || !User::from(*user)) return std::nullopt;
  return user;
}

}  // namespace entitle
