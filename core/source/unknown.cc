#include "core/source/unknown.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "core/json/reader.h"

namespace entitle {
namespace {

// Many more than any kind of fact has; a later version has a bound of its own.
constexpr std::size_t kMaxElements = 1024;

std::vector<std::string> elements_of(std::string_view list) {
  std::vector<std::string> elements;
  JsonReader in(list);
  in.array([&] { in.value(elements.emplace_back()); });
  return elements;
}

std::string united(std::string_view a, std::string_view b) {
  std::vector<std::string> all = elements_of(a);
  for (std::string& one : elements_of(b)) all.push_back(std::move(one));
  std::sort(all.begin(), all.end(), std::greater<>());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() > kMaxElements) all.resize(kMaxElements);
  std::string text;
  json::Writer out(text);
  out.begin_array();
  for (const std::string& one : all) out.raw(one);
  out.end_array();
  return text;
}

std::int64_t created_in(std::string_view object) {
  std::int64_t created = 0;
  JsonReader in(object);
  in.object([&](std::string_view name) {
    std::string value;
    in.value(value);
    if (name != "created") return;
    JsonReader number(value);
    std::int64_t said = 0;
    number.integer(said);
    if (number.finish()) created = said;
  });
  return created;
}

auto rank(std::string_view json) {
  int kind = json.starts_with('[') ? 2 : json.starts_with('{') ? 1 : 0;
  return std::make_tuple(kind, kind == 1 ? created_in(json) : 0, json);
}

std::string join(const std::string& a, const std::string& b) {
  if (a.starts_with('[') && b.starts_with('[')) return united(a, b);
  return rank(a) < rank(b) ? b : a;
}

}  // namespace

std::string& UnknownMembers::at(std::string_view name) {
  auto found =
      std::lower_bound(members_.begin(), members_.end(), name,
                       [](const Member& member, std::string_view wanted) {
                         return member.first < wanted;
                       });
  if (found == members_.end() || found->first != name) {
    found = members_.insert(found, {std::string(name), {}});
  }
  return found->second;
}

const std::string* UnknownMembers::find(std::string_view name) const {
  auto found =
      std::find_if(members_.begin(), members_.end(),
                   [&](const Member& member) { return member.first == name; });
  return found == members_.end() ? nullptr : &found->second;
}

void UnknownMembers::keep(std::string_view name, std::string json) {
  std::string& value = at(name);
  if (value < json) value = std::move(json);
}

void UnknownMembers::merge(const UnknownMembers& other) {
  for (const auto& [name, json] : other.members_) keep(name, json);
}

bool UnknownMembers::merge_facts(const UnknownMembers& other) {
  bool changed = false;
  for (const auto& [name, json] : other.members_) {
    std::string& value = at(name);
    // A list is put in order even where it stands alone.
    std::string joined = value.empty() ? join(json, json) : join(value, json);
    changed |= joined != value;
    value = std::move(joined);
  }
  return changed;
}

void UnknownMembers::write(json::Writer& out) const {
  for (const auto& [name, json] : members_) out.key(name).raw(json);
}

}  // namespace entitle
