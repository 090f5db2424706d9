// A bounded set of facts of one kind, greatest first. Merging is set union,
// then keep the greatest: commutative, associative, idempotent, whatever the
// kind. A kind declares once, in its struct:
//
//   kName    what its list is called in JSON
//   kBound   how many are kept
//   key()    facts with one key are one: the greatest of them stays
//   rank()   its order. What it leaves equal is ordered by all members, so that
//            the order is total and merging commutes even where one event was
//            rendered twice (endpoints with different API versions)
//   unknown  members of a later version (core/source/unknown.h)
//
// and, if what one event says may be more each time (and is the last of the
// known members), keep_learned(other), which unites. And, if it has more to
// forget than the least, prune(facts) over all of them, greatest first; which
// must not depend on what was pruned before. Likewise, if some of those beyond
// the bound are to stay, keep_besides(facts).
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace entitle {

// Of two facts with one key the greater; of one rank, all that either says that
// is unknown, or was learned. So the order is that of ranks, of the known
// members within a rank, and of sets within those: a semilattice. True when
// `into` changed.
template <class Fact>
bool join(Fact& into, const Fact& from) {
  if (into == from) return false;
  auto rank_into = into.rank(), rank_from = from.rank();
  if (rank_into > rank_from) return false;
  if (rank_into < rank_from) {
    into = from;
    return true;
  }
  Fact joined = std::max(into, from);
  joined.keep_unknown(into);
  joined.keep_unknown(from);
  if constexpr (requires { joined.keep_learned(from); }) {
    joined.keep_learned(into);
    joined.keep_learned(from);
  }
  bool changed = joined != into;
  into = std::move(joined);
  return changed;
}

// A set of at most one.
template <class Fact>
bool join(std::optional<Fact>& into, const std::optional<Fact>& from) {
  if (!from) return false;
  if (into) return join(*into, *from);
  into = from;
  return true;
}

template <class Fact>
class BoundedSet {
 public:
  using value_type = Fact;

  BoundedSet() = default;
  BoundedSet(std::initializer_list<Fact> facts) { unite(facts); }

  auto begin() const { return facts_.begin(); }
  auto end() const { return facts_.end(); }
  auto rbegin() const { return facts_.rbegin(); }
  auto rend() const { return facts_.rend(); }
  bool empty() const { return facts_.empty(); }
  std::size_t size() const { return facts_.size(); }
  const Fact& front() const { return facts_.front(); }  // the greatest
  const Fact& back() const { return facts_.back(); }
  const Fact& operator[](std::size_t n) const { return facts_[n]; }
  const Fact& at(std::size_t n) const { return facts_.at(n); }

  bool operator==(const BoundedSet&) const = default;

  // True when anything changed.
  bool insert(Fact fact) {
    std::vector<Fact> one;
    one.push_back(std::move(fact));
    return unite(std::move(one));
  }
  bool merge(const BoundedSet& other) { return unite(other.facts_); }
  // All of it at once, in any order.
  bool unite(std::vector<Fact> others);

  // Those of which `forgets(fact, n)` says so; n: its place in the order.
  template <class Forgets>
  void forget(Forgets forgets) {
    std::size_t n = 0;
    std::erase_if(facts_, [&](const Fact& fact) { return forgets(fact, n++); });
  }

 private:
  static bool greater(const Fact& a, const Fact& b) {
    auto rank_a = a.rank(), rank_b = b.rank();
    return rank_a != rank_b ? rank_a > rank_b : a > b;
  }

  bool take(const std::vector<Fact*>& all);

  std::vector<Fact> facts_;
};

template <class Fact>
bool BoundedSet<Fact>::unite(std::vector<Fact> others) {
  if (others.empty()) return false;
  if (facts_.empty() && others.size() == 1) {
    facts_ = std::move(others);
    return true;
  }
  // Facts are big: what is sorted is where they are.
  std::vector<Fact*> all;
  all.reserve(facts_.size() + others.size());
  for (Fact& fact : facts_) all.push_back(&fact);
  for (Fact& fact : others) all.push_back(&fact);
  std::stable_sort(all.begin(), all.end(), [](const Fact* a, const Fact* b) {
    return a->key() < b->key();
  });
  // Of those with one key the joined one; one of ours comes before the others.
  std::vector<Fact> joined;
  joined.reserve(others.size());
  bool is_same = true;
  auto last = all.begin();
  for (auto at = all.begin(), next = at; at != all.end(); at = next) {
    next = std::find_if(at + 1, all.end(), [at](const Fact* other) {
      return other->key() != (*at)->key();
    });
    *last = *at;
    bool is_ours = std::less_equal<>()(facts_.data(), *at) &&
                   std::less<>()(*at, facts_.data() + facts_.size());
    bool changed = !is_ours;
    if (next - at > 1) {
      Fact& one = joined.emplace_back(**at);
      for (auto other = at + 1; other != next; ++other) {
        changed = join(one, **other) || changed;
      }
      if (changed) *last = &one;
    }
    is_same = is_same && !changed;
    ++last;
  }
  if (is_same) return false;
  all.erase(last, all.end());
  std::sort(all.begin(), all.end(),
            [](const Fact* a, const Fact* b) { return greater(*a, *b); });
  return take(all);
}

// These, which are ours or another's, in their order and within the bound.
template <class Fact>
bool BoundedSet<Fact>::take(const std::vector<Fact*>& all) {
  constexpr bool kPrunes = requires(std::vector<Fact> & some) {
    Fact::prune(some);
  };
  // Whatever is more than there was must be new, unless some is left out.
  const bool leaves_out = kPrunes || all.size() > Fact::kBound;
  std::vector<Fact> before;
  if (leaves_out) before = facts_;
  std::vector<Fact> taken;
  taken.reserve(all.size());
  for (Fact* fact : all) taken.push_back(std::move(*fact));
  if constexpr (kPrunes) Fact::prune(taken);
  if (taken.size() > Fact::kBound) {
    if constexpr (requires { Fact::keep_besides(taken); }) {
      std::vector<Fact> besides = Fact::keep_besides(taken);
      taken.erase(taken.begin() + Fact::kBound, taken.end());
      std::move(besides.begin(), besides.end(), std::back_inserter(taken));
    } else {
      taken.erase(taken.begin() + Fact::kBound, taken.end());
    }
  }
  facts_ = std::move(taken);
  return !leaves_out || facts_ != before;
}

}  // namespace entitle
