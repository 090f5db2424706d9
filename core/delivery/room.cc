#include "core/delivery/room.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/source/forget.h"
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

// Of what waits, in `waiting`, what there is always room for.
Sources always_taken(const Sources& before, const Sources& share,
                     std::set<std::string>& waiting) {
  Sources taken;
  for (const auto& [id, source] : share) {
    if (before.contains(id) || !source.may_open_something()) {
      taken.emplace(id, source);
      continue;
    }
    waiting.insert(id);
    Source ends = source.only_ends();
    if (!ends.says_nothing()) taken.emplace(id, std::move(ends));
  }
  return taken;
}

}  // namespace

Added add_to(const Record& before, Record& after, const Sources& share,
             std::string_view place, UnixTime now) {
  merge(after.sources, share);
  forget(after.sources, now);
  Added added{room_for(before, after, place)};
  if (added.room == Room::enough) return added;
  after.sources = before.sources;
  if (added.room == Room::full) {
    merge(after.sources, always_taken(before.sources, share, added.waiting));
    forget(after.sources, now);
  } else {
    for (const auto& [id, source] : share) added.waiting.insert(id);
  }
  return added;
}

const char* full_of(Room room) {
  switch (room) {
    case Room::full:
      return " is full";
    case Room::full_of_free:
      return " is full of what cost nothing";
    case Room::enough:
      break;
  }
  return nullptr;
}

}  // namespace entitle
