#include "core/access/packed_record.h"

#include <algorithm>
#include <utility>

#include "core/source/identifier.h"

namespace entitle {
namespace {

constexpr char kLayout = 3;
constexpr std::uint8_t kHasNotBefore = 0x01;
constexpr std::uint8_t kHasKnown = 0x02;

constexpr unsigned kStateMask = 0x0f;
constexpr unsigned kHasEnd = 0x10;
constexpr unsigned kHasSince = 0x20;
constexpr unsigned kAmbiguous = 0x40;
constexpr unsigned kDisputed = 0x80;
constexpr unsigned kCancelled = 0x100;
constexpr unsigned kPaused = 0x200;
constexpr unsigned kPausedForever = 0x400;
constexpr unsigned kHeadMask = 0x7ff;
constexpr std::size_t kHeadBytes = 2;

constexpr std::uint8_t kTypeMask = 0x0f;
constexpr std::uint8_t kHasAccount = 0x10;
constexpr std::uint8_t kSameAccount = 0x20;

constexpr std::string_view kAccount = "acct_";

// The numbers of State are part of the layout.
using State = Projection::State;
static_assert(static_cast<int>(State::active) == 0 &&
              static_cast<int>(State::ending) == 1 &&
              static_cast<int>(State::past_due) == 2 &&
              static_cast<int>(State::paid) == 3 &&
              static_cast<int>(State::provisional) == 4 &&
              static_cast<int>(State::refunded) == 5 &&
              static_cast<int>(State::disputed) == 6 &&
              static_cast<int>(State::ended) == 7 &&
              static_cast<int>(State::not_paid) == 8);

constexpr std::size_t kTimeBytes = 5;
constexpr std::int64_t kLastTime = (std::int64_t{1} << 40) - 1;
constexpr std::size_t kMaxCount = (1 << 15) - 1;

void put_number(std::string& out, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

void put_time(std::string& out, UnixTime time) {
  std::int64_t seconds = std::clamp<std::int64_t>(to_unix(time), 0, kLastTime);
  put_number(out, static_cast<std::uint64_t>(seconds), kTimeBytes);
}

void put_count(std::string& out, std::size_t count) {
  if (count < 0x80) {
    put_number(out, count, 1);
  } else {
    put_number(out, 0x80 | (count & 0x7f), 1);
    put_number(out, count >> 7, 1);
  }
}

PackedIdentifier split(const Identifier& identifier) {
  Identifier::Parts parts = identifier.parts();
  if (!parts.account.empty()) parts.account.remove_prefix(kAccount.size());
  return {static_cast<std::uint8_t>(parts.type), parts.account, parts.value};
}

// One of a type unknown is known to no grant.
bool is_known(const Identifier& identifier) {
  return identifier.parts().type != Identifier::Type::unknown;
}

bool put_identifiers(std::string& out,
                     const std::vector<Identifier>& identifiers) {
  auto count = static_cast<std::size_t>(
      std::count_if(identifiers.begin(), identifiers.end(), is_known));
  if (count > kMaxCount) return false;
  put_count(out, count);
  std::string_view account;
  for (const Identifier& identifier : identifiers) {
    if (!is_known(identifier)) continue;
    PackedIdentifier parts = split(identifier);
    bool same = parts.account == account;
    std::uint8_t head = parts.type;
    if (!parts.account.empty()) head |= same ? kSameAccount : kHasAccount;
    put_number(out, head, 1);
    if ((head & kHasAccount) != 0) {
      put_number(out, parts.account.size(), 1);
      out.append(parts.account);
    }
    put_number(out, parts.value.size(), 1);
    out.append(parts.value);
    account = parts.account;
  }
  return true;
}

unsigned pause_of(const Projection& projection) {
  if (projection.paused_until == UnixTime{}) return 0;
  return projection.paused_until == kForever ? kPausedForever : kPaused;
}

bool put_source(std::string& out, const Projection& projection) {
  bool has_end = projection.end != kForever;
  bool is_cancelled = projection.cancelled != kForever;
  bool has_since = projection.since != UnixTime{};
  unsigned head = static_cast<unsigned>(projection.state) |
                  (has_end ? kHasEnd : 0u) | (is_cancelled ? kCancelled : 0u) |
                  pause_of(projection) | (has_since ? kHasSince : 0u) |
                  (projection.ambiguous ? kAmbiguous : 0u) |
                  (projection.disputed ? kDisputed : 0u);
  put_number(out, head, kHeadBytes);
  if (has_end) put_time(out, projection.end);
  if (is_cancelled) put_time(out, projection.cancelled);
  if ((head & kPaused) != 0) put_time(out, projection.paused_until);
  if (has_since) put_time(out, projection.since);
  return put_identifiers(out, projection.identifiers);
}

}  // namespace

std::string pack(const Standing& standing) {
  std::string out(1, kLayout);
  put_number(out,
             (standing.not_before ? kHasNotBefore : 0u) |
                 (standing.known != 0 ? kHasKnown : 0u),
             1);
  put_number(out, static_cast<std::uint64_t>(standing.version), 8);
  if (standing.not_before) put_time(out, *standing.not_before);
  if (standing.known != 0) put_number(out, standing.known, 8);

  const std::vector<Projection>& all = standing.projections;
  auto count = static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(),
      [](const Projection& p) { return !p.identifiers.empty(); }));
  if (count > kMaxCount) return {};
  put_count(out, count);
  for (const Projection& projection : all) {
    if (projection.identifiers.empty()) continue;
    if (!put_source(out, projection) || out.size() > kMaxPackedBytes) return {};
  }
  return out;
}

