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
