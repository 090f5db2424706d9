// The session that a browser carries, as far as it can be judged away from it:
// whose it is, whether its signature, time, version and binding hold.
#pragma once

#include <optional>
#include <string>

#include "cli/why/chain.h"

namespace entitle::cli {

// The cookies in a file: the value of a Cookie header, with or without its
// name; `-` is standard input. Throws Stop.
std::string cookies_in(const std::string& file);

// Whose session is among them, whatever else is wrong with it. Null: nobody's
// that can be told. Throws Stop where its keys cannot be read.
std::optional<User> user_of_session(const Context& context,
                                    const std::string& cookies);

// The chain's last link. Throws Stop.
Link link_of_session(const Context& context, const Known& known,
                     const std::string& cookies);

}  // namespace entitle::cli
