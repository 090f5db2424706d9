#include "core/json/document.h"

#include <cmath>

#include "core/base/decimal.h"

namespace entitle {
namespace {

// Up to here every whole number is exact as a double.
constexpr double kExact = 9007199254740992;  // 2^53

// Counted before the parser recurses, over bytes: brackets inside strings are
// skipped, whatever else is wrong is the parser's to find.
bool nests_within(std::string_view text, std::size_t max_depth) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return false;
    } else if ((c == '}' || c == ']') && depth > 0) {
      depth--;
    }
  }
  return true;
}

std::optional<std::int64_t> whole_number(const json_t* value) {
  if (json_is_integer(value)) return json_integer_value(value);
  if (!json_is_real(value)) return std::nullopt;
  double number = json_real_value(value);
  if (std::trunc(number) != number || std::fabs(number) > kExact) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(number);
}

}  // namespace

JsonDocument parse_json(std::string_view text, std::size_t max_depth) {
  if (!nests_within(text, max_depth)) return nullptr;
  return JsonDocument(json_loadb(text.data(), text.size(),
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                                 nullptr));
}

std::optional<std::string_view> string_of(const json_t* value) {
  if (!json_is_string(value)) return std::nullopt;
  return std::string_view(json_string_value(value), json_string_length(value));
}

std::optional<std::string> text_of(const json_t* value) {
  if (auto text = string_of(value)) return std::string(*text);
  if (auto number = whole_number(value)) return std::to_string(*number);
  return std::nullopt;
}

std::optional<std::int64_t> count_of(const json_t* value) {
  auto text = string_of(value);
  auto number =
      text ? parse_canonical_decimal<std::int64_t>(*text) : whole_number(value);
  if (!number || *number < 0) return std::nullopt;
  return number;
}

}  // namespace entitle
