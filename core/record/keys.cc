#include "core/record/keys.h"

#include "core/base/percent.h"

namespace entitle {

Keys::Keys(std::string_view prefix, Mode mode)
    : base_(std::string(prefix) + std::string(name(mode)) + ':') {}

std::string Keys::record(const User& user) const {
  return base_ + "{u:" + percent_encode(user.str()) + '}';
}

std::string Keys::log(const User& user) const { return record(user) + ":log"; }

std::string Keys::used(const User& user, std::string_view name) const {
  return record(user) + ":used:" + std::string(name);
}

std::string Keys::used(const User& user, std::string_view name,
                       UnixTime from) const {
  return used(user, name) + ':' + std::to_string(to_unix(from));
}

std::string Keys::place(std::string_view id) const {
  return base_ + "{p:" + percent_encode(id) + '}';
}

std::string Keys::event(std::string_view id) const {
  return base_ + "event:" + std::string(id);
}

std::string Keys::email(std::string_view lower_case) const {
  return base_ + "email:" + std::string(lower_case);
}

std::string Keys::parked() const { return base_ + "parked"; }

std::string Keys::unmatched() const { return base_ + "unmatched"; }

std::string Keys::ignored() const { return base_ + "ignored"; }

std::string Keys::webhook() const { return base_ + "webhook"; }
std::string Keys::reconcile() const { return base_ + "reconcile"; }

std::string Keys::lost() const { return base_ + "lost"; }

std::string Keys::quarantine(std::string_view key) {
  return std::string(key) + ":quarantine";
}

}  // namespace entitle
