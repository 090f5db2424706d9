#include "core/access/fold.h"

#include <algorithm>
#include <set>

#include "core/access/projection.h"

namespace entitle {
namespace {

using State = Projection::State;

// When it ceased to give anything under any policy whose graces are below
// kKeptAfterEnd; null: it may give something, or may again.
std::optional<UnixTime> ended_at(const Projection& projection, UnixTime newest,
                                 UnixTime now) {
  switch (projection.state) {
    case State::ended:
    case State::not_paid:
      return newest;
    case State::provisional:
    case State::past_due:
      if (now - projection.since <= kKeptAfterEnd) return std::nullopt;
      return newest;
    case State::active:
    case State::ending:
      if (projection.end == kForever || now - projection.end <= kKeptAfterEnd) {
        return std::nullopt;
      }
      return std::max(newest, projection.end);
    case State::paid:
    case State::refunded:
    case State::disputed:
      return std::nullopt;
  }
  return std::nullopt;
}

struct Ended {
  UnixTime at;
  std::string id;
  auto operator<=>(const Ended&) const = default;
};

// What ended, the longest ago first. Payments that belong to a session stay as
// long as it does; a deleted customer stays while anything of it does.
std::vector<Ended> ended_sources(const Sources& sources, UnixTime now) {
  std::set<std::string, std::less<>> needed;
  for (const auto& [id, source] : sources) {
    for (const SessionFact& fact : source.sessions) {
      needed.insert(fact.payment_intent);
    }
    if (source.place != id) needed.insert(source.place);
  }
  std::vector<Ended> ended;
  std::set<std::string, std::less<>> projected;
  for (const Projection& projection : project(sources)) {
    projected.insert(projection.source);
    const Source& source = sources.find(projection.source)->second;
    if (needed.contains(projection.source)) continue;
    if (auto at = ended_at(projection, source.newest(), now)) {
      ended.push_back({*at, projection.source});
    }
  }
  for (const auto& [id, source] : sources) {
    if (projected.contains(id) || needed.contains(id)) continue;
    ended.push_back({source.newest(), id});
  }
  std::sort(ended.begin(), ended.end());
  return ended;
}

}  // namespace

std::size_t fold(Sources& sources, UnixTime now) {
  std::size_t before = sources.size();
  for (const Ended& ended : ended_sources(sources, now)) {
    if (now - ended.at > kKeptAfterEnd || sources.size() > kMaxSources) {
      sources.erase(ended.id);
    }
  }
  return before - sources.size();
}

}  // namespace entitle
