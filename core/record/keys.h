// The names of everything kept in Redis (docs/redis.md). All of one user's, or
// one place's, hash to one Cluster slot.
#pragma once

#include <string>
#include <string_view>

#include "core/base/types.h"

namespace entitle {

// entitle:<mode>:{u:<user>} ...; ids are percent-encoded inside the braces.
class Keys {
 public:
  Keys(std::string_view prefix, Mode mode);
  std::string record(const User& user) const;  // {u:<user>}
  std::string log(const User& user) const;     // {u:<user>}:log
  // Credits taken: {u:<user>}:used:<name>, or of the period that begins then.
  std::string used(const User& user, std::string_view name) const;
  std::string used(const User& user, std::string_view name,
                   UnixTime from) const;
  std::string place(std::string_view id) const;  // {p:<id>}
  std::string event(std::string_view id) const;
  std::string email(std::string_view lower_case) const;
  std::string parked() const;
  std::string unmatched() const;
  std::string ignored() const;
  std::string webhook() const;
  std::string reconcile() const;
  std::string lost() const;
  // Where something unreadable is kept, in the same Cluster slot.
  static std::string quarantine(std::string_view key);

 private:
  std::string base_;
};

}  // namespace entitle
