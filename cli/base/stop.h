// How a command ends: its exit code, and what is said when it can go no
// further. docs/entitlectl.md, "Exit codes", is the contract.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace entitle::cli {

enum class Exit {
  fine = 0,
  found = 1,        // looked, and something is not as it should be
  usage = 2,        // asked for what there is not
  cannot_tell = 3,  // could not look
  refused = 4,      // could be done, and must not
};

class Stop : public std::exception {
 public:
  Stop(Exit how, std::string why) : how_(how), why_(std::move(why)) {}
  Exit how() const { return how_; }
  const char* what() const noexcept override { return why_.c_str(); }

 private:
  Exit how_;
  std::string why_;
};

}  // namespace entitle::cli
