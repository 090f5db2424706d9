// What an event makes of one place, and of the record that its facts go
// straight into: pure rules, whoever writes it and however.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/record/owners.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/source/claim.h"
#include "core/source/source.h"
#include "core/stripe/facts.h"

namespace entitle {

// What this place may be told; of the sources, that they are its own.
PlaceFacts acceptable(PlaceFacts facts);

// A place that becomes part of one more place has that one learn all it knows.
void take_claims(Place& place, const std::vector<Claim>& claims);

// Whether the place keeps any of these, word for word.
bool has_any(const Place& place, const std::vector<Claim>& some);

// What differs from `before` but is not on its way anywhere.
bool learned(const Place& before, const Place& after);

// Whose all of it is. Null: several owners', or nobody's.
std::optional<Target> sole_owner(const Owners& owners, const PlaceFacts& facts);

// `place` with the facts waiting in it, and whoever owns any of it a holder.
void take_facts(Place& place, const Sources& sources, const Place& before);

// Whether a source that was said to be one user's is now said to be another's.
bool conflicting(const Place& before, const Place& after);

struct Refusal {
  bool not_live = false;  // the record should be live for the place, and is not
  std::int64_t seen = 0;  // else the place has moved on, up to this epoch
};

// Facts straight into a record that is live for their settled place.
// What a place says, and what to do about it, is as old as the read: a record
// that has seen a later epoch knows better, also where it is live.
Edit merge_if_live(const Delivery& delivery, const PlaceFacts& facts,
                   std::int64_t epoch, const Record& before, Record& after,
                   PlaceReport& report, Refusal& refusal);

}  // namespace entitle
