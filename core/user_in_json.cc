#include "core/user_in_json.h"

#include <jansson.h>

#include <charconv>
#include <memory>
#include <string>

namespace entitle {
namespace {

struct Decref {
  void operator()(json_t* json) const { json_decref(json); }
};

// `~1` is `/` and `~0` is `~` (RFC 6901 section 4).
std::string unescaped(std::string_view token) {
  std::string text;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~') {
      text += token[++i] == '1' ? '/' : '~';
    } else {
      text += token[i];
    }
  }
  return text;
}

// Array indices have no leading zero; `-` names an element that is not there.
std::optional<std::size_t> index_of(std::string_view token) {
  std::size_t index = 0;
  const char* end = token.data() + token.size();
  const auto [stop, error] = std::from_chars(token.data(), end, index);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (token.size() > 1 && token[0] == '0') return std::nullopt;
  return index;
}

const json_t* step(const json_t* from, const std::string& token) {
  if (json_is_array(from)) {
    const std::optional<std::size_t> index = index_of(token);
    return index ? json_array_get(from, *index) : nullptr;
  }
  return json_object_get(from, token.c_str());  // null where `from` is neither
}

const json_t* follow(const json_t* from, std::string_view pointer) {
  while (from != nullptr && !pointer.empty()) {
    const std::size_t end = pointer.find('/', 1);
    const std::size_t length =
        (end == std::string_view::npos ? pointer.size() : end) - 1;
    from = step(from, unescaped(pointer.substr(1, length)));
    pointer.remove_prefix(length + 1);
  }
  return from;
}

UserInJson named(std::string_view text) {
  if (text.empty()) return {UserInJson::Kind::guest, std::nullopt};
  std::optional<User> user = User::from(text);
  if (!user) return {};
  return {UserInJson::Kind::user, std::move(user)};
}

}  // namespace

bool is_json_pointer(std::string_view pointer) {
  if (!pointer.empty() && pointer[0] != '/') return false;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '\0') return false;
    if (pointer[i] != '~') continue;
    if (i + 1 == pointer.size()) return false;
    if (pointer[i + 1] != '0' && pointer[i + 1] != '1') return false;
  }
  return true;
}

UserInJson user_in_json(std::string_view json, std::string_view pointer) {
  if (!is_json_pointer(pointer)) return {};
  const std::unique_ptr<json_t, Decref> root(
      json_loadb(json.data(), json.size(),
                 JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, nullptr));
  if (root == nullptr) return {};

  const json_t* found = follow(root.get(), pointer);
  if (found == nullptr || json_is_null(found) || json_is_false(found)) {
    return {UserInJson::Kind::guest, std::nullopt};
  }
  if (json_is_string(found)) {
    return named({json_string_value(found), json_string_length(found)});
  }
  if (json_is_integer(found)) {
    return named(std::to_string(json_integer_value(found)));
  }
  return {};
}

}  // namespace entitle
