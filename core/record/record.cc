#include "core/record/record.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/record/fields.h"

namespace entitle {
namespace {

bool read_field(Record& record, std::string_view name,
                const std::string& text) {
  if (name.starts_with("source:")) {
    std::optional<Source> source = Source::decode(text);
    if (!source) return false;
    record.sources.insert_or_assign(std::string(name.substr(7)),
                                    *std::move(source));
    return true;
  }
  if (name.starts_with("place:")) {
    std::optional<PlaceMark> mark = PlaceMark::decode(text);
    if (!mark) return false;
    record.places.insert_or_assign(std::string(name.substr(6)), *mark);
    return true;
  }
  if (name == "place_floor") return read_integer(text, record.place_floor);
  if (name == "format") return read_integer(text, record.format);
  if (name == "version") return read_integer(text, record.version);
  if (name == "not_before") return read_time(text, record.not_before);
  if (name == "updated") return read_time(text, record.updated);
  return true;
}

}  // namespace

std::string PlaceMark::encode() const {
  return std::to_string(epoch) + (live ? " live" : " gone") + more;
}

std::optional<PlaceMark> PlaceMark::decode(std::string_view text) {
  PlaceMark mark;
  std::size_t space = text.find(' ');
  if (space == std::string_view::npos ||
      !read_integer(text.substr(0, space), mark.epoch)) {
    return std::nullopt;
  }
  text.remove_prefix(space);
  mark.live = text.starts_with(" live");
  if (!mark.live && !text.starts_with(" gone")) return std::nullopt;
  text.remove_prefix(5);
  if (!text.empty() && text.front() != ' ') return std::nullopt;
  mark.more = text;
  return mark;
}

std::int64_t Record::seen_epoch(std::string_view place) const {
  auto mark = places.find(place);
  return mark == places.end() ? place_floor : mark->second.epoch;
}

void Record::bound_marks(std::string_view place) {
  if (places.size() <= kMaxMarks) return;
  using Mark = std::pair<std::int64_t, std::string>;
  std::vector<Mark> least;
  for (const auto& [id, mark] : places) {
    if (id != place) least.emplace_back(mark.epoch, id);
  }
  std::sort(least.begin(), least.end());
  least.resize(std::min(least.size(), places.size() - kMaxMarks));
  for (const auto& [epoch, id] : least) {
    place_floor = std::max(place_floor, epoch);
    places.erase(id);
  }
}

std::optional<Record> Record::decode(const Reply& hgetall) {
  Record record;
  bool read = each_field(
      hgetall, [&](const std::string& field, const std::string& text) {
        record.bytes += field.size() + text.size();
        return read_field(record, field, text);
      });
  if (!read) return std::nullopt;
  record.exists = !hgetall.elements.empty();
  return record;
}

}  // namespace entitle
