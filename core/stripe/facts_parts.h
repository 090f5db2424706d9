// What the functions of event_types.h are made of: one event being read, the
// identifiers an object names, the user an event names, and what goes where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/source/stripe_id.h"
#include "core/stripe/asking.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {

// One event being read.
struct Reading {
  const Event& event;
  const FactsOptions& options;

  const json::Node* object() const { return event.object; }
  const EventHead& head() const { return event.head; }
  // `acct_.../` before the ids of a Connect account.
  std::string qualified(std::string_view id) const;
};

// `customer` or `customer_account`, string or expanded; empty: none.
std::string customer_place(const Reading& reading);

// A list that an object has: the event's own, or, where Stripe was asked for
// it, what Stripe told, and what only the event has while that is not all.
struct Listing {
  std::vector<const json::Node*> members;
  bool said = false;
  bool has_more = false;  // these are some of them only
};
Listing listing(const Reading& reading, std::string_view key, Listed what);

// Identifiers an object names, bounded: Stripe allows 20 items, so whoever
// sends more than this gets a lower bound (`truncated`).
class IdentifierList {
 public:
  explicit IdentifierList(const AccountId& account) : account_(account) {}
  void add_id(std::string_view id);  // prod_, plink_
  // A price or plan, its id or the object: id, product, lookup_key.
  void add_price(const json::Node* price);
  void add_feature(std::string_view lookup_key);
  void add_names(const json::Node* metadata);  // metadata.entitlements
  // The names, and of its other members those that can be tags: the first
  // Identifier::kMaxTags by name, but for those that `entitle_user_from` reads.
  void add_metadata(const Reading& reading, const json::Node* metadata);
  bool truncated() const { return truncated_; }
  std::vector<Identifier> sorted() &&;  // unique

 private:
  void add(std::optional<Identifier> identifier);
  AccountId account_;
  std::vector<Identifier> identifiers_;
  bool truncated_ = false;
};

// Of previous_attributes.metadata, as PreviousState keeps it.
std::vector<std::string> previous_tags(const Reading& reading,
                                       const json::Node* metadata);

// How many of it are bought: of what is metered, and where nobody says, one.
std::int64_t quantity_of(const json::Node* item);

// Lines of a purchase as they are kept: each thing once, with as many as there
// are of it; empty where that is one of one.
std::vector<LineItem> lines_to_keep(std::vector<LineItem> lines);

// The period of what is known by these, of each price.
void add_periods(const Reading& reading,
                 const std::vector<Identifier>& identifiers,
                 const PeriodFact& period, Source& source);

// Keeps with the source which lookup key its price has, if it has one.
void add_lookup_key(const Reading& reading, const json::Node* price,
                    Source& source);

// Where this event could name a user; what it does not have stays empty.
struct UserHints {
  std::string_view client_reference;
  const json::Node* metadata = nullptr;
  ClaimKind metadata_kind = ClaimKind::customer_metadata;
  std::string email;  // lower case
  // When all this was said, if not when the event was made: an event may repeat
  // what was said long before.
  std::optional<UnixTime> said{};
  // Ids of the sources that a purchase's metadata or reference are about. None:
  // all of the place.
  std::vector<std::string> about{};
};

// The event's own place, with the claims of the user it names, if any, and the
// e-mail. Notes a refused client reference.
PlaceFacts own_place(const Reading& reading, std::string place,
                     const UserHints& hints, Facts& facts);

// That a payment belongs to the session or invoice this is kept with: it buys
// nothing, but what is given back of the payment is given back of that.
SessionFact payment_link(const Reading& reading, std::string payment);

// That a source is part of another one, whoever owns that.
Claim part_claim(const Reading& reading, std::string part,
                 std::string_view whole);

// Where a fact says the charge of its payment: what is told of either is told
// of both.
void add_charge(const Reading& reading, const SessionFact& fact,
                PlaceFacts& own, Facts& facts);

// Another place that learns where to forward: first in Facts::places.
void add_forward(const Reading& reading, std::string from,
                 std::string_view to_place, Facts& facts);

// Of money, in the smallest unit. 0: not said.
std::int64_t amount(const json::Node* object, std::string_view member);

// What stands for a word that Stripe does not say, where it always did.
inline constexpr std::string_view kUnsaid = "unsaid";
// One of Stripe's words as it is kept: of absurd ones, the beginning.
std::string word_of(const json::Node* object, std::string_view member);
// A warning: this word of Stripe's has no meaning here (yet), so what goes by
// it opens nothing.
void add_unknown_word(Facts& facts, std::string_view what,
                      std::string_view word);

// Why nothing, or not all, was taken from the event: for the log.
void add_note(Facts& facts, std::string_view text);

}  // namespace entitle
