#include "core/redis/replication.h"

#include <algorithm>

#include "core/base/decimal.h"
#include "core/redis/info.h"

namespace entitle {

std::optional<Replication> parse_replication(std::string_view info) {
  const std::string_view role = info_field(info, "role");
  Replication result;
  result.primary = role == "master";
  result.linked = info_field(info, "master_link_status") == "up";
  result.history = info_field(info, "master_replid");
  // A replica's master_repl_offset may be ahead of what it has applied.
  const auto offset = parse_decimal<std::int64_t>(info_field(
      info, result.primary ? "master_repl_offset" : "slave_repl_offset"));
  if ((!result.primary && role != "slave") || result.history.empty() ||
      !offset) {
    return std::nullopt;
  }
  result.offset = *offset;
  return result;
}

void PrimaryMarks::note(const Replication& primary, MonoTime until) {
  if (!primary.primary) return;
  marks_.push_front({primary.history, primary.offset, until});
  if (marks_.size() > kMost) marks_.pop_back();
}

std::optional<MonoTime> PrimaryMarks::readable_until(const Replication& replica,
                                                     MonoTime now) {
  std::erase_if(marks_, [=](const Mark& mark) { return mark.until <= now; });
  if (replica.primary || !replica.linked) return std::nullopt;
  const auto reached =
      std::find_if(marks_.begin(), marks_.end(), [&](const Mark& mark) {
        return mark.history == replica.history && mark.offset <= replica.offset;
      });
  if (reached == marks_.end()) return std::nullopt;
  return reached->until;
}

}  // namespace entitle
