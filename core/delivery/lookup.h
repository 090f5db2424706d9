// Keys that people and tools look things up by. Nothing here decides anything:
// a lost one costs an answer, never access.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/outcome.h"
#include "core/record/keys.h"
#include "core/redis/reply.h"

namespace entitle {

// What became of an event and where it went, for 35 days.
Command event_lookup(const Keys& keys, std::string_view event, Outcome outcome,
                     std::string_view place, const std::optional<User>& user);

// A place that holds something and belongs to no user, by first sight.
Command parked_add(const Keys& keys, std::string_view place, UnixTime now);
Command parked_remove(const Keys& keys, std::string_view place);

// The places seen with this e-mail, for 400 days.
std::vector<Command> email_lookup(const Keys& keys, std::string_view email,
                                  std::string_view place);

// The webhook hash: last received, applied, refused (and why). The caller
// writes at most once a second.
enum class WebhookNote { received, applied, refused };
Command webhook_note(const Keys& keys, WebhookNote note, UnixTime now,
                     std::string_view detail);

}  // namespace entitle
