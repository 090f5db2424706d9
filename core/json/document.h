// JSON that others wrote (tokens, key sets, an app's sessions), read under
// bounds: one value and nothing after it, valid UTF-8, no member twice, no
// U+0000, no number that does not fit.
#pragma once

#include <jansson.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace entitle {

struct FreeJson {
  void operator()(json_t* value) const { json_decref(value); }
};
using JsonDocument = std::unique_ptr<json_t, FreeJson>;

// Null: not such a document, nested deeper than `max_depth`, or no memory.
// What the document is about must not matter to a caller who gets null.
JsonDocument parse_json(std::string_view text, std::size_t max_depth);

// Null: `value` is null or no string. A view into the document.
std::optional<std::string_view> string_of(const json_t* value);

// A string as it is, a whole number as decimal text (42.0 is 42). Null:
// anything else.
std::optional<std::string> text_of(const json_t* value);

// A whole number of at least 0, as a number or as its decimal text (what a
// Redis client in a dynamic language gives its app). Null: anything else.
std::optional<std::int64_t> count_of(const json_t* value);

}  // namespace entitle
