#include "cli/kept/find.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "cli/base/progress.h"
#include "cli/kept/lookup.h"
#include "core/base/percent.h"
#include "core/source/stripe_id.h"

namespace entitle::cli {
namespace {

constexpr int kMostForwards = 8;
constexpr std::chrono::hours kNoLimit{24};

// Through the places it is part of. False: there is no such place.
bool follow(const Context& context, Thing& thing) {
  for (int i = 0; i < kMostForwards; ++i) {
    const std::optional<Place> place = place_of(context, thing.place);
    if (place && !place->exists) return i > 0;
    if (!place) return true;
    const std::optional<Target> rest = place->owner();
    if (!rest || rest->place().empty()) return true;
    thing.place = rest->place();
  }
  return true;
}

// By source: the place it is said to be kept in.
using Found = std::map<std::string, std::string, std::less<>>;

struct Hit {
  std::string key;
  std::string source;
};

// The fields that are named after a source.
std::string_view source_in(std::string_view field) {
  constexpr std::array<std::string_view, 4> kinds = {
      "source:", "claims:", "waiting:", "passed_on:"};
  for (std::string_view kind : kinds) {
    if (field.starts_with(kind)) return field.substr(kind.size());
  }
  return {};
}

void look_in_record(Connection& node, const Hit& hit, Found& found) {
  const std::vector<Command> question{
      {"HGET", hit.key, "source:" + hit.source}};
  const Reply text = node.ask(question).front();
  const std::optional<Source> source = Source::decode(text.text);
  if (source && !source->place.empty()) found[hit.source] = source->place;
}

void look(const Context& context, Connection& node,
          const std::vector<std::string>& keys,
          const std::set<std::string, std::less<>>& wanted, Found& found) {
  std::vector<Command> commands;
  for (const std::string& key : keys) commands.push_back({"HKEYS", key});
  const std::vector<Reply> fields = node.ask(commands);
  std::vector<Hit> in_records;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const Reply& field : fields[i].elements) {
      const auto want = wanted.find(source_in(field.text));
      if (want == wanted.end()) continue;
      if (const auto place = name_in_key(context, keys[i], "p:")) {
        found.try_emplace(*want, *place);
      } else if (field.text.starts_with("source:")) {
        in_records.push_back({keys[i], *want});
      }
    }
  }
  for (const Hit& hit : in_records) look_in_record(node, hit, found);
}

Found look_everywhere(const Context& context,
                      const std::set<std::string, std::less<>>& wanted) {
  Found found;
  Progress progress("keys looked at");
  const std::string begin = literal_pattern(context.space() + ":{");
  each_key(context, begin + "[up]:*}", kNoLimit,
           [&](Connection& node, const std::vector<std::string>& keys) {
             look(context, node, keys, wanted, found);
             progress.add(static_cast<std::int64_t>(keys.size()));
             return found.size() < wanted.size();
           });
  return found;
}

}  // namespace

bool is_thing(std::string_view text) {
  const StripeId id(text);
  if (!is_object_id(id.id())) return false;
  if (!id.account().empty() && !AccountId::parse(id.account())) return false;
  constexpr std::array<std::string_view, 7> kinds = {
      "cus_", "acct_", "sub_", "cs_", "pi_", "in_", "ch_"};
  return std::any_of(kinds.begin(), kinds.end(), [&](std::string_view kind) {
    return id.id().starts_with(kind);
  });
}

std::vector<Thing> find_things(const Context& context,
                               const std::vector<std::string>& asked) {
  std::vector<Thing> things;
  std::set<std::string, std::less<>> wanted;
  for (const std::string& text : asked) {
    Thing& thing = things.emplace_back();
    thing.asked = thing.place = text;
    const std::string_view id = StripeId(text).id();
    const bool customer = id.starts_with("cus_") || id.starts_with("acct_");
    if (!customer) thing.source = text;
    if (!id.starts_with("sub_")) thing.known = follow(context, thing);
    if (!customer && !thing.known) wanted.insert(text);
  }
  if (wanted.empty()) return things;
  const Found found = look_everywhere(context, wanted);
  for (Thing& thing : things) {
    const auto place = found.find(thing.asked);
    if (thing.known || place == found.end()) continue;
    thing.known = true;
    thing.place = place->second;
    follow(context, thing);
  }
  return things;
}

std::optional<std::string> name_in_key(const Context& context,
                                       std::string_view key,
                                       std::string_view kind) {
  const std::string begin = context.space() + ":{" + std::string(kind);
  if (!key.starts_with(begin) || !key.ends_with('}')) return std::nullopt;
  key.remove_prefix(begin.size());
  key.remove_suffix(1);
  return percent_decode(key);
}

}  // namespace entitle::cli
