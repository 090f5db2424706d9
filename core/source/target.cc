#include "core/source/target.h"

#include "core/base/percent.h"

namespace entitle {

std::optional<User> Target::user() const {
  if (!text_.starts_with("u:")) return std::nullopt;
  return User::from(std::string_view(text_).substr(2));
}

std::string_view Target::place() const {
  if (!text_.starts_with("p:")) return {};
  return std::string_view(text_).substr(2);
}

std::string Target::encode() const { return percent_encode(text_); }

std::optional<Target> Target::decode(std::string_view text) {
  std::optional<std::string> decoded = percent_decode(text);
  if (!decoded) return std::nullopt;
  Target target(*std::move(decoded));
  if (!target.user() && target.place().empty()) return std::nullopt;
  return target;
}

}  // namespace entitle
