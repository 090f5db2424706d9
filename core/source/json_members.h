// Each kind of fact says once what its members are called; MemberWriter and
// MemberReader are what it says it to. A member that says nothing (false, 0,
// empty, null) is left out. Of no use outside core/source/json.cc.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "core/source/bounded_set.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/source/unknown.h"

namespace entitle {

using Identifiers = std::vector<Identifier>;
using OptionalTime = std::optional<UnixTime>;

// One word of several. One that is none of them counts as `other`, and is kept
// as it is.
template <class Value>
struct Words {
  std::span<const std::pair<Value, std::string_view>> words;
  Value other;
};

// Defined by each kind of fact, for const facts and others:
//   members(member, fact)   what it has, and how that is called
//   complete(fact)          after reading; false: it is damaged
//   inheritance(fact)       what the next in a list need not say again, or null
//   inherit(fact, before)

class MemberWriter {
 public:
  explicit MemberWriter(json::Writer& out, const Identifiers* inherited)
      : out_(out), inherited_(inherited) {}

  void text(std::string_view name, const std::string& value) {
    if (!value.empty()) out_.text(name, value);
  }
  void flag(std::string_view name, bool value) {
    if (value) out_.boolean(name, true);
  }
  void count(std::string_view name, std::int64_t value) {
    if (value != 0) out_.number(name, value);
  }
  // Left out where it equals `usual`, which a new one has.
  void count_unless(std::int64_t usual, std::string_view name,
                    std::int64_t value) {
    if (value != usual) out_.number(name, value);
  }
  void time(std::string_view name, UnixTime value) {
    if (value != UnixTime{}) out_.number(name, to_unix(value));
  }
  void time(std::string_view name, const OptionalTime& value) {
    if (value) out_.number(name, to_unix(*value));
  }
  // Left out where it equals `usual`, which complete() puts there again.
  void time_unless(UnixTime usual, std::string_view name, UnixTime value) {
    if (value != usual) time(name, value);
  }
  template <class Value>
  void word(std::string_view name, const Words<Value>& words, Value value,
            const std::string& other) {
    if (!other.empty()) return text(name, other);
    for (const auto& [known, text] : words.words) {
      if (known == value) out_.text(name, text);
    }
  }
  // A text that goes by the name of what it is.
  void text_of(std::string_view yes, std::string_view no, bool which,
               const std::string& value) {
    text(which ? yes : no, value);
  }
  void identifiers(std::string_view name, const Identifiers& value) {
    if (!value.empty()) list(name, value);
  }
  // Left out where they are those of the fact before in the list.
  void inherited(std::string_view name, const Identifiers& value) {
    if (inherited_ == nullptr || value != *inherited_) list(name, value);
  }

  void texts(std::string_view name, const std::vector<std::string>& value) {
    if (!value.empty()) out_.key(name).strings(value);
  }

  // Members whose absence says something else than being empty.
  void said(std::string_view name, const std::optional<std::string>& value) {
    if (value) out_.text(name, *value);
  }
  void said(std::string_view name, const std::optional<bool>& value) {
    if (value) out_.boolean(name, *value);
  }
  void said(std::string_view name, const std::optional<Identifiers>& value) {
    if (value) list(name, *value);
  }
  // null: there was none.
  void said(std::string_view name, const std::optional<OptionalTime>& value) {
    if (!value) return;
    if (*value) return time(name, **value);
    out_.key(name).null();
  }

  template <class Fact>
  void object(std::string_view name, const Fact& fact) {
    if (fact == Fact{}) return;
    out_.key(name);
    write(fact, nullptr);
  }
  // Facts go by the name of their kind.
  template <class Fact>
  void one(const std::optional<Fact>& fact) {
    if (!fact) return;
    out_.key(Fact::kName);
    write(*fact, nullptr);
  }
  template <class Fact>
  void all(const BoundedSet<Fact>& facts) {
    if (facts.empty()) return;
    out_.key(Fact::kName).begin_array();
    const Identifiers none;
    const Identifiers* before = &none;
    for (const auto& fact : facts) {
      write(fact, before);
      before = inheritance(fact);
    }
    out_.end_array();
  }

