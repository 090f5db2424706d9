// Whose something is: a user's, or, of a place that is part of another, that
// place's. `u:<user>` and `p:<stripe id>` in Redis and in the log, there
// percent-encoded; a later version may know others, which are kept.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"

namespace entitle {

class Target {
 public:
  Target() = default;  // nobody
  // As it was read: it may be neither a user nor a place.
  explicit Target(std::string text) : text_(std::move(text)) {}
  static Target of(const User& user) { return Target("u:" + user.str()); }
  static Target of_place(std::string_view id) {
    return Target("p:" + std::string(id));
  }

  std::optional<User> user() const;  // null: it names none
  std::string_view place() const;    // a Stripe id; empty: it names none
  const std::string& str() const { return text_; }

  // As the text inside the braces of its key: printable ASCII.
  std::string encode() const;
  // Null: it is neither a user nor a place.
  static std::optional<Target> decode(std::string_view text);

  auto operator<=>(const Target&) const = default;

 private:
  std::string text_;
};

}  // namespace entitle
