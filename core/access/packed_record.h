// What the gate needs of a user's record, as one flat byte string for the
// shared zone: no pointers, its layout's number first, read with every bound
// checked. Policies, grants and time are applied when it is read, so it stays
// right when they change. Grammar (numbers little-endian):
//
//   record      layout:8 = 3, flags:8, version:64, [not_before:40],
//               [known:64], count, source*
//                 flags 1: not_before is there; 2: known is there (else 0)
//   source      head:16, [end:40], [cancelled:40], [paused:40], [since:40],
//               count, identifier*
//                 head 0x0f: Projection::State; 0x10: end is there (else
//                 kForever); 0x20: since is there (else 0); 0x40: ambiguous;
//                 0x80: disputed; 0x100: cancelled is there (else kForever);
//                 0x200: paused until then; 0x400: paused, until kForever
//   identifier  head:8, [length:8, account], length:8, value
//                 head 0x0f: type, which stands for the text's beginning;
//                 0x10: the account is there, without "acct_"; 0x20: it is
//                 the account of the identifier before, in the same source
//   count       a byte below 0x80; or the low seven bits with 0x80, then the
//               others
//   40-bit times: unix seconds; earlier and later ones are clamped
//
// Two subscriptions of a price (30 bytes as text), a product (19) and a lookup
// key (22) each are 137 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/access/projection.h"
#include "core/access/standing.h"
#include "core/base/types.h"

namespace entitle {

// A longer one is not worth its place in the zone: such a user is read from
// Redis each time.
inline constexpr std::size_t kMaxPackedBytes = 16 << 10;

// Empty: over kMaxPackedBytes. Sources without identifiers give nothing and
// are left out; ids of sources are too.
std::string pack(const Standing& standing);

// The way back. Null: not of this layout, cut, or damaged. Source ids are "".
std::optional<Standing> unpack(std::string_view packed);

// Without its account and type: "acct_1/price_2" has account "1", value "2".
struct PackedIdentifier {
  std::uint8_t type = 0;
  std::string_view account;  // empty outside Connect
  std::string_view value;
  std::string str() const;
};

struct PackedSource {
  Projection::State state = Projection::State::not_paid;
  UnixTime end = kForever;
  UnixTime cancelled = kForever;
  UnixTime paused_until{};
  UnixTime since{};
  bool ambiguous = false;
  bool disputed = false;
  // As judge() in core/access/access.h takes it: no source id, no identifiers,
  // and so no allocation.
  Projection projection() const;
};

// Reads forward, once, without allocating. Views point into `packed`, which
// may hold anything. What was read counts only if ok() at the end.
class PackedReader {
 public:
  explicit PackedReader(std::string_view packed);

  std::int64_t version() const { return version_; }
  std::optional<UnixTime> not_before() const { return not_before_; }
  std::uint64_t known() const { return known_; }

  // The next source, past what is left of the one before. False: no more, or
  // damaged.
  bool next(PackedSource& source);
  // The next identifier of that source. False: no more, or damaged.
  bool next(PackedIdentifier& identifier);

  bool ok() const { return ok_; }

 private:
  bool take(std::size_t size, std::string_view& bytes);
  unsigned take_byte();
  std::uint64_t take_number(std::size_t size);
  UnixTime take_time();
  unsigned take_count();
  bool fail();

  std::string_view rest_;
  bool ok_ = true;
  std::int64_t version_ = 0;
  std::optional<UnixTime> not_before_;
  std::uint64_t known_ = 0;
  unsigned sources_ = 0;      // not yet read
  unsigned identifiers_ = 0;  // of this source, not yet read
  std::string_view account_;  // of the identifier before
};

}  // namespace entitle
