#include "core/report/settings.h"

#include <map>

#include "core/crypto/siphash.h"

namespace entitle {
namespace {

std::map<std::string, std::vector<std::string>> by_name(
    const GrantMap& grants) {
  std::map<std::string, std::vector<std::string>> names;
  for (const Identifier& identifier : grants.identifiers()) {
    for (const std::string_view given : grants.entitlements_of(identifier)) {
      names[std::string(given)].push_back(identifier.str());
    }
  }
  return names;
}

void write_effect(json::Writer& out, const ServerSettings& server) {
  const Policy& policy = server.policy;
  out.number("grace", policy.grace.count())
      .number("past_due_grace", policy.past_due_grace.count())
      .number("provisional", policy.provisional.count())
      .text("refund", policy.refund_revokes ? "revoke" : "keep")
      .text("dispute", policy.dispute_revokes ? "revoke" : "keep")
      .text("pause_collection", policy.pause_revokes ? "revoke" : "keep");
  out.key("grants").begin_object();
  for (const auto& [given, identifiers] : by_name(*server.grants)) {
    out.key(given).strings(identifiers);
  }
  out.end_object();
}

}  // namespace

std::string fingerprint(const ServerSettings& server) {
  std::string text;
  json::Writer out(text);
  out.begin_object()
      .text("prefix", server.prefix)
      .text("mode", name(server.mode));
  write_effect(out, server);
  out.end_object();
  SipHasher hasher(SipKey{});
  hasher.add(text);
  const Hash128 hash = hasher.finish();
  std::string hex;
  for (const std::uint64_t half : {hash.high, hash.low}) {
    for (int shift = 60; shift >= 0; shift -= 4) {
      hex += "0123456789abcdef"[half >> shift & 15];
    }
  }
  return hex;
}

void write(json::Writer& out, const ServerSettings& server) {
  out.begin_object()
      .text("server", server.name)
      .text("prefix", server.prefix)
      .text("mode", name(server.mode))
      .text("fingerprint", fingerprint(server));
  write_effect(out, server);
  out.end_object();
}

}  // namespace entitle
