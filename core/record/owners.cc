#include "core/record/owners.h"

namespace entitle {

std::optional<Target> Owners::of(std::string_view source) const {
  if (nobodys.contains(source)) return std::nullopt;
  auto exception = exceptions.find(source);
  return exception == exceptions.end() ? rest : exception->second;
}

std::set<Target> Owners::all() const {
  std::set<Target> owners;
  if (rest) owners.insert(*rest);
  for (const auto& [source, owner] : exceptions) owners.insert(owner);
  return owners;
}

std::set<Target> Owners::concerned_by(const Owners& after) const {
  std::set<Target> concerned;
  auto compare = [&](const std::optional<Target>& was,
                     const std::optional<Target>& is) {
    if (was == is) return;
    if (was) concerned.insert(*was);
    if (is) concerned.insert(*is);
  };
  compare(rest, after.rest);
  auto compare_source = [&](const std::string& source) {
    compare(of(source), after.of(source));
  };
  for (const Owners* owners : {this, &after}) {
    for (const auto& [source, owner] : owners->exceptions) {
      compare_source(source);
    }
    for (const std::string& source : owners->nobodys) compare_source(source);
  }
  return concerned;
}

Sources Owners::share(const Sources& sources, std::string_view place,
                      const Target& owner) const {
  Sources share;
  if (!all().contains(owner)) return share;
  for (const auto& [id, source] : sources) {
    if (of(id) == owner) {
      share.emplace(id, source);
    } else if (id == place && source.deleted) {
      Source ended;
      ended.place = source.place;
      ended.deleted = source.deleted;
      share.emplace(id, std::move(ended));
    }
  }
  return share;
}

}  // namespace entitle
