// Whose a place was when this worker last heard of it. It saves the look where
// an event names nobody, and decides nothing: whoever goes by it reads the
// place along, and reads another record where it is somebody else's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/types.h"

namespace entitle {

class LikelyOwners {
 public:
  static constexpr std::size_t kMost = 8192;  // places, some 1 MB

  // By the place's key.
  std::optional<User> of(const std::string& place) const;
  void note(const std::string& place, const User& user);
  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  // What is noted goes to the young; once they are half of all that may be they
  // are the old, and what nobody noted since is gone.
  std::unordered_map<std::string, User> young_, old_;
};

}  // namespace entitle
