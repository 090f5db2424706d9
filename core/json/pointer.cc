#include "core/json/pointer.h"

#include "core/base/decimal.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxBytes = 1024;
constexpr std::size_t kMaxTokens = 32;

bool unescape(std::string_view escaped, std::string& token) {
  for (std::size_t i = 0; i < escaped.size(); i++) {
    if (escaped[i] != '~') {
      token += escaped[i];
      continue;
    }
    if (++i == escaped.size()) return false;
    if (escaped[i] != '0' && escaped[i] != '1') return false;
    token += escaped[i] == '0' ? '~' : '/';
  }
  return true;
}

const json_t* element(const json_t* array, std::string_view token) {
  auto index = parse_canonical_decimal<std::size_t>(token);
  return index ? json_array_get(array, *index) : nullptr;
}

}  // namespace

std::optional<JsonPointer> JsonPointer::parse(std::string_view text,
                                              std::string& error) {
  if (text.size() > kMaxBytes || text.find('\0') != text.npos) {
    error = "a JSON pointer has at most 1024 bytes and no NUL";
    return std::nullopt;
  }
  if (!text.empty() && text[0] != '/') {
    error = "a JSON pointer is empty or starts with \"/\"";
    return std::nullopt;
  }
  JsonPointer pointer;
  while (!text.empty()) {
    std::size_t end = text.find('/', 1);
    std::string_view escaped = text.substr(1, end == text.npos ? end : end - 1);
    text.remove_prefix(escaped.size() + 1);
    if (pointer.tokens_.size() == kMaxTokens) {
      error = "a JSON pointer has at most 32 tokens";
      return std::nullopt;
    }
    if (!unescape(escaped, pointer.tokens_.emplace_back())) {
      error = "in a JSON pointer \"~\" is written \"~0\" and \"/\" \"~1\"";
      return std::nullopt;
    }
  }
  return pointer;
}

const json_t* JsonPointer::find(const json_t* root) const {
  const json_t* value = root;
  for (const std::string& token : tokens_) {
    if (json_is_array(value)) {
      value = element(value, token);
    } else {
      value = json_object_get(value, token.c_str());
    }
    if (!value) return nullptr;
  }
  return value;
}

}  // namespace entitle
