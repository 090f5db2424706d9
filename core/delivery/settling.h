// One round of settling a place (settle.cc): what it has read, and its rules,
// none of which asks or writes anything. Of no use outside core/delivery/.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/delivery/parts.h"
#include "core/delivery/room.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/source.h"
#include "core/source/target.h"

namespace entitle {

struct Settling {
  Delivery& delivery;
  std::string id;
  PlaceReport& report;
  bool may_be_parked;

  Place place{};
  Owners owners{};
  std::set<Target> all_owners{};
  Target told{};    // the owner that the report is about; empty: nobody's
  Sources bring{};  // what waits and what the holders hold
  std::map<Target, Sources> held{};  // by holder, as far as it matters
  std::set<Target> not_only_own{};   // owners that hold others' as well
  bool waits = false;               // a record of those concerned takes not all
  std::set<std::string> waiting{};  // the sources that it did not take
  std::int64_t highest_seen = 0;    // epoch of the place's mark in a record

  void begin_round();
  void wait(const Sources& sources);
  void wait(std::set<std::string> sources);

  bool to_users() const { return owners.rest->user().has_value(); }
  // Whether anything of this record may have to come or go. What others have is
  // theirs and stays so: a write that is late is as right for them as it was.
  bool concerns(const Target& holder) const;
  // Who is to be given something.
  std::vector<Target> gaining() const;
  // The holders that lose something to `owner`.
  std::vector<Target> losing_to(const Target& owner) const;
  // Where what `holder` held goes.
  std::vector<Target> gaining_from(const Target& holder) const;
  // Who may hold what is not theirs. An owner whose record held nothing else
  // when it got its share will be given nothing else: that mark refuses it.
  std::vector<Target> to_empty() const;
  // Whether who owns nothing here has something that waits for its owner.
  bool stays_behind(const Target& holder, const Record& record) const;
  // Whether what the event said is among what the record has no room for.
  bool event_waits(const Added& added, const PlaceReport& owners_report) const;

  // False when the record has seen a later epoch than this round's.
  bool in_time(const Record& record);
  // `share`, the owner's own, into its record.
  Edit merge_into_owner(const Target& owner, const Sources& share,
                        PlaceReport& owners_report, Added& added,
                        const Record& before, Record& after);
  // Out of a record what is no longer its own. `moved`: something was.
  Edit remove_foreign(const Target& holder, bool& moved, const Record& before,
                      Record& after);

  // Whether the place, as it is now, has more than this round knew.
  bool has_moved_on(const Place& now) const;
  // `now`, when all of it is with its owners.
  Place closed(const Place& now) const;
};

}  // namespace entitle
