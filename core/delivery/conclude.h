// What is told of an event, from what became of its facts.
#pragma once

#include <string>
#include <vector>

#include "core/delivery/delivery.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/stripe/facts.h"

namespace entitle {

// Whose owner is told: that of what the event speaks of, else of what it
// claims.
std::string subject_of(const PlaceFacts& own);

// Whether the event says anything but whose e-mail is what.
bool speaks(const PlaceFacts& own);

// Into `delivery.result`; `report` is of the event's own place, and loses what
// is told of before and after.
void conclude(Delivery& delivery, const Facts& facts, PlaceReport& report);

// The keys by which the event and its customer are found, once concluded:
// those needed first.
std::vector<LookupWrite> lookup_writes(const Delivery& delivery,
                                       const Facts& facts,
                                       const PlaceReport& report);

}  // namespace entitle
