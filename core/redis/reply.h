// A Redis answer as a value (RESP2). No socket here: see ngx_module/ for one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

struct Reply {
  enum class Type { nil, status, error, integer, string, array };

  Type type = Type::nil;
  std::int64_t integer = 0;
  std::string text;             // status, error, string
  std::vector<Reply> elements;  // array

  bool is_nil() const { return type == Type::nil; }
  bool is_error() const { return type == Type::error; }
  bool is_error(std::string_view code) const {  // "READONLY", "LOADING", ...
    return is_error() && text.starts_with(code);
  }
  bool is_array() const { return type == Type::array; }
};

// One Redis command: its words, binary safe.
using Command = std::vector<std::string>;

}  // namespace entitle
