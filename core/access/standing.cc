#include "core/access/standing.h"

namespace entitle {

Standing standing_of(const Record& record) {
  return {record.version, record.not_before, project(record.sources), 0};
}

}  // namespace entitle