  // The greatest, and all where there are several: before the list there was
  // the one, and who reads only that has the greatest.
  template <class Fact>
  void greatest_and_all(std::string_view one, const BoundedSet<Fact>& facts) {
    if (facts.empty()) return;
    out_.key(one);
    write(facts.front(), nullptr);
    if (facts.size() > 1) all(facts);
  }
  template <class Part>
  void list(std::string_view name, const std::vector<Part>& parts) {
    if (parts.empty()) return;
    out_.key(name).begin_array();
    for (const Part& part : parts) write(part, nullptr);
    out_.end_array();
  }

  // Items by the positions that their identifiers have in `all`, which is
  // written before them: the text is there once.
  void items(std::string_view name, const ItemPeriods& value,
             const Identifiers& all) {
    if (value.empty()) return;
    out_.key(name).begin_array();
    for (const ItemPeriod& item : value) {
      out_.begin_object();
      time("period_end", item.end);
      out_.key("identifiers").begin_array();
      for (const Identifier& identifier : item.identifiers) {
        auto at = std::lower_bound(all.begin(), all.end(), identifier);
        out_.number(at - all.begin());
      }
      out_.end_array();
      flag("arrears", item.arrears);
      item.unknown.write(out_);
      out_.end_object();
    }
    out_.end_array();
  }

  // The whole object.
  template <class Fact>
  void write(const Fact& fact, const Identifiers* before) {
    out_.begin_object();
    MemberWriter inner(out_, before);
    members(inner, fact);
    fact.unknown.write(out_);
    out_.end_object();
  }

 private:
  void list(std::string_view name, const Identifiers& value) {
    out_.key(name).strings(value, [](const Identifier& identifier) {
      return std::string_view(identifier.str());
    });
  }

  json::Writer& out_;
  const Identifiers* inherited_;
};

// One member that was read, offered to each name there is.
class MemberReader {
 public:
  MemberReader(JsonReader& in, std::string_view key) : in_(in), key_(key) {}
  bool taken() const { return taken_; }

  void text(std::string_view name, std::string& value) {
    if (takes(name)) in_.string(value);
  }
  void flag(std::string_view name, bool& value) {
    if (takes(name)) in_.boolean(value);
  }
  void count(std::string_view name, std::int64_t& value) {
    if (takes(name)) in_.integer(value);
  }
  void count_unless(std::int64_t, std::string_view name, std::int64_t& value) {
    count(name, value);
  }
  void time(std::string_view name, UnixTime& value) {
    if (takes(name)) read(value);
  }
  void time(std::string_view name, OptionalTime& value) {
    if (takes(name)) read(value.emplace());
  }
  void time_unless(UnixTime, std::string_view name, UnixTime& value) {
    time(name, value);
  }
  template <class Value>
  void word(std::string_view name, const Words<Value>& words, Value& value,
            std::string& other) {
    if (!takes(name)) return;
    in_.string(other);
    value = words.other;
    for (const auto& [known, text] : words.words) {
      if (text != other) continue;
      value = known;
      other.clear();
    }
  }
  void text_of(std::string_view yes, std::string_view no, bool& which,
               std::string& value) {
    bool is_yes = takes(yes);
    if (!is_yes && !takes(no)) return;
    which = is_yes;
    in_.string(value);
  }
  void identifiers(std::string_view name, Identifiers& value) {
    if (takes(name)) read(value);
  }
  void inherited(std::string_view name, Identifiers& value) {
    identifiers(name, value);
  }
  void texts(std::string_view name, std::vector<std::string>& value) {
    if (!takes(name)) return;
    value.clear();
    in_.array([&] { in_.string(value.emplace_back()); });
  }

