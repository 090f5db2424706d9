// Keys that people, tools and `entitle_claim_email` look things up by. Nothing
// here says whose something is, but without the e-mail's a buyer who is known
// by nothing else is never found: an event whose keys could not be written is
// not stored.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/outcome.h"
#include "core/record/keys.h"
#include "core/redis/reply.h"
#include "core/source/target.h"

namespace entitle {

// What became of an event and where it went, for 35 days.
Command event_lookup(const Keys& keys, std::string_view event, Outcome outcome,
                     std::string_view place, const std::optional<User>& user);

// A source of `target` in `unmatched`: `u:42|cs_1`, the target as in the braces
// of its key, and the source with `%` and `|` percent-encoded, so that the last
// bar is the one between.
std::string unmatched_member(const Target& target, std::string_view source);
struct Unmatched {
  Target target;
  std::string source;
};
// A member of that index, taken apart. Null: it is none of ours.
std::optional<Unmatched> unmatched_of(std::string_view member);

// The places seen with this e-mail. It does not expire: what is parked under it
// may be claimed whenever its owner comes.
std::vector<Command> email_lookup(const Keys& keys, std::string_view email,
                                  std::string_view place);
Command email_forget(const Keys& keys, std::string_view email,
                     std::string_view place);

// The webhook hash: last received, applied, refused (and why). The caller
// writes at most once a second.
enum class WebhookNote { received, applied, refused };
Command webhook_note(const Keys& keys, WebhookNote note, UnixTime now,
                     std::string_view detail);

// How often claims disagreed about whose something is and moved it, and how
// often an event did not say until when what it speaks of runs, so that its end
// is assumed; when last, and which event it was: in the webhook hash.
enum class WebhookCount { conflict, assumed_end };
std::vector<Command> webhook_count(const Keys& keys, WebhookCount what,
                                   std::string_view event, UnixTime now);

// One of these keys, and what is to be written there.
struct LookupWrite {
  std::string key;
  std::vector<Command> commands;
  // What the log calls it: an event without it is not stored. Null: nobody
  // misses it.
  const char* needed = nullptr;
};

}  // namespace entitle
