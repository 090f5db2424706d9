// What a user's sources give at a moment. Facts are stored as Stripe said
// them; grants and graces are applied here, when asked, so editing them works
// for every existing customer at once.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/source/source.h"

namespace entitle {

// entitle_grace, entitle_past_due_grace, entitle_provisional, entitle_refund,
// entitle_dispute.
struct Policy {
  Seconds grace = std::chrono::hours(72);
  Seconds past_due_grace = std::chrono::hours(24 * 7);
  Seconds provisional{0};
  bool refund_revokes = true;
  bool dispute_revokes = true;
};

// Why a source gives nothing now.
enum class Lapse { none, not_paid, ended, past_due_over, refunded, disputed };

// One source at any time: what it gives and until when, before any policy.
// Small, policy-free and time-free, so it can be cached by the gate.
struct Projection {
  enum class State {
    active,       // until `end` + grace (kForever: no known end)
    ending,       // until `end` sharp (cancel_at, cancel at period end)
    past_due,     // until `since` + past_due_grace, or `end` if sooner
    paid,         // one-time purchase
    provisional,  // paid subscription session, until `since` + provisional
    refunded,     // paid, then fully refunded
    disputed,     // paid, with an open or lost dispute
    ended,
    not_paid,
  };
  std::string source;
  State state = State::not_paid;
  UnixTime end = kForever;
  UnixTime since{};
  std::vector<Identifier> identifiers;
  bool disputed = false;  // with State::disputed, and beside State::refunded
  bool ambiguous = false;
  bool operator==(const Projection&) const = default;
};

// Payments (pi_, ch_) and deleted customers are folded into what they touch.
std::vector<Projection> project(const Sources& sources);

struct Verdict {
  bool effective = false;
  UnixTime until{};  // when effective; kForever: no known end
  Lapse lapse = Lapse::none;
};
Verdict judge(const Projection& projection, const Policy& policy, UnixTime now);

// The effective identifiers at `now`, sorted, unique. A change of this set is
// what raises the session version.
std::vector<Identifier> effective_identifiers(const Sources& sources,
                                              const Policy& policy,
                                              UnixTime now);

// `entitle_grant` lines: entitlement name -> identifiers that give it.
// `feature=x` and `metadata=x` give x unless a line names them.
class GrantMap {
 public:
  void add(std::string_view entitlement, Identifier identifier);
  // Sorted, unique; empty: no grant knows this identifier. Views into the map
  // or into the identifier.
  std::vector<std::string_view> entitlements_of(const Identifier&) const;
  bool gives(const Identifier& identifier, std::string_view entitlement) const;

 private:
  std::map<Identifier, std::vector<std::string>, std::less<>> by_identifier_;
};

struct Entitlement {
  std::string name;
  UnixTime until;  // the latest of what gives it
};
// What is effective at `now`, by name, sorted.
std::vector<Entitlement> entitlements(
    const std::vector<Projection>& projections, const GrantMap& grants,
    const Policy& policy, UnixTime now);

}  // namespace entitle
