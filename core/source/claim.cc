#include "core/source/claim.h"

#include <array>

#include "core/base/percent.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

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

// Null where a member is missing, or where a user's claim names a place.
std::optional<Claim> read_claim(JsonReader& in) {
  std::string by;
  std::string to;
  std::int64_t at = -1;
  Claim claim{};
  in.object([&](std::string_view key) {
    if (key == "by") return in.string(by);
    if (key == "at") return in.integer(at);
    if (key == "event") return in.string(claim.event);
    if (key == "to") return in.string(to);
    in.fail();
  });
  std::optional<ClaimKind> kind = kind_of(by);
  std::optional<std::string> target = decode_target(to);
  if (!kind || !target || at < 0) return std::nullopt;
  bool to_place = !user_of(*target);
  if (to_place != (*kind == ClaimKind::forward)) return std::nullopt;
  claim.kind = *kind;
  claim.created = unix_time(at);
  claim.target = *std::move(target);
  return claim;
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
  std::string text;
  json::Writer out(text);
  out.begin_array();
  for (const Claim& claim : claims) {
    out.begin_object()
        .text("by", name(claim.kind))
        .number("at", to_unix(claim.created))
        .text("event", claim.event)
        .text("to", encode_target(claim.target))
        .end_object();
  }
  out.end_array();
  return text;
}

std::optional<std::vector<Claim>> decode_claims(std::string_view json) {
  std::vector<Claim> claims;
  JsonReader in(json);
  in.array([&] {
    std::optional<Claim> claim = read_claim(in);
    if (!claim) return in.fail();
    claims.push_back(*std::move(claim));
  });
  if (!in.finish()) return std::nullopt;
  return claims;
}

std::string encode_holders(const std::set<std::string>& holders) {
  std::string text;
  json::Writer(text).strings(holders, encode_target);
  return text;
}

std::optional<std::set<std::string>> decode_holders(std::string_view json) {
  std::set<std::string> holders;
  JsonReader in(json);
  in.array([&] {
    std::string text;
    in.string(text);
    std::optional<std::string> holder = decode_target(text);
    if (!holder || !user_of(*holder)) return in.fail();
    holders.insert(*std::move(holder));
  });
  if (!in.finish()) return std::nullopt;
  return holders;
}

}  // namespace entitle
