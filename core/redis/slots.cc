#include "core/redis/slots.h"

#include <algorithm>
#include <utility>

#include "core/base/ascii.h"
#include "core/base/decimal.h"

namespace entitle {
namespace {

constexpr std::array<std::uint16_t, 256> crc16_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

std::uint16_t crc16(std::string_view bytes) {
  static constexpr std::array<std::uint16_t, 256> table = crc16_table();
  unsigned crc = 0;
  for (char c : bytes) {
    unsigned index = (crc >> 8 ^ static_cast<std::uint8_t>(c)) & 0xff;
    crc = (crc << 8 ^ table[index]) & 0xffff;
  }
  return static_cast<std::uint16_t>(crc);
}

// Up to a DNS name's length, printable: it goes to logs and to the resolver.
bool valid_host(std::string_view host) {
  return host.size() <= 253 && all_visible(host);
}

// "" and nil: the endpoint that was asked; "?": unknown to the cluster.
bool left_out(std::string_view host) { return host.empty() || host == "?"; }

std::optional<RedisHost> parse_node(const Reply& node, const RedisHost& asked) {
  if (!node.is_array() || node.elements.size() < 2) return std::nullopt;
  const Reply& host = node.elements[0];
  const Reply& port = node.elements[1];
  if (host.type != Reply::Type::string && !host.is_nil()) return std::nullopt;
  if (port.type != Reply::Type::integer || port.integer < 1 ||
      port.integer > 65535 || !valid_host(host.text)) {
    return std::nullopt;
  }
  return RedisHost{left_out(host.text) ? asked.host : host.text,
                   static_cast<std::uint16_t>(port.integer)};
}

struct Range {
  std::uint16_t first, last;
};

std::optional<Range> parse_range(const Reply& entry) {
  if (!entry.is_array() || entry.elements.size() < 3) return std::nullopt;
  const Reply& first = entry.elements[0];
  const Reply& last = entry.elements[1];
  if (first.type != Reply::Type::integer || last.type != Reply::Type::integer ||
      first.integer < 0 || first.integer > last.integer ||
      last.integer >= kSlots) {
    return std::nullopt;
  }
  return Range{static_cast<std::uint16_t>(first.integer),
               static_cast<std::uint16_t>(last.integer)};
}

}  // namespace

std::uint16_t key_slot(std::string_view key) {
  std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close != open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return crc16(key) % kSlots;
}

std::optional<Redirect> parse_redirect(const Reply& error,
                                       const RedisHost& asked) {
  if (!error.is_error()) return std::nullopt;
  std::string_view text = error.text;
  Redirect redirect{Redirect::Kind::moved, 0, {}};
  if (text.starts_with("MOVED ")) {
    text.remove_prefix(6);
  } else if (text.starts_with("ASK ")) {
    redirect.kind = Redirect::Kind::ask;
    text.remove_prefix(4);
  } else {
    return std::nullopt;
  }

  std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::optional<std::uint16_t> slot =
      parse_decimal<std::uint16_t>(text.substr(0, space), kSlots - 1);
  text.remove_prefix(space + 1);

  // IPv6 comes without brackets: the port follows the last colon.
  std::size_t colon = text.rfind(':');
  if (!slot || colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  std::optional<std::uint16_t> port =
      parse_decimal<std::uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0 || !valid_host(host)) return std::nullopt;

  redirect.slot = *slot;
  redirect.host = {left_out(host) ? asked.host : std::string(host), *port};
  return redirect;
}

std::optional<SlotMap> SlotMap::parse(const Reply& cluster_slots,
                                      const RedisHost& asked) {
  if (!cluster_slots.is_array() || cluster_slots.elements.size() > kSlots) {
    return std::nullopt;
  }
  SlotMap map;
  for (const Reply& entry : cluster_slots.elements) {
    std::optional<Range> range = parse_range(entry);
    if (!range || entry.elements.size() > kMaxNodes) return std::nullopt;

    std::optional<RedisHost> primary = parse_node(entry.elements[2], asked);
    if (!primary) return std::nullopt;
    for (std::size_t i = 3; i < entry.elements.size(); ++i) {
      if (!parse_node(entry.elements[i], asked)) return std::nullopt;
    }
    std::optional<std::uint16_t> number = map.number_of(*primary);
    if (!number) return std::nullopt;
    std::fill(map.owner_.begin() + range->first,
              map.owner_.begin() + range->last + 1, *number);
  }
  return map;
}

std::optional<std::uint16_t> SlotMap::number_of(const RedisHost& primary) {
  auto found = std::find(primaries_.begin(), primaries_.end(), primary);
  if (found == primaries_.end()) {
    if (primaries_.size() == kMaxNodes) return std::nullopt;
    found = primaries_.insert(primaries_.end(), primary);
  }
  return static_cast<std::uint16_t>(found - primaries_.begin());
}

const RedisHost* SlotMap::primary(std::uint16_t slot) const {
  if (slot >= kSlots || owner_[slot] == kNobody) return nullptr;
  return &primaries_[owner_[slot]];
}

std::vector<RedisHost> SlotMap::primaries() const {
  std::vector<RedisHost> hosts;
  for (std::size_t i = 0; i < primaries_.size(); ++i) {
    // One whose last slot a MOVED took serves nothing any more.
    bool serves = std::find(owner_.begin(), owner_.end(), i) != owner_.end();
    if (serves) hosts.push_back(primaries_[i]);
  }
  return hosts;
}

bool SlotMap::follow(const Redirect& redirect) {
  if (redirect.kind != Redirect::Kind::moved || redirect.slot >= kSlots) {
    return false;
  }
  std::optional<std::uint16_t> number = number_of(redirect.host);
  if (!number) return false;
  owner_[redirect.slot] = *number;
  return true;
}

}  // namespace entitle
