// A Stripe event's envelope, out of verified bytes.
// Source: https://docs.stripe.com/api/events/object
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/source/stripe_id.h"
#include "core/stripe/signature.h"

namespace entitle {

struct EventHead {
  std::string id;    // evt_...
  std::string type;  // "customer.subscription.updated"
  UnixTime created;
  bool livemode = false;
  AccountId account;
  std::string context = {};  // where that alone said the account
  // Of what is no event of Stripe's but an operator's word: whose, and why.
  std::string by = {}, reason = {};
};

struct Event {
  EventHead head;
  json::Document document;               // owns what follows
  const json::Node* object = nullptr;    // data.object
  const json::Node* previous = nullptr;  // data.previous_attributes or null
  bool thin = false;                     // v2.core.event: no data.object
};

enum class EventError { body_not_json, not_an_event };
std::string_view name(EventError error);

struct ParsedEvent {
  std::optional<Event> event;
  EventError error = EventError::not_an_event;  // when there is no event
  std::string detail;                           // for the log; never the body
};

// Objects and arrays in one another at most this deep.
inline constexpr std::size_t kMaxEventDepth = 64;
inline constexpr std::size_t kMaxEventBytes = std::size_t{1} << 20;

// Bounded: kMaxEventDepth, `max_bytes`; duplicate members and NUL in strings
// are refused. body_not_json: no JSON object or array, or over a bound.
// not_an_event: JSON, but without an `evt_` id, a type, `created` (0 < t <
// 2^40), `livemode`, `"object": "event"` or an object at `data.object`. Of a
// thin event only id and type are wanted, `created` is read where it is a
// number.
ParsedEvent parse_event(const VerifiedPayload& payload,
                        std::size_t max_bytes = kMaxEventBytes);

// The same of what Stripe's API lists. Whatever owns `root` outlives the event,
// whose own document is empty. Not for what was received: nobody signed it.
ParsedEvent event_at(const json::Node* root);

}  // namespace entitle
