#include "core/delivery/writes.h"

#include "core/access/access.h"
#include "core/base/percent.h"
#include "core/base/rising.h"
#include "core/json/writer.h"
#include "core/record/fields.h"
#include "core/source/claim.h"
#include "core/source/source.h"

namespace entitle {
namespace {

constexpr std::string_view kLogLength = "99";  // LTRIM's last index: 100 lines

// A hash's HSET and HDEL, built up field by field.
class HashWrite {
 public:
  explicit HashWrite(const std::string& key)
      : set_{"HSET", key}, remove_{"HDEL", key} {}

  void set(std::string field, std::string value) {
    set_.push_back(std::move(field));
    set_.push_back(std::move(value));
  }
  void remove(std::string field) { remove_.push_back(std::move(field)); }

  template <class Map, class Encode>
  void map(const std::string& prefix, const Map& before, const Map& after,
           Encode encode) {
    for (const auto& [id, value] : after) {
      auto known = before.find(id);
      if (known == before.end() || known->second != value) {
        set(prefix + id, encode(value));
      }
    }
    for (const auto& [id, value] : before) {
      if (!after.contains(id)) remove(prefix + id);
    }
  }
  void sources(const std::string& prefix, const Sources& before,
               const Sources& after) {
    map(prefix, before, after,
        [](const Source& source) { return source.encode(); });
  }

  bool empty() const { return set_.size() == 2 && remove_.size() == 2; }
  // A later version's number stays.
  void format(std::int64_t before) {
    if (before < kFormat) set("format", std::to_string(kFormat));
  }

  void append_to(std::vector<Command>& commands) && {
    if (set_.size() > 2) commands.push_back(std::move(set_));
    if (remove_.size() > 2) commands.push_back(std::move(remove_));
  }

 private:
  Command set_;
  Command remove_;
};

std::string encoded(const Target& target) { return target.encode(); }

std::string_view view(const Identifier& identifier) { return identifier.str(); }

std::string log_line(UnixTime now, const RecordCause& cause,
                     const RecordWrite& write) {
  std::string text;
  json::Writer line(text);
  line.begin_object()
      .number("time", to_unix(now))
      .text("event", cause.event.id)
      .text("type", cause.event.type)
      .text("outcome", cause.outcome)
      .text("place", cause.place);
  if (!cause.event.by.empty()) line.text("by", cause.event.by);
  if (!cause.event.reason.empty()) line.text("reason", cause.event.reason);
  if (!cause.moved_from.empty()) {
    line.key("moved_from").strings(cause.moved_from, encoded);
  }
  if (cause.moved_to.size() == 1) {
    line.text("moved_to", cause.moved_to.front().encode());
  } else if (!cause.moved_to.empty()) {
    line.key("moved_to").strings(cause.moved_to, encoded);
  }
  line.key("before").strings(write.before, view);
  line.key("after").strings(write.after, view);
  line.number("version", write.version).end_object();
  return text;
}

std::string encode_concerned(const Place& place) {
  std::string text;
  json::Writer out(text);
  out.begin_object().number("epoch", place.epoch).key("holders");
  out.raw(encode_holders(*place.concerned)).end_object();
  return text;
}

}  // namespace

Command keep_place(const Keys& keys, std::string_view id) {
  return {"EXPIRE", keys.place(id), std::to_string(kPlaceLifetime.count())};
}

std::vector<Command> place_commands(const Keys& keys, std::string_view id,
                                    const Place& before, const Place& after) {
  std::string key = keys.place(id);
  HashWrite hash(key);
  if (after.claims != before.claims) {
    hash.set("claims", encode_claims(after.claims));
  }
  if (after.epoch != before.epoch) {
    hash.set("epoch", std::to_string(after.epoch));
  }
  if (after.holders != before.holders) {
    hash.set("holders", encode_holders(after.holders, after.other_holders));
  }
  if (after.concerned) {
    bool same = after.epoch == before.epoch;
    if (!same || after.concerned != before.concerned) {
      hash.set("concerned", encode_concerned(after));
    }
  } else if (before.concerned) {
    hash.remove("concerned");
  }
  if (after.to && after.to != before.to) {
    hash.set("to", after.to->encode());
  }
  if (!after.to && before.to) hash.remove("to");
  hash.map("claims:", before.naming, after.naming, encode_claims);
  hash.map("waiting:", before.waiting, after.waiting, encode_claims);
  hash.map("owner:", before.owned, after.owned, encoded);
  if (after.email && after.email != before.email) {
    hash.set("email", after.email->encode());
  }
  hash.sources("source:", before.sources, after.sources);
  hash.sources("passed_on:", before.passed_on, after.passed_on);
  if (!hash.empty()) hash.format(before.format);

  std::vector<Command> commands;
  std::move(hash).append_to(commands);
  if (!commands.empty() && !is_customer(id)) {
    commands.push_back(keep_place(keys, id));
  }
  return commands;
}

RecordWrite write_record(const DeliveryOptions& options, const User& user,
                         const Record& before, const Record& after,
                         const RecordCause& cause) {
  UnixTime now = seconds_of(options);
  RecordWrite write;
  write.before = effective_identifiers(before.sources, options.policy, now);
  write.after = effective_identifiers(after.sources, options.policy, now);

  std::string key = options.keys.record(user);
  HashWrite hash(key);
  hash.sources("source:", before.sources, after.sources);
  hash.map("place:", before.places, after.places,
           [](const PlaceMark& mark) { return mark.encode(); });
  if (after.place_floor != before.place_floor) {
    hash.set("place_floor", std::to_string(after.place_floor));
  }
  hash.set("updated", std::to_string(to_unix(now)));
  hash.format(before.format);
  write.version = before.version;
  bool made = before.version == 0;
  if (made) {
    // No session is older than the record, so none has to be refreshed.
    write.version = options.now.time_since_epoch().count();
    hash.set("version", std::to_string(write.version));
  }
  std::move(hash).append_to(write.commands);
  if (!made && write.before != write.after && may_rise(write.version)) {
    write.commands.push_back({"HINCRBY", key, "version", "1"});
    write.version++;
  }
  if (!cause.outcome.empty()) {
    std::string log = options.keys.log(user);
    write.commands.push_back({"LPUSH", log, log_line(now, cause, write)});
    write.commands.push_back({"LTRIM", log, "0", std::string(kLogLength)});
    write.for_log = 2;
  }
  return write;
}

}  // namespace entitle
