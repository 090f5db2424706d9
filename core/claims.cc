#include "core/claims.h"

#include <jansson.h>

#include <array>

#include "core/event.h"
#include "core/json_text.h"
#include "core/percent.h"

namespace entitle {
namespace {

struct KindRow {
  ClaimKind kind;
  std::string_view name;
  int rank;
};

constexpr std::array<KindRow, 6> kKinds = {{
    {ClaimKind::forward, "forward", 0},
    {ClaimKind::email, "email", 1},
    {ClaimKind::customer_metadata, "customer_metadata", 2},
    {ClaimKind::session_metadata, "session_metadata", 3},
    {ClaimKind::subscription_metadata, "subscription_metadata", 3},
    {ClaimKind::client_reference, "client_reference", 3},
}};

const KindRow& row(ClaimKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::optional<ClaimKind> kind_of(std::string_view name) {
  for (const KindRow& candidate : kKinds) {
    if (candidate.name == name) return candidate.kind;
  }
  return std::nullopt;
}

Json parse_array(std::string_view json) {
  Json root(
      json_loadb(json.data(), json.size(), JSON_REJECT_DUPLICATES, nullptr));
  if (root && !json_is_array(root.get())) root.reset();
  return root;
}

std::optional<std::string_view> text_of(const json_t* value) {
  if (!json_is_string(value)) return std::nullopt;
  return std::string_view(json_string_value(value), json_string_length(value));
}

std::optional<Claim> decode_claim(const json_t* object) {
  auto by = text_of(json_object_get(object, "by"));
  auto event = text_of(json_object_get(object, "event"));
  auto to = text_of(json_object_get(object, "to"));
  const json_t* at = json_object_get(object, "at");
  if (!by || !event || !to || !json_is_integer(at)) return std::nullopt;
  auto kind = kind_of(*by);
  auto target = decode_target(*to);
  if (!kind || !target) return std::nullopt;
  bool to_place = !user_of(*target);
  if (to_place != (*kind == ClaimKind::forward)) return std::nullopt;
  return Claim{*kind, unix_time(json_integer_value(at)), std::string(*event),
               *std::move(target)};
}

}  // namespace

std::string_view name(ClaimKind kind) { return row(kind).name; }

int rank(ClaimKind kind) { return row(kind).rank; }

std::string encode_target(std::string_view target) {
  return percent_encode(target);
}

std::optional<std::string> decode_target(std::string_view text) {
  std::optional<std::string> target = percent_decode(text);
  if (!target) return std::nullopt;
  if (!user_of(*target) && place_of(*target).empty()) return std::nullopt;
  return target;
}

std::optional<User> user_of(std::string_view target) {
  if (!target.starts_with("u:")) return std::nullopt;
  return User::from(target.substr(2));
}

std::string_view place_of(std::string_view target) {
  if (!target.starts_with("p:")) return {};
  return target.substr(2);
}

std::string encode_claims(const std::vector<Claim>& claims) {
  std::string out = "[";
  for (const Claim& claim : claims) {
    if (out.size() > 1) out += ',';
    out += "{\"by\":";
    append_json_string(out, name(claim.kind));
    out += ",\"at\":" + std::to_string(to_unix(claim.created));
    out += ",\"event\":";
    append_json_string(out, claim.event);
    out += ",\"to\":";
    append_json_string(out, encode_target(claim.target));
    out += '}';
  }
  out += ']';
  return out;
}

std::optional<std::vector<Claim>> decode_claims(std::string_view json) {
  Json root = parse_array(json);
  if (!root) return std::nullopt;
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < json_array_size(root.get()); i++) {
    auto claim = decode_claim(json_array_get(root.get(), i));
    if (!claim) return std::nullopt;
    claims.push_back(*std::move(claim));
  }
  return claims;
}

std::string encode_holders(const std::set<std::string>& holders) {
  std::string out;
  append_json_strings(out, holders, encode_target);
  return out;
}

std::optional<std::set<std::string>> decode_holders(std::string_view json) {
  Json root = parse_array(json);
  if (!root) return std::nullopt;
  std::set<std::string> holders;
  for (std::size_t i = 0; i < json_array_size(root.get()); i++) {
    auto text = text_of(json_array_get(root.get(), i));
    if (!text) return std::nullopt;
    auto holder = decode_target(*text);
    if (!holder || !user_of(*holder)) return std::nullopt;
    holders.insert(*std::move(holder));
  }
  return holders;
}

}  // namespace entitle
