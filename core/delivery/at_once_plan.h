// What one event makes of its places and of one record, all at once
// (core/delivery/at_once.h): pure rules, and the commands that write it. Of no
// use outside core/delivery/.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/delivery/unmatched.h"
#include "core/delivery/writes.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/redis/transaction.h"
#include "core/source/target.h"
#include "core/stripe/facts.h"

namespace entitle::at_once {

// One place of the event, as it was read and as it shall be.
struct PlaceEdit {
  PlaceFacts facts;
  Place before{};
  Place after{};
};

struct Plan {
  Delivery& delivery;
  const Facts& facts;
  std::vector<PlaceEdit> parts{};  // that only learn what they are part of
  PlaceEdit own{};
  std::optional<User> guess{};  // whose record was read along
  bool settles = false;         // own.before was not settled, own.after is
  Record record{};
  PlaceReport report{};
  Edit edit{Edit::Action::leave};
  Indexing indexing{};
  Target indexed{};  // what stands before the bar there
};

// Takes the facts apart, and whose record to read along. False: they say
// nothing to their own place.
bool begin(Plan& plan);

// Each of these: from what was read, what shall be. False: it takes the
// protocol.
bool plan_parts(Plan& plan);
// Nobody's, so far.
bool plan_waiting(Plan& plan);
bool plan_owned(Plan& plan, const Target& owner);
// Whether an earlier attempt told the other places of this and not its own: it
// may have listed one that was settled meanwhile, which the protocol looks at.
bool broke_off(const Plan& plan);

void report_on_place(Plan& plan);

// What is written, and how much of that must be.
struct Writes {
  std::vector<Command> commands{};
  std::vector<std::pair<std::size_t, const char*>> lookups{};  // from there on
  std::size_t log = 0;     // the first of the log's
  std::size_t others = 0;  // the first of the lists'
  RecordWrite record{};

  void append(std::vector<Command> more) {
    std::move(more.begin(), more.end(), std::back_inserter(commands));
  }
};

// Concludes the result, too. `park`: the place is to be on the list.
Writes all_writes(Plan& plan, bool park);
// What Redis said against them, in the words of whoever writes these alone.
std::string said_of(const Plan& plan, const Writes& writes,
                    const CommitReply& reply);

}  // namespace entitle::at_once
