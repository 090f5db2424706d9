// What one Stripe event says, in our words: who owns what (claims) and what
// was bought, paid, ended or given back (sources). A pure function of the
// event; nothing here knows what was said before.
//
// Adding an event type: one row in core/stripe/event_types.cc, one small
// function.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/source/claim.h"
#include "core/source/identifier.h"
#include "core/source/said_email.h"
#include "core/source/source.h"
#include "core/stripe/event.h"

namespace entitle {

// What the event says to one place. Places are Stripe ids: cus_, cs_, in_, pi_,
// ch_, with `acct_.../` before them for Connect.
struct PlaceFacts {
  std::string place;
  std::vector<Claim> claims;
  Sources sources;
  std::optional<SaidEmail> email{};  // of the customer, or of a guest
};

struct Facts {
  // The place the event itself goes to comes last: others only learn where to
  // forward. Empty: the event changes nothing (`ignored`).
  std::vector<PlaceFacts> places;
  std::string customer;                 // for $entitle_customer; may be empty
  std::string email;                    // lower case; for the lookup key only
  std::vector<Identifier> identifiers;  // of what was bought, for messages
  // A session of mode `payment` that is paid, or that was completed and may be
  // (delayed methods, captured by hand): what is known of it now is all that
  // will be.
  bool is_payment = false;
  // An invoice of 2025-03-31.basil or later: its lines name prices and
  // products alone.
  bool lacks_lookup_keys = false;
  // A subscription that runs and says nowhere until when: somebody must look.
  bool assumes_end = false;
  std::string note;    // why nothing was taken from it, for the log; or empty
  bool warns = false;  // the note is a warning
};

// Where `entitle_user_from` looks, in order; the first that names a valid
// user is the event's explicit claim.
struct UserFrom {
  enum class Kind {
    client_reference_id,
    signed_client_reference_id,
    metadata,
    link,
    email,
  };
  Kind kind;
  std::string key;  // for metadata
};

class ClientReference;  // core/stripe/client_reference.h
struct StripeList;      // core/stripe/asking.h

struct FactsOptions {
  std::vector<UserFrom> user_from;
  const ClientReference* reference = nullptr;  // verifies signed references
  const StripeList* asked = nullptr;  // what Stripe told besides the event
};

// A word of `entitle_user_from`: client_reference_id[=signed], metadata.KEY,
// link or email. Null: it is none.
std::optional<UserFrom> parse_user_from(std::string_view text);

// The default of `entitle_user_from`:
// client_reference_id metadata.user_id metadata.userId link
std::vector<UserFrom> default_user_from();

Facts facts_of(const Event& event, const FactsOptions& options);

}  // namespace entitle
