// Reading Stripe's objects: what its JSON has in common, whatever the object.
// Every function takes a null node; what is not said, or not so, is empty.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/types.h"
#include "core/json/tree.h"

namespace entitle::stripe {

// Null: not said, or no is_time().
std::optional<UnixTime> time(const json::Node* object, std::string_view key);

// Stripe's id fields are a string or the expanded object with its `id`. Empty
// unless is_id() holds.
std::string_view id(const json::Node* object, std::string_view key);
std::string_view id_of(const json::Node* string_or_object);

// 1-255 bytes of printable ASCII without space, quote, backslash and slash
// (`acct_.../` is ours). Old accounts chose their customers' ids, so there is
// no rule about prefixes here.
bool is_id(std::string_view text);

// The array `data` of a Stripe list, or null.
const json::Node* list(const json::Node* object, std::string_view key);

}  // namespace entitle::stripe
