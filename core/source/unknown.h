// Members of a stored JSON object that this version of entitle does not know: a
// later one wrote them, and finds them again. Nodes of two versions run side by
// side, and one may be rolled back (docs/redis.md, "Versions").
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json/writer.h"

namespace entitle {

class UnknownMembers {
 public:
  bool empty() const { return members_.empty(); }

  // Null: there is none.
  const std::string* find(std::string_view name) const;

  // `json` in the one form JsonReader::value() gives. Of one name the greatest
  // bytes stay.
  void keep(std::string_view name, std::string json);

  // Of two copies of one fact: union by name, of one name the greatest bytes.
  void merge(const UnknownMembers& other);

  // Of two sources, whose unknown members are facts of kinds unknown: of one
  // name two lists are united, their elements in the order of their bytes;
  // else a list comes before an object before anything else, of two objects
  // the one with the greater "created", and then the greatest bytes.
  // True when anything changed.
  bool merge_facts(const UnknownMembers& other);

  // By name. In an object that is being written.
  void write(json::Writer& out) const;

  auto operator<=>(const UnknownMembers&) const = default;

 private:
  using Member = std::pair<std::string, std::string>;
  // Where `name` is, made if it is not there (with an empty value).
  std::string& at(std::string_view name);

  std::vector<Member> members_;  // by name
};

}  // namespace entitle
