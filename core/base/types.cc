#include "core/base/types.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxBytes = 255;

}  // namespace

std::string_view name(Mode mode) {
  return mode == Mode::live ? "live" : "test";
}

std::optional<User> User::from(std::string_view text) {
  if (text.empty() || text.size() > kMaxBytes || has_control_bytes(text)) {
    return std::nullopt;
  }
  return User(std::string(text));
}

}  // namespace entitle