std::optional<Standing> unpack(std::string_view packed) {
  PackedReader reader(packed);
  Standing standing;
  PackedSource source;
  while (reader.next(source)) {
    Projection projection = source.projection();
    PackedIdentifier parts;
    while (reader.next(parts)) {
      std::optional<Identifier> identifier = Identifier::parse(parts.str());
      if (!identifier) return std::nullopt;
      projection.identifiers.push_back(*std::move(identifier));
    }
    standing.projections.push_back(std::move(projection));
  }
  if (!reader.ok()) return std::nullopt;
  standing.version = reader.version();
  standing.not_before = reader.not_before();
  standing.known = reader.known();
  return standing;
}

std::string PackedIdentifier::str() const {
  std::string text;
  if (!account.empty()) text.append(kAccount).append(account).append(1, '/');
  return text.append(Identifier::prefix_of(static_cast<Identifier::Type>(type)))
      .append(value);
}

Projection PackedSource::projection() const {
  Projection projection;
  projection.state = state;
  projection.end = end;
  projection.cancelled = cancelled;
  projection.paused_until = paused_until;
  projection.since = since;
  projection.ambiguous = ambiguous;
  projection.disputed = disputed;
  return projection;
}

PackedReader::PackedReader(std::string_view packed) : rest_(packed) {
  if (take_byte() != static_cast<unsigned>(kLayout)) {
    fail();
    return;
  }
  unsigned flags = take_byte();
  if ((flags & ~unsigned{kHasNotBefore | kHasKnown}) != 0) fail();
  version_ = static_cast<std::int64_t>(take_number(8));
  if ((flags & kHasNotBefore) != 0) not_before_ = take_time();
  if ((flags & kHasKnown) != 0) known_ = take_number(8);
  sources_ = take_count();
}

bool PackedReader::fail() {
  ok_ = false;
  rest_ = {};
  sources_ = identifiers_ = 0;
  return false;
}

bool PackedReader::take(std::size_t size, std::string_view& bytes) {
  if (size > rest_.size()) return fail();
  bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return true;
}

unsigned PackedReader::take_byte() {
  if (rest_.empty()) {
    fail();
    return 0;
  }
  auto byte = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return byte;
}

std::uint64_t PackedReader::take_number(std::size_t size) {
  std::string_view bytes;
  if (!take(size, bytes)) return 0;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i]))
             << (8 * i);
  }
  return value;
}

UnixTime PackedReader::take_time() {
  return unix_time(static_cast<std::int64_t>(take_number(kTimeBytes)));
}

unsigned PackedReader::take_count() {
  unsigned low = take_byte();
  return low < 0x80 ? low : (low & 0x7f) | take_byte() << 7;
}

bool PackedReader::next(PackedSource& source) {
  PackedIdentifier skipped;
  while (next(skipped)) {
  }
  if (sources_ == 0) {
    // Bytes after the end mean that it is not what it seems to be.
    return rest_.empty() ? false : fail();
  }
  --sources_;
  auto head = static_cast<unsigned>(take_number(kHeadBytes));
  unsigned state = head & kStateMask;
  if (state > static_cast<unsigned>(State::not_paid) ||
      (head & ~kHeadMask) != 0) {
    return fail();
  }
  source.state = static_cast<State>(state);
  source.end = (head & kHasEnd) != 0 ? take_time() : kForever;
  source.cancelled = (head & kCancelled) != 0 ? take_time() : kForever;
  source.paused_until = (head & kPausedForever) != 0 ? kForever : UnixTime{};
  if ((head & kPaused) != 0) source.paused_until = take_time();
  source.since = (head & kHasSince) != 0 ? take_time() : UnixTime{};
  source.ambiguous = (head & kAmbiguous) != 0;
  source.disputed = (head & kDisputed) != 0;
  identifiers_ = take_count();
  account_ = {};
  return ok_;
}

bool PackedReader::next(PackedIdentifier& identifier) {
  if (identifiers_ == 0) return false;
  --identifiers_;
  auto head = take_byte();
  identifier.type = static_cast<std::uint8_t>(head & kTypeMask);
  if (identifier.type >= Identifier::kTypes ||
      (head & ~unsigned{kTypeMask | kHasAccount | kSameAccount}) != 0) {
    return fail();
  }
  if ((head & kHasAccount) != 0) {
    take(take_byte(), account_);
  } else if ((head & kSameAccount) == 0) {
    account_ = {};
  } else if (account_.empty()) {
    return fail();
  }
  identifier.account = account_;
  take(take_byte(), identifier.value);
  return ok_;
}

}  // namespace entitle
