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
// unless it is an is_object_id().
std::string_view id(const json::Node* object, std::string_view key);
std::string_view id_of(const json::Node* string_or_object);

// The array `data` of a Stripe list, or null.
const json::Node* list(const json::Node* object, std::string_view key);

}  // namespace entitle::stripe