  template <class Value>
  void said(std::string_view name, std::optional<Value>& value) {
    if (takes(name)) read(value.emplace());
  }
  void said(std::string_view name, std::optional<OptionalTime>& value) {
    if (!is(name)) return;
    value.emplace();
    if (!in_.null()) read(value->emplace());
  }

  template <class Fact>
  void object(std::string_view name, Fact& fact) {
    if (takes(name)) read_object(in_, fact);
  }
  template <class Fact>
  void one(std::optional<Fact>& fact) {
    if (takes(Fact::kName)) read_object(in_, fact.emplace());
  }
  // Whoever wrote them, the order and the bound are ours.
  template <class Fact>
  void all(BoundedSet<Fact>& facts) {
    if (!takes(Fact::kName)) return;
    std::vector<Fact> read;
    in_.array([&] {
      Fact fact;
      if (!read.empty()) inherit(fact, read.back());
      read_object(in_, fact);
      read.push_back(std::move(fact));
    });
    facts.unite(std::move(read));
  }

  template <class Fact>
  void greatest_and_all(std::string_view one, BoundedSet<Fact>& facts) {
    if (takes(one)) {
      Fact fact;
      read_object(in_, fact);
      facts.insert(std::move(fact));
    }
    all(facts);
  }
  template <class Part>
  void list(std::string_view name, std::vector<Part>& parts) {
    if (!takes(name)) return;
    in_.array([&] { read_object(in_, parts.emplace_back()); });
    std::sort(parts.begin(), parts.end());
  }

  // A position that `all` does not have is none: two versions may have said
  // the two.
  void items(std::string_view name, ItemPeriods& value,
             const Identifiers& all) {
    if (!takes(name)) return;
    in_.array([&] {
      ItemPeriod item;
      in_.object([&](std::string_view key) { read(key, item, all); });
      value.push_back(std::move(item));
    });
    value = joined_items(std::move(value));
  }

  template <class Fact>
  static void read_object(JsonReader& in, Fact& fact) {
    in.object([&](std::string_view key) {
      MemberReader member(in, key);
      members(member, fact);
      if (member.taken()) return;
      std::string value;
      in.value(value);
      fact.unknown.keep(key, std::move(value));
    });
    if (!complete(fact)) in.fail();
  }

 private:
  bool is(std::string_view name) {
    if (taken_ || key_ != name) return false;
    taken_ = true;
    return true;
  }
  // What is null is not said.
  bool takes(std::string_view name) { return is(name) && !in_.null(); }

  void read(std::string& value) { in_.string(value); }
  void read(bool& value) { in_.boolean(value); }
  void read(UnixTime& value) {
    std::int64_t seconds = 0;
    in_.integer(seconds);
    if (!is_time(seconds)) return in_.fail();
    value = unix_time(seconds);
  }
  // Sorted and unique, whoever wrote them.
  void read(Identifiers& value) {
    value.clear();
    std::string text;
    in_.array([&] {
      in_.string(text);
      std::optional<Identifier> identifier = Identifier::stored(text);
      if (!identifier) return in_.fail();
      value.push_back(*std::move(identifier));
    });
    std::sort(value.begin(), value.end());
    value.erase(std::unique(value.begin(), value.end()), value.end());
  }

  void read(std::string_view key, ItemPeriod& item, const Identifiers& all) {
    if (key == "period_end") {
      read(item.end.emplace());
    } else if (key == "arrears") {
      in_.boolean(item.arrears);
    } else if (key == "identifiers") {
      in_.array([&] {
        std::int64_t at = 0;
        in_.integer(at);
        if (at < 0 || static_cast<std::size_t>(at) >= all.size()) return;
        item.identifiers.push_back(all[static_cast<std::size_t>(at)]);
      });
    } else {
      std::string value;
      in_.value(value);
      item.unknown.keep(key, std::move(value));
    }
  }

  JsonReader& in_;
  std::string_view key_;
  bool taken_ = false;
};

}  // namespace entitle
