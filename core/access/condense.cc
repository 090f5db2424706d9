#include "core/access/condense.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/access/projection.h"

namespace entitle {
namespace {

using State = Projection::State;

// What judge() goes by.
struct Word {
  State state;
  bool disputed;
  UnixTime end;
  UnixTime cancelled;
  UnixTime paused_until;
  UnixTime since;
  auto operator<=>(const Word&) const = default;
};

// With nothing in it that judge() does not look at.
Word word_of(const Projection& projection) {
  Word word{projection.state,        false,     kForever, projection.cancelled,
            projection.paused_until, UnixTime{}};
  switch (projection.state) {
    case State::active:
    case State::ending:
      word.end = projection.end;
      break;
    case State::past_due:
    case State::provisional:
      word.since = projection.since;
      break;
    case State::refunded:
    case State::disputed:
      word.disputed = projection.disputed;
      break;
    case State::paid:
    case State::ended:
    case State::not_paid:
      break;
  }
  return word;
}

// Whether `less` adds nothing to `more`: it never gives for longer, and is
// refused for no reason that is told rather. That it was cancelled is another
// reason than that a grace is over, so of two beginnings only one that was not
// cancelled stands for the other. That it is paused is told before all else.
bool covers(const Word& more, const Word& less) {
  if (more.paused_until > less.paused_until) return false;
  if (more.state == State::paid && more.cancelled == kForever) return true;
  if (more.state != less.state || more.disputed != less.disputed ||
      more.end < less.end) {
    return false;
  }
  if (more.since == less.since) return more.cancelled >= less.cancelled;
  return more.since > less.since && more.cancelled == kForever;
}

void add(std::vector<Word>& words, const Word& word) {
  auto covers_it = [&](const Word& other) { return covers(other, word); };
  if (std::any_of(words.begin(), words.end(), covers_it)) return;
  std::erase_if(words, [&](const Word& other) { return covers(word, other); });
  words.push_back(word);
}

// `feature=x` and `metadata=x` give x without a line.
bool names_what_it_gives(const Identifier& identifier) {
  return !GrantMap().entitlements_of(identifier).empty();
}

}  // namespace

void KnownIdentifiers::add(const GrantMap& grants) {
  for (const Identifier& identifier : grants.identifiers()) {
    known_.insert(identifier);
  }
}

bool KnownIdentifiers::has(const Identifier& identifier) const {
  return known_.contains(identifier) || names_what_it_gives(identifier);
}

// FNV-1a: to tell configurations of one machine apart.
std::uint64_t KnownIdentifiers::fingerprint() const {
  std::uint64_t hash = 0xcbf29ce484222325u;
  auto take = [&](char c) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  };
  for (const Identifier& identifier : known_) {
    for (char c : identifier.str()) take(c);
    take('\n');
  }
  return hash == 0 ? 1 : hash;
}

Standing condense(const Standing& standing, const KnownIdentifiers& known) {
  std::map<Identifier, std::vector<Word>> words;
  for (const Projection& projection : standing.projections) {
    const Word word = word_of(projection);
    for (const Identifier& identifier : projection.identifiers) {
      auto at = words.find(identifier);
      if (at == words.end()) {
        if (!known.has(identifier)) continue;
        at = words.try_emplace(identifier).first;
      }
      add(at->second, word);
    }
  }
  std::map<Word, std::vector<Identifier>> by_word;
  for (const auto& [identifier, all] : words) {
    for (const Word& word : all) by_word[word].push_back(identifier);
  }
  Standing condensed{
      standing.version, standing.not_before, {}, known.fingerprint()};
  for (auto& [word, identifiers] : by_word) {
    Projection projection;
    projection.state = word.state;
    projection.disputed = word.disputed;
    projection.end = word.end;
    projection.cancelled = word.cancelled;
    projection.paused_until = word.paused_until;
    projection.since = word.since;
    projection.identifiers = std::move(identifiers);
    condensed.projections.push_back(std::move(projection));
  }
  return condensed;
}

}  // namespace entitle
