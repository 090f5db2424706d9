#include "core/access/memory.h"

#include <cstring>
#include <iterator>
#include <utility>

namespace entitle {
namespace {

using Length = std::uint64_t;  // in front of a text

// A list node, a hash node and a bucket, with the allocator's own share.
constexpr std::size_t kBookkeeping = 192;

std::uint64_t word_at(const char* bytes, std::size_t count) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, count);
  return word;
}

}  // namespace

bool equal_secrets(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const std::size_t size = a.size();
  std::uint64_t differs = 0;
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    differs |= word_at(a.data() + at, 8) ^ word_at(b.data() + at, 8);
  }
  for (; at < size; at++) {
    differs |= static_cast<std::uint8_t>(a[at] ^ b[at]);
  }
  // The whole is looked at, whatever a compiler would rather do.
  volatile std::uint64_t all = differs;
  return all == 0;
}

void Evidence::add(std::string_view text) {
  if (count_ == texts_.size() || text.size() > kMostBytes - size_) {
    whole_ = false;
    return;
  }
  texts_[count_++] = text;
  size_ += sizeof(Length) + text.size();
  whole_ = whole_ && size_ <= kMostBytes;
  if (!whole_) size_ = kMostBytes;
}

std::string Evidence::bytes() const {
  std::string bytes;
  bytes.reserve(size_);
  for (std::size_t i = 0; i < count_; i++) {
    const Length length = texts_[i].size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes.append(texts_[i]);
  }
  return bytes;
}

bool Evidence::same_as(const void* place, std::string_view bytes) const {
  if (place != place_ || bytes.size() != size_) return false;
  for (std::size_t i = 0; i < count_; i++) {
    const std::string_view text = texts_[i];
    if (bytes.size() < sizeof(Length) ||
        word_at(bytes.data(), sizeof(Length)) != text.size()) {
      return false;
    }
    bytes.remove_prefix(sizeof(Length));
    if (!equal_secrets(bytes.substr(0, text.size()), text)) return false;
    bytes.remove_prefix(text.size());
  }
  return bytes.empty();
}

std::uint64_t Evidence::hash(const SipKey& key) const {
  SipHasher hasher(key);
  hasher.add_bytes({reinterpret_cast<const char*>(&place_), sizeof(place_)});
  for (std::size_t i = 0; i < count_; i++) hasher.add(texts_[i]);
  return hasher.finish().low;
}

void MemoryOfAny::drop(Entries::iterator entry) {
  bytes_ -= entry->cost;
  by_hash_.erase(entry->hash);
  entries_.erase(entry);
}

const MemoryOfAny::Value* MemoryOfAny::use(std::uint64_t hash,
                                           const Evidence& evidence) {
  const auto found = by_hash_.find(hash);
  if (found == by_hash_.end()) return nullptr;
  const Entries::iterator entry = found->second;
  if (!evidence.same_as(entry->place, entry->bytes)) return nullptr;
  if (entry != entries_.begin()) {
    entries_.splice(entries_.begin(), entries_, entry);
  }
  return &entry->value;
}

const MemoryOfAny::Value* MemoryOfAny::find(std::uint64_t connection,
                                            const Evidence& evidence) {
  if (!evidence.whole() || entries_.empty()) return nullptr;
  Last& last = last_[connection % last_.size()];
  if (last.connection == connection) {
    if (const Value* value = use(last.hash, evidence)) return value;
  }
  const std::uint64_t hash = evidence.hash(key_);
  const Value* value = use(hash, evidence);
  if (value != nullptr) last = {connection, hash};
  return value;
}

void MemoryOfAny::put(std::uint64_t connection, const Evidence& evidence,
                      Value value, std::size_t size) {
  if (!evidence.whole()) return;
  const std::uint64_t hash = evidence.hash(key_);
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) {
    drop(found->second);
  }
  std::string bytes = evidence.bytes();
  const std::size_t cost = sizeof(Entry) + kBookkeeping + bytes.size() + size;
  if (cost > most_) return;
  while (bytes_ + cost > most_) drop(std::prev(entries_.end()));

  entries_.push_front(
      {hash, evidence.place(), std::move(bytes), std::move(value), cost});
  try {
    by_hash_.emplace(hash, entries_.begin());
  } catch (...) {
    entries_.pop_front();
    throw;
  }
  bytes_ += cost;
  last_[connection % last_.size()] = {connection, hash};
}

}  // namespace entitle
