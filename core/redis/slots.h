// Redis Cluster, as a client needs it: which slot a key is in, which node
// serves the slot, and where redirections point.
// Source:
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
// and redis 7.0 src/cluster.c (CLUSTER SLOTS, clusterRedirectClient).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/address.h"
#include "core/redis/reply.h"

namespace entitle {

inline constexpr std::uint16_t kSlots = 16384;

// CRC16 (XMODEM) of the hash tag - what stands in the first {...}, if that is
// not empty - or else of the whole key, modulo kSlots.
std::uint16_t key_slot(std::string_view key);

// "MOVED 3999 10.0.0.1:6381" or "ASK ...". A host the server left out ("",
// "?") is the one that was asked.
struct Redirect {
  enum class Kind { moved, ask };
  Kind kind;
  std::uint16_t slot;
  RedisHost host;
};
std::optional<Redirect> parse_redirect(const Reply& error,
                                       const RedisHost& asked);

// Which primary serves which slot; replicas are read by no one here.
class SlotMap {
 public:
  // Primaries, and nodes of one slot range. Nobody runs more; a reply that says
  // so is refused.
  static constexpr std::size_t kMaxNodes = 1000;

  // From CLUSTER SLOTS. Null: not such a reply, or over a bound. Where two
  // ranges overlap the later one holds. `asked` is who answered.
  static std::optional<SlotMap> parse(const Reply& cluster_slots,
                                      const RedisHost& asked);

  // Null: nobody serves it.
  const RedisHost* primary(std::uint16_t slot) const;

  // Every primary once: each is to be listened to.
  std::vector<RedisHost> primaries() const;

  // Takes one MOVED at its word until a new map is read. False: no room, or it
  // was an ASK, which is about one command and says nothing about the slot.
  bool follow(const Redirect& redirect);

 private:
  static constexpr std::uint16_t kNobody = 0xffff;

  SlotMap() { owner_.fill(kNobody); }
  // Null: there would be more than kMaxNodes.
  std::optional<std::uint16_t> number_of(const RedisHost& primary);

  std::array<std::uint16_t, kSlots> owner_;  // a number, or kNobody
  std::vector<RedisHost> primaries_;         // by number
};

}  // namespace entitle
