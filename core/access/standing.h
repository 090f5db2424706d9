// Where a user stands: what the gate needs of a record, whatever the policy and
// the time, so that it can be cached.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/access/projection.h"
#include "core/base/types.h"
#include "core/record/record.h"

namespace entitle {

struct Standing {
  std::int64_t version = 0;  // 0: no record
  std::optional<UnixTime> not_before;
  std::vector<Projection> projections;
  // Whose identifiers alone are there: KnownIdentifiers::fingerprint(). 0: all.
  std::uint64_t known = 0;
};
Standing standing_of(const Record& record);

}  // namespace entitle
