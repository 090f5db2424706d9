// Where a reconcile stands: what it has counted, for the report; and, of one
// that writes, in Redis, so that another can go on where it was cut off.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/kept/context.h"
#include "cli/reconcile/compare.h"

namespace entitle::cli {

// What is walked, in this order. What was given back comes first, so that
// nothing of it is opened for a moment.
enum class Stage {
  refunds,
  disputes,
  subscriptions,
  sessions,
  invoices,
  records,
};
inline constexpr std::size_t kStages = 6;
std::string_view name(Stage stage);

struct Tally {
  std::array<std::int64_t, kStages> looked{};
  std::array<std::int64_t, kDrifts> found{};
  std::array<std::int64_t, kDrifts> healed{};
  std::int64_t unreadable = 0;    // places and records
  std::vector<Finding> findings;  // the first of them

  std::int64_t left(Drift drift) const;
  bool all_is_well() const;
};

// "subscriptions:sub_1": all up to that one is done; "sessions": all before.
struct Cursor {
  Stage stage = Stage::refunds;
  std::string after;
  std::string text() const;
  static std::optional<Cursor> parse(std::string_view text);
};

// The hash `reconcile:progress` and the string `reconcile` (docs/redis.md).
void keep_progress(const Context& context, const Cursor& cursor,
                   const Tally& tally, UnixTime started);
void keep_finished(const Context& context, const Tally& tally, UnixTime started,
                   UnixTime finished);
struct Unfinished {
  Cursor cursor;
  Tally tally;
  UnixTime started{};
};
// Null: none was cut off.
std::optional<Unfinished> unfinished(const Context& context);

}  // namespace entitle::cli
