// Who or what a command was asked about: a user, a Stripe id, an event or an
// e-mail, followed to where it is kept and whose it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "cli/kept/lookup.h"

namespace entitle::cli {

struct Subject {
  enum class Kind { user, place, source, event, email };

  std::string asked;
  Kind kind = Kind::user;
  bool known = false;  // Redis holds something of it
  // False: there was no time to look everywhere, so it may be known after all.
  bool looked_everywhere = true;
  std::optional<User> user;       // whose it is
  std::string place;              // where it is kept
  std::string source;             // the one that it is about; empty: all
  std::optional<EventFate> fate;  // of an event
  // Of an e-mail or customer: all whose it is, where there are several. Then
  // there is neither user nor place.
  std::vector<std::string> several;
};

// `text` as a person writes it; `u:NAME` is a user whatever it looks like.
// Throws Stop where it can be nothing of all that.
Subject subject_of(const Context& context, const std::string& text);

// What there is whose name is near: in another case, another mode or prefix, or
// of a Connect account. As people would write it, with where it is.
std::vector<std::string> near(const Context& context, const Subject& subject);

}  // namespace entitle::cli
