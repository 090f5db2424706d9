// Reading members out of Stripe's JSON without ever being surprised by it: an
// absent member, a null and a value of another type are all "not said". Every
// function takes a null object.
#pragma once

#include <jansson.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/types.h"

namespace entitle::json {

const json_t* member(const json_t* object, const char* key);

// Empty when not said. The view lives as long as the object.
std::string_view string(const json_t* object, const char* key);

std::optional<std::int64_t> integer(const json_t* object, const char* key);
std::optional<bool> boolean(const json_t* object, const char* key);

// A point in time Stripe could mean: 0 < t < 2^40 seconds. Anything else is
// not said, so that no sum of times overflows later.
std::optional<UnixTime> time(const json_t* object, const char* key);
bool is_time(std::int64_t seconds);

// Stripe's id fields are a string or the expanded object with its `id`. Empty
// unless is_id() holds.
std::string_view id(const json_t* object, const char* key);
std::string_view id_of(const json_t* string_or_object);

// 1-255 bytes of printable ASCII without space, quote, backslash and slash
// (`acct_.../` is ours). Old accounts chose their customers' ids, so there is
// no rule about prefixes here.
bool is_id(std::string_view text);

// The array `data` of a Stripe list, or null.
const json_t* list(const json_t* object, const char* key);

}  // namespace entitle::json
