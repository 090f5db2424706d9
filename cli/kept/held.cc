#include "cli/kept/held.h"

#include "cli/base/text.h"
#include "cli/kept/lookup.h"
#include "core/access/projection.h"

namespace entitle::cli {

const GrantMap& grants_of(const Context& context) {
  static const GrantMap namesakes;
  return context.grants() != nullptr ? *context.grants() : namesakes;
}

std::vector<Entitlement> held_by(const Context& context, const User& user) {
  const std::optional<Record> record = record_of(context, user);
  if (!record) return {};
  return entitlements(project(record->sources), grants_of(context),
                      context.policy(), context.now());
}

std::vector<std::string> held_names(const Context& context, const User& user) {
  std::vector<std::string> names;
  for (const Entitlement& held : held_by(context, user)) {
    names.push_back(printable(held.name));
  }
  return names;
}

}  // namespace entitle::cli
