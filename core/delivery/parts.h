// What the parts of one delivery share; of no use outside
// core/delivery/.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/delivery.h"
#include "core/delivery/options.h"
#include "core/delivery/writes.h"
#include "core/record/place.h"
#include "core/record/record.h"
#include "core/redis/conversation.h"
#include "core/redis/transaction.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {

// Of these names an operator ignores some, as was asked along with what was
// read last.
struct AskedNames {
  std::set<std::string> names, ignored;
};

struct Delivery {
  const EventHead& event;
  const DeliveryOptions& options;
  Transactions redis;
  std::vector<std::string> sources;  // ids of those the event speaks of
  std::string about;  // the source whose owner is told; or empty: the rest's
  DeliveryResult result;              // error and owner_changed are kept here
  std::set<std::string> ignored{};    // sources an operator waved through
  std::set<std::string> elsewhere{};  // see owned_elsewhere()
  AskedNames asked{};

  // Whether anything the event itself said is among these.
  bool says(const Sources& among) const;
  // Whether any of the sources the event speaks of is among these.
  bool speaks_of(const Sources& among) const;
};

// failed: result.error says why, and the delivery is over.
enum class Progress { done, failed };

// What became of the facts given to one place.
struct PlaceReport {
  bool known = false;        // the event had been here before
  bool kept = false;         // something of it is here now
  std::optional<User> user;  // whose it is; null: parked
  bool ignored = false;    // parked, and an operator ignores what was paid for
  Record record;           // the user's
  Sources sources_before;  // the record's, before
  std::vector<Identifier> before, after;  // effective identifiers
  std::string email_was, email_is;        // of the place
  std::optional<User> by_older_email;     // Place::owner_by_older_email()
};

bool says_nothing(const PlaceFacts& facts);

Conversation<Progress> deliver_to_place(Delivery& delivery, PlaceFacts facts,
                                        PlaceReport& report);

// Ends with nothing waiting in the place and nothing of it anywhere but with
// its owners, or, where a record of theirs cannot be read, with everything kept
// in the place and no `report.user` if it is that one's. `place` is what Redis
// holds, the owner of the rest known.
Conversation<Progress> settle(Delivery& delivery, std::string id, Place place,
                              bool may_be_parked, PlaceReport& report);

// --- one place ------------------------------------------------------------

struct PlaceRead {
  Progress progress;
  Place place;
};
// WATCHes and reads. An unreadable place is moved aside to quarantine and
// started afresh, so that what comes next is kept.
Conversation<PlaceRead> watch_place(Delivery& delivery, std::string id);

// Writes what differs if the watched place is unchanged. Refused: result.error
// is set.
Conversation<Commit> write_place(Delivery& delivery, std::string id,
                                 Place before, Place after);

// Puts the place on the list of parked ones; what is watched is forgotten.
Conversation<Progress> list_as_parked(Delivery& delivery, std::string id);
// Takes it off: it has an owner, who has all.
Conversation<Progress> unlist_as_parked(Delivery& delivery, std::string id);

// Gives what `facts` say to every place in `to`.
Conversation<Progress> deliver_to_places(Delivery& delivery,
                                         std::vector<std::string> to,
                                         PlaceFacts facts, PlaceReport& report);

// --- what cannot be read (quarantine.cc) -----------------------------------

// A record stays where it is, and nobody writes it. result.error says which.
Conversation<Progress> copy_to_quarantine(Delivery& delivery, std::string key);
// The watched place, if it is unchanged; likewise.
Conversation<Commit> move_to_quarantine(Delivery& delivery, std::string key);

// --- one record -----------------------------------------------------------

struct Edit {
  enum class Action { write, leave, refuse } action;
  std::string_view logged_as{};  // the outcome in the log; empty: no line
};
// Decides from what the record is (`before`) what it shall be (`after`, given
// as a copy). Called again after each conflict.
using Editor = std::function<Edit(const Record& before, Record& after)>;

struct EditReason {
  std::string_view place;
  std::vector<Target> moved_from{};
  std::vector<Target> moved_to{};
};

enum class Edited { done, refused, unreadable, failed };

// Reads, edits and writes one user's record in one transaction. When done,
// `report` holds it as it is now. An unreadable record is copied to quarantine
// and never written.
Conversation<Edited> edit_record(Delivery& delivery, User user,
                                 const Editor& editor, EditReason reason,
                                 PlaceReport& report);

enum class Found { read, unreadable, failed };
struct RecordRead {
  Found found;
  Record record;
};
// Reads without watching.
Conversation<RecordRead> read_record(Delivery& delivery, User user);

// The sources that are a place's, out of a record's.
Sources sources_of(const Record& record, std::string_view place);

// Whether `all` has all that `some` says.
bool includes(const Sources& all, const Sources& some);

}  // namespace entitle
