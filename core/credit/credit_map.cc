#include "core/credit/credit_map.h"

#include <algorithm>
#include <set>

#include "core/base/ascii.h"
#include "core/base/decimal.h"

namespace entitle {

bool is_credit_name(std::string_view text) {
  constexpr std::size_t kMost = 64;
  constexpr std::string_view kSigns = "._-";
  return !text.empty() && text.size() <= kMost &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_alphanumeric(c) || kSigns.find(c) != kSigns.npos;
         });
}

std::optional<std::pair<Identifier, std::int64_t>> parse_credit(
    std::string_view text) {
  const std::size_t at = text.rfind('=');
  if (at == text.npos) return std::nullopt;
  std::optional<Identifier> identifier = Identifier::parse(text.substr(0, at));
  std::optional<std::int64_t> credits = parse_cost(text.substr(at + 1));
  if (!identifier || !credits || *credits == 0) return std::nullopt;
  return std::pair(*std::move(identifier), *credits);
}

std::optional<std::int64_t> parse_cost(std::string_view text) {
  return parse_decimal<std::int64_t>(text, kMostCredits);
}

bool CreditMap::add(std::string_view account, const Identifier& identifier,
                    std::int64_t credits, bool per_period) {
  auto at = by_name_.find(account);
  if (at == by_name_.end()) {
    at = by_name_.emplace(std::string(account), CreditLines{}).first;
  }
  CreditLines& lines = at->second;
  auto& kind = per_period ? lines.period : lines.once;
  return kind.emplace(identifier, credits).second;
}

const CreditLines* CreditMap::find(std::string_view account) const {
  auto at = by_name_.find(account);
  return at == by_name_.end() ? nullptr : &at->second;
}

std::vector<std::string> CreditMap::names() const {
  std::vector<std::string> names;
  for (const auto& [name, lines] : by_name_) names.push_back(name);
  return names;
}

std::vector<Identifier> CreditMap::identifiers() const {
  std::set<Identifier> all;
  for (const auto& [name, lines] : by_name_) {
    for (const auto& [identifier, credits] : lines.once) all.insert(identifier);
    for (const auto& [identifier, credits] : lines.period) {
      all.insert(identifier);
    }
  }
  return {all.begin(), all.end()};
}

}  // namespace entitle
