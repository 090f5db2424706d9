// JSON pointers: `/passport/user` names a value inside a document.
// Source: RFC 6901, the string form (section 5).
#pragma once

#include <jansson.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

class JsonPointer {
 public:
  // Null and `error` set (what is allowed) unless `text` is empty (the whole
  // document) or starts with `/`, and every `~` is `~0` or `~1`. At most 1024
  // bytes and 32 tokens, no U+0000.
  static std::optional<JsonPointer> parse(std::string_view text,
                                          std::string& error);

  // Borrowed from `root`. Null: nothing there, `root` null included. An array
  // index is decimal without leading zeros; `-` names nothing that exists.
  const json_t* find(const json_t* root) const;

 private:
  JsonPointer() = default;
  std::vector<std::string> tokens_;
};

}  // namespace entitle
