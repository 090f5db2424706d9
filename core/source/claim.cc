#include "core/source/claim.h"

#include <array>
#include <tuple>

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

constexpr std::array<KindRow, 9> kKinds = {{
    {ClaimKind::forward, "forward", 0},
    {ClaimKind::email, "email", 1},
    {ClaimKind::customer_metadata, "customer_metadata", 3},
    {ClaimKind::session_metadata, "session_metadata", 2},
    {ClaimKind::subscription_metadata, "subscription_metadata", 2},
    {ClaimKind::client_reference, "client_reference", 2},
    {ClaimKind::part_of, "part_of", 0},
    {ClaimKind::operators, "operator", kOperatorsRank},
    // What of it is not about that purchase is as good as a buyer's word.
    {ClaimKind::operators_of_purchase, "operator_of_purchase", 2},
}};

std::string_view name_of(const Claim& claim) {
  for (const KindRow& known : kKinds) {
    if (known.kind == claim.kind) return known.name;
  }
  return claim.other_kind;
}

// Below what no later version's "rank" can be.
constexpr std::int64_t kMaxRank = 1000;

std::int64_t said_rank(const Claim& claim) {
  const std::string* said = claim.unknown.find("rank");
  if (said == nullptr) return 0;
  std::int64_t rank = 0;
  JsonReader in(*said);
  in.integer(rank);
  return in.finish() && rank > 0 && rank < kMaxRank ? rank : 0;
}

void read_kind(std::string by, Claim& claim) {
  for (const KindRow& candidate : kKinds) {
    if (candidate.name != by) continue;
    claim.kind = candidate.kind;
    return;
  }
  claim.kind = ClaimKind::other;
  claim.other_kind = std::move(by);
}

// Of a kind we know, whether it names what that kind names.
bool is_sound(const Claim& claim) {
  if (claim.kind == ClaimKind::other) return !claim.other_kind.empty();
  if (claim.kind == ClaimKind::forward || claim.kind == ClaimKind::part_of) {
    return !claim.target.place().empty();
  }
  return claim.target.user().has_value();
}

// What an operator says has its rank written beside it: a version that does not
// know the kind goes by that.
bool is_operators(ClaimKind kind) {
  return kind == ClaimKind::operators ||
         kind == ClaimKind::operators_of_purchase;
}

// Null where a member is missing, or where a user's claim names a place.
std::optional<Claim> read_claim(JsonReader& in) {
  std::string by;
  std::string to;
  std::string rank_said;
  std::int64_t at = -1;
  Claim claim{};
  in.object([&](std::string_view key) {
    if (key == "by") return in.string(by);
    if (key == "at") return in.integer(at);
    if (key == "event") return in.string(claim.event);
    if (key == "to") return in.string(to);
    if (key == "rank") return in.value(rank_said);
    std::string value;
    in.value(value);
    claim.unknown.keep(key, std::move(value));
  });
  std::optional<std::string> target = percent_decode(to);
  if (!target || at < 0) return std::nullopt;
  claim.created = unix_time(at);
  claim.target = Target(*std::move(target));
  read_kind(std::move(by), claim);
  if (!rank_said.empty() && !is_operators(claim.kind)) {
    claim.unknown.keep("rank", std::move(rank_said));
  }
  if (!is_sound(claim)) return std::nullopt;
  return claim;
}

}  // namespace

bool Claim::says_what(const Claim& other) const {
  return std::tie(kind, created, event, target, source, other_kind) ==
         std::tie(other.kind, other.created, other.event, other.target,
                  other.source, other.other_kind);
}

int rank(const Claim& claim) {
  for (const KindRow& known : kKinds) {
    if (known.kind == claim.kind) return known.rank;
  }
  bool names_user = claim.target.user().has_value();
  return names_user ? static_cast<int>(said_rank(claim)) : 0;
}

Claim part_of(std::string part, std::string_view whole, UnixTime said,
              std::string event) {
  return {ClaimKind::part_of, said, std::move(event), Target::of_place(whole),
          std::move(part)};
}

bool is_explicit(ClaimKind kind) {
  return kind == ClaimKind::session_metadata ||
         kind == ClaimKind::subscription_metadata ||
         kind == ClaimKind::client_reference;
}

std::string encode_claims(const std::vector<Claim>& claims) {
  std::string text;
  json::Writer out(text);
  out.begin_array();
  for (const Claim& claim : claims) {
    out.begin_object()
        .text("by", name_of(claim))
        .number("at", to_unix(claim.created))
        .text("event", claim.event)
        .text("to", claim.target.encode());
    if (is_operators(claim.kind)) {
      out.number("rank", claim.source.empty() ? rank(claim) : kOperatorsRank);
    }
    claim.unknown.write(out);
    out.end_object();
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

std::string encode_holders(const std::set<Target>& holders,
                           const std::set<std::string>& others) {
  std::string text;
  json::Writer out(text);
  out.begin_array();
  for (const Target& holder : holders) out.string(holder.encode());
  for (const std::string& other : others) out.raw(other);
  out.end_array();
  return text;
}

bool decode_holders(std::string_view json, std::set<Target>& holders,
                    std::set<std::string>& others) {
  JsonReader in(json);
  in.array([&] {
    std::string value;
    in.value(value);
    std::string text;
    JsonReader holder(value);
    holder.string(text);
    std::optional<Target> target = Target::decode(text);
    if (holder.finish() && target && target->user()) {
      holders.insert(*std::move(target));
    } else {
      others.insert(std::move(value));
    }
  });
  return in.finish();
}

}  // namespace entitle
