#include "core/redis/warnings.h"

#include "core/base/decimal.h"
#include "core/redis/info.h"

namespace entitle {
namespace {

std::string eviction_warning(std::string_view info) {
  const std::string_view policy = info_field(info, "maxmemory_policy");
  const std::string_view limit = info_field(info, "maxmemory");
  if (limit.empty() || limit == "0") {
    return {};
  }
  std::string_view risk;
  if (policy.starts_with("allkeys-")) {
    risk = "any record, and who paid is locked out";
  } else if (policy.starts_with("volatile-")) {
    risk =
        "keys that expire: look-ups of events and e-mails, and what was paid "
        "in a checkout session or payment and has no owner yet; no record";
  } else {
    return {};
  }
  std::string text = "maxmemory-policy is \"";
  text += policy;
  text += "\": at ";
  text += limit;
  text += " bytes (maxmemory) it drops ";
  text += risk;
  text += "; set \"maxmemory-policy noeviction\"";
  return text;
}

}  // namespace

bool says_primary(std::string_view info) {
  return info_field(info, "role") == "master";
}

std::int64_t connected_replicas(std::string_view info) {
  return parse_decimal<std::int64_t>(info_field(info, "connected_slaves"))
      .value_or(0);
}

std::string replica_wait_warning(std::int64_t replicas, std::int64_t counted) {
  if (counted == 0 || counted >= replicas) {
    return {};
  }
  return "it has " + std::to_string(replicas) +
         " replicas and \"entitle_redis_wait\" counts " +
         std::to_string(counted) +
         ": one that was not counted may take over, and what was answered 2xx "
         "is lost; count as many as may take over";
}

std::vector<std::string> storage_warnings(std::string_view info) {
  std::vector<std::string> warnings;
  if (std::string eviction = eviction_warning(info); !eviction.empty()) {
    warnings.push_back(std::move(eviction));
  }
  if (info_field(info, "aof_enabled") == "0" &&
      info_field(info, "connected_slaves") == "0") {
    warnings.emplace_back(
        "it has neither an append-only file nor a replica: when it crashes, "
        "what was answered 2xx since its last snapshot (RDB) is lost; set "
        "\"appendonly yes\", or have replicas and \"entitle_redis_wait\"");
  }
  return warnings;
}

}  // namespace entitle
