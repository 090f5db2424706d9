// Random standings for property tests: few ids, so that sources share them,
// and every state, flag and time a projection can have.
#pragma once

#include <iterator>
#include <random>
#include <string>

#include "core/access/projection.h"
#include "core/access/standing.h"
#include "core/base/types.h"
#include "core/source/identifier.h"

namespace entitle::test {

inline constexpr std::int64_t kAround = 1'770'000'000;  // times are near this
inline constexpr std::int64_t kSpread = 1000;

inline UnixTime random_time(std::mt19937_64& random) {
  return unix_time(kAround + static_cast<std::int64_t>(random() % kSpread));
}

inline Identifier random_identifier(std::mt19937_64& random) {
  static const char* const kTypes[] = {
      "price_",    "prod_", "plink_", "lookup_key=", "feature=",
      "metadata=", "plan_", "price=", "metadata.k="};
  std::string text;
  if (random() % 5 == 0) {
    text = "acct_" + std::to_string(random() % 2) + "/";
  }
  text += kTypes[random() % std::size(kTypes)];
  text += static_cast<char>('a' + random() % 4);
  if (random() % 16 == 0) text.append(random() % 130, 'z');
  return *Identifier::parse(text);
}

inline Projection random_projection(std::mt19937_64& random) {
  Projection projection;
  projection.source = "sub_" + std::to_string(random() % 10);
  projection.state = static_cast<Projection::State>(random() % 9);
  if (random() % 4 != 0) projection.end = random_time(random);
  if (random() % 3 == 0) projection.cancelled = random_time(random);
  if (random() % 3 == 0) projection.paused_until = random_time(random);
  if (random() % 12 == 0) projection.paused_until = kForever;
  if (random() % 2 != 0) projection.since = random_time(random);
  projection.disputed = random() % 4 == 0;
  projection.ambiguous = random() % 4 == 0;
  for (std::size_t count = random() % 5; count > 0; --count) {
    projection.identifiers.push_back(random_identifier(random));
  }
  return projection;
}

inline Standing random_standing(std::mt19937_64& random) {
  Standing standing;
  standing.version = static_cast<std::int64_t>(random() >> (random() % 64));
  if (random() % 3 == 0) standing.not_before = random_time(random);
  for (std::size_t count = random() % 5; count > 0; --count) {
    standing.projections.push_back(random_projection(random));
  }
  return standing;
}

}  // namespace entitle::test
