#include "core/delivery/room.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/source/source.h"

namespace entitle {
namespace {

// Of one place: whether all of it cost nothing. A customer's features say not
// what they are paid by, so they are as the customer's purchases.
struct Cost {
  bool nothing = false;
  bool something = false;
  std::size_t bytes = 0;
  bool is_free() const { return nothing && !something; }

  void add(const Source& source) {
    if (source.costs_nothing()) {
      nothing = true;
    } else if (!source.only_summaries()) {
      something = true;
    }
  }
};

std::size_t free_bytes(const Sources& sources) {
  std::map<std::string_view, Cost> places;
  for (const auto& [id, source] : sources) {
    Cost& cost = places[source.place];
    cost.add(source);
    if (!cost.something) cost.bytes += id.size() + source.encode().size();
  }
  std::size_t bytes = 0;
  for (const auto& [place, cost] : places) {
    if (cost.is_free()) bytes += cost.bytes;
  }
  return bytes;
}

// Whether the edit does nothing but add what cost nothing.
bool adds_only_free(const Sources& before, const Sources& after,
                    std::string_view place) {
  Cost cost;
  bool adds = false;
  for (const auto& [id, source] : after) {
    if (source.place == place) cost.add(source);
    auto known = before.find(id);
    if (known == before.end()) {
      adds = true;
    } else if (known->second != source) {
      return false;
    }
  }
  return adds && cost.is_free();
}

bool adds_what_may_open(const Sources& before, const Sources& after) {
  return std::any_of(after.begin(), after.end(), [&](const auto& one) {
    return one.second.may_open_something() && !before.contains(one.first);
  });
}

}  // namespace

Room room_for(const Record& before, const Record& after,
              std::string_view place) {
  if (before.bytes > kMaxRecordBytes &&
      adds_what_may_open(before.sources, after.sources)) {
    return Room::full;
  }
  if (before.bytes > kMaxFreeBytes &&
      adds_only_free(before.sources, after.sources, place) &&
      free_bytes(before.sources) > kMaxFreeBytes) {
    return Room::full_of_free;
  }
  return Room::enough;
}

}  // namespace entitle
