// What was found out, remembered under the very bytes it was found from, so
// that the next who says the same is answered without finding it out again.
//
// Bytes are compared whole, with the place they were found for. The hash, keyed
// with a secret, only says where to compare: nobody can choose what meets whom,
// and two that meet are still two. Who came last over a connection is compared
// first, without a hash.
//
// That something was remembered says nothing about whether it still holds: who
// finds it looks at what it depends on, each time.
//
// One per worker. Bounded by bytes; who was not asked for longest goes first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/crypto/siphash.h"

namespace entitle {

// What something was found from: where, and the texts that were read, in the
// order of reading. Views; they outlive it.
class Evidence {
 public:
  static constexpr std::size_t kMostTexts = 12;
  static constexpr std::size_t kMostBytes = 8192;

  // `place`: stands for all that is not text: a location's configuration.
  explicit Evidence(const void* place) : place_(place) {}

  void add(std::string_view text);
  // False: there was too much of it to be remembered.
  bool whole() const { return whole_; }

  // Each text after its length, so that ("ab", "c") and ("a", "bc") differ.
  std::string bytes() const;
  bool same_as(const void* place, std::string_view bytes) const;
  std::uint64_t hash(const SipKey& key) const;
  const void* place() const { return place_; }

 private:
  const void* place_;
  std::array<std::string_view, kMostTexts> texts_;
  std::size_t count_ = 0;
  std::size_t size_ = 0;  // of bytes()
  bool whole_ = true;
};

// In time that tells nothing but whether the lengths differ: what a client
// sends is compared with a secret of somebody else's.
bool equal_secrets(std::string_view a, std::string_view b);

// Without the type of what is remembered.
class MemoryOfAny {
 public:
  using Value = std::shared_ptr<const void>;

  // `key`: of this worker alone. `most`: bytes, with the bookkeeping.
  MemoryOfAny(const SipKey& key, std::size_t most) : key_(key), most_(most) {}
  MemoryOfAny(const MemoryOfAny&) = delete;
  MemoryOfAny& operator=(const MemoryOfAny&) = delete;

  // Null: not known. `connection`: its number.
  const Value* find(std::uint64_t connection, const Evidence& evidence);
  // Replaces what was known. `size`: of the value. What is too big for all of
  // the memory is not remembered.
  void put(std::uint64_t connection, const Evidence& evidence, Value value,
           std::size_t size);

  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::uint64_t hash;
    const void* place;
    std::string bytes;
    Value value;
    std::size_t cost;
  };
  using Entries = std::list<Entry>;  // most recently used first
  struct Last {
    std::uint64_t connection = 0;
    std::uint64_t hash = 0;  // of what was found for it
  };
  struct AsItIs {
    std::size_t operator()(std::uint64_t hash) const { return hash; }
  };

  const Value* use(std::uint64_t hash, const Evidence& evidence);
  void drop(Entries::iterator entry);

  SipKey key_;
  std::size_t most_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<std::uint64_t, Entries::iterator, AsItIs> by_hash_;
  std::array<Last, 1024> last_{};
};

template <class T>
class Memory {
 public:
  Memory(const SipKey& key, std::size_t most) : all_(key, most) {}

  std::shared_ptr<const T> find(std::uint64_t connection,
                                const Evidence& evidence) {
    const MemoryOfAny::Value* found = all_.find(connection, evidence);
    return found == nullptr ? nullptr
                            : std::static_pointer_cast<const T>(*found);
  }
  void put(std::uint64_t connection, const Evidence& evidence,
           std::shared_ptr<const T> value, std::size_t size) {
    all_.put(connection, evidence, std::move(value), size);
  }
  std::size_t bytes() const { return all_.bytes(); }

 private:
  MemoryOfAny all_;
};

}  // namespace entitle
