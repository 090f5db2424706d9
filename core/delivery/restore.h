// Putting back what was kept elsewhere: a place or a record as it once stood in
// Redis. Where there is none now it becomes what it was, byte for byte. Where
// there is one, what was kept is told to it like an event: claims and facts are
// sets, whoever owns something now is found by the protocol, and what is known
// already changes nothing. So it may be broken off and done again, twice, in
// any order, and while events come.
//
// A record's version is made anew: no session that is older than the loss comes
// back to life.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/operators_word.h"
#include "core/delivery/options.h"
#include "core/redis/conversation.h"

namespace entitle {

// A hash with all its fields, as HGETALL gave them.
struct KeptHash {
  enum class Kind { place, record };
  Kind kind = Kind::place;
  std::string id;  // of the place; the user
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::string> log;  // of the user, newest first
  std::optional<Seconds> ttl;    // of the place
};

// Whether it is what a place or a record can be.
bool is_sound(const KeptHash& kept);

enum class Restored {
  made,    // there was none
  merged,  // something of it was new here
  same,
  unreadable,  // what stands there cannot be read, and stays
  failed,
};
struct RestoreResult {
  Restored outcome = Restored::failed;
  std::string error;  // why it failed
};

// Those that are there yet neither, nor anything that contradicts them, in one
// transaction. False for each that it takes restore() for. Only where one
// server has all keys.
Conversation<std::vector<bool>> restore_new(std::vector<KeptHash> all,
                                            DeliveryOptions options);

Conversation<RestoreResult> restore(KeptHash kept, OperatorsWord word,
                                    DeliveryOptions options);

}  // namespace entitle
