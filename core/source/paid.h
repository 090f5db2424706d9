// What paid invoices say of a subscription: until when each item is paid for.
#pragma once

#include <optional>

#include "core/source/resolve.h"
#include "core/source/source.h"

namespace entitle {

// Where no event of the subscription itself ever came. Null: no invoice names
// what is paid.
std::optional<ResolvedSubscription> resolve_invoices(const Source& source);

// What was paid no earlier than `decided` was said extends what `resolved` has
// of it, and names nothing new: the subscription's own events do.
void extend_by_invoices(const Source& source, const Snapshot& decided,
                        ResolvedSubscription& resolved);

}  // namespace entitle
