// A customer's features out of the summaries that came: the newest complete
// one and whatever incomplete ones, which only add, named after it. Summaries
// of one second are put in order as in resolve.cc.
#include <algorithm>

#include "core/base/types.h"
#include "core/source/chain.h"
#include "core/source/identifier.h"
#include "core/source/resolve.h"
#include "core/source/source.h"

namespace entitle {
namespace {

using Group = std::vector<const SummaryFact*>;  // of one second
using Identifiers = std::vector<Identifier>;

struct Known {
  Identifiers identifiers;
  bool complete = false;  // nothing is missing: can be compared
  bool ambiguous = false;
};

void add(Identifiers& into, const Identifiers& more) {
  Identifiers both;
  std::set_union(into.begin(), into.end(), more.begin(), more.end(),
                 std::back_inserter(both));
  into = std::move(both);
}

Known after(Known known, const SummaryFact& summary) {
  if (!summary.has_more) return {summary.identifiers, true, false};
  add(known.identifiers, summary.identifiers);
  known.complete = false;
  return known;
}

bool can_follow(bool complete, const Identifiers& before,
                const SummaryFact& next) {
  return !complete || !next.previous || *next.previous == before;
}

// More than kMaxChain of one second: the newest ids stand for them.
Group bounded(Group second) {
  if (second.size() > kMaxChain) second.resize(kMaxChain);
  return second;
}

Known after_second(const Known& known, const Group& second) {
  Group some = bounded(second);
  std::uint8_t last = chain_ends(
      some.size(),
      [&](std::size_t y) {
        return can_follow(known.complete, known.identifiers, *some[y]);
      },
      [&](std::size_t x, std::size_t y) {
        return can_follow(!some[x]->has_more, some[x]->identifiers, *some[y]);
      });

  // Incomplete ones of this second may have come after a complete last one
  // only if they can be last themselves.
  std::optional<Known> least;
  bool ambiguous = false;
  for (std::size_t x = 0; x < some.size(); ++x) {
    if (last != 0 && !(last >> x & 1u)) continue;
    Known end = known;
    for (const SummaryFact* other : second) {
      if (other->has_more) end = after(std::move(end), *other);
    }
    end = after(std::move(end), *some[x]);
    end.ambiguous = false;
    if (!least) {
      least = std::move(end);
      continue;
    }
    if (end.identifiers != least->identifiers) ambiguous = true;
    if (std::make_pair(end.identifiers.size(), end.identifiers) <
        std::make_pair(least->identifiers.size(), least->identifiers)) {
      least = std::move(end);
    }
  }
  least->ambiguous = ambiguous || (second.size() > 1 && known.ambiguous) ||
                     second.size() > some.size();
  return *least;
}

}  // namespace

std::optional<ResolvedFeatures> resolve_features(const Source& source) {
  if (source.summaries.empty()) return std::nullopt;
  Known known;
  for (auto at = source.summaries.rbegin(); at != source.summaries.rend();) {
    UnixTime second = at->created;
    Group group;
    for (; at != source.summaries.rend() && at->created == second; ++at) {
      group.push_back(&*at);
    }
    std::reverse(group.begin(), group.end());  // greatest id first
    known = after_second(known, group);
  }
  return ResolvedFeatures{std::move(known.identifiers), known.ambiguous};
}

}  // namespace entitle
