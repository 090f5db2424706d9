// What export writes and restore reads: lines of JSON, the first of which says
// what they are, the last that they are all. docs/entitlectl.md has the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/restore.h"

namespace entitle::cli {

inline constexpr std::int64_t kDumpFormat = 1;

struct DumpHead {
  std::int64_t format = 0;
  std::string prefix;
  std::string mode;
  UnixTime time{};
};

// A key to look things up by, or a list: what is told to it.
struct DumpKey {
  enum class Kind {
    event,
    email,
    parked,
    unmatched,
    lost,
    ignored,
    webhook,
    reconcile,
  };
  Kind kind = Kind::event;
  std::string id;     // of the event; the e-mail
  std::string value;  // of a string
  std::optional<Seconds> ttl;
  std::vector<std::string> members;                        // of a set
  std::vector<std::pair<std::string, std::string>> pairs;  // member, score;
                                                           // field, value
};

// How many of each there were.
struct DumpEnd {
  std::int64_t places = 0, users = 0, others = 0;
  bool operator==(const DumpEnd&) const = default;
};

using DumpLine = std::variant<DumpHead, KeptHash, DumpKey, DumpEnd>;

// A line without its end.
std::string encode(const DumpHead& head);
std::string encode(const KeptHash& kept);
std::string encode(const DumpKey& key);
std::string encode(const DumpEnd& end);

// Null: it is none of these, or not whole.
std::optional<DumpLine> decode_dump_line(std::string_view line);

}  // namespace entitle::cli
