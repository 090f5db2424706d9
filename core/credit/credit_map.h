// `entitle_credit`: what a purchase or a paid period puts on an account of
// credits.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/source/identifier.h"

namespace entitle {

// What is put on an account, and what one request takes, at most.
inline constexpr std::int64_t kMostCredits = 1'000'000'000'000;

// Of an account: 1-64 letters, digits and . _ -, since it stands in keys and in
// the answers' headers.
bool is_credit_name(std::string_view text);

// `price_...=1000`. Null: no identifier, or no number from 1 to kMostCredits.
std::optional<std::pair<Identifier, std::int64_t>> parse_credit(
    std::string_view text);

// A cost as a variable or an app says it: digits alone, at most kMostCredits.
// Null: anything else.
std::optional<std::int64_t> parse_cost(std::string_view text);

// The lines of one account.
struct CreditLines {
  std::map<Identifier, std::int64_t> once;    // of a purchase
  std::map<Identifier, std::int64_t> period;  // per=period
  bool operator==(const CreditLines&) const = default;
};

class CreditMap {
 public:
  // False: this line is there already.
  bool add(std::string_view account, const Identifier& identifier,
           std::int64_t credits, bool per_period);
  // Null: there is no such account.
  const CreditLines* find(std::string_view account) const;
  std::vector<std::string> names() const;
  // That some line names, each once.
  std::vector<Identifier> identifiers() const;
  bool empty() const { return by_name_.empty(); }

 private:
  std::map<std::string, CreditLines, std::less<>> by_name_;
};

}  // namespace entitle
