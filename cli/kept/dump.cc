#include "cli/kept/dump.h"

#include <algorithm>
#include <array>

#include "core/base/base64url.h"
#include "core/base/percent.h"
#include "core/base/utf8.h"
#include "core/base/version.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

namespace entitle::cli {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Kind = DumpKey::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 8> kKinds = {{
    {Kind::event, "event"},
    {Kind::email, "email"},
    {Kind::parked, "parked"},
    {Kind::unmatched, "unmatched"},
    {Kind::lost, "lost"},
    {Kind::ignored, "ignored"},
    {Kind::webhook, "webhook"},
    {Kind::reconcile, "reconcile"},
}};

// --- bytes -------------------------------------------------------------------

// Text as it is; what is no text as {"base64url":…}.
void write_bytes(json::Writer& out, std::string_view bytes) {
  if (is_utf8(bytes)) {
    out.string(bytes);
  } else {
    out.begin_object().text("base64url", base64url_encode(bytes)).end_object();
  }
}

void read_bytes(JsonReader& in, std::string& into) {
  std::string value;
  in.value(value);
  JsonReader text(value);
  if (value.starts_with('"')) {
    text.string(into);
    if (!text.finish()) in.fail();
    return;
  }
  std::string encoded;
  text.object([&](std::string_view key) {
    if (key != "base64url") return text.fail();
    text.string(encoded);
  });
  const std::optional<std::string> bytes = base64url_decode(encoded);
  if (!text.finish() || !bytes) return in.fail();
  into = *bytes;
}

// Names as they stand in keys, percent-encoded.
void write_pairs(json::Writer& out, std::string_view name, const Pairs& pairs) {
  out.key(name).begin_object();
  for (const auto& [field, value] : pairs) {
    out.key(percent_encode(field));
    write_bytes(out, value);
  }
  out.end_object();
}

void read_name(JsonReader& in, std::string_view encoded, std::string& into) {
  const std::optional<std::string> name = percent_decode(encoded);
  if (!name) return in.fail();
  into = *name;
}

void read_name(JsonReader& in, std::string& into) {
  std::string encoded;
  in.string(encoded);
  read_name(in, encoded, into);
}

void read_pairs(JsonReader& in, Pairs& pairs) {
  in.object([&](std::string_view key) {
    auto& [field, value] = pairs.emplace_back();
    read_name(in, key, field);
    read_bytes(in, value);
  });
}

void read_ttl(JsonReader& in, std::optional<Seconds>& ttl) {
  std::int64_t seconds = 0;
  in.integer(seconds);
  if (seconds <= 0) return in.fail();
  ttl = Seconds{seconds};
}

void write_ttl(json::Writer& out, const std::optional<Seconds>& ttl) {
  if (ttl) out.number("ttl", ttl->count());
}

// --- lines -------------------------------------------------------------------

// Of whatever kind it is, by its first member.
struct Lines {
  std::string kind;
  DumpHead head{};
  KeptHash hash{};
  DumpKey key{};
  DumpEnd end{};
};

void read_member(JsonReader& in, std::string_view name, Lines& line) {
  std::string ignored;
  if (name == "fields" || name == "members") {
    read_pairs(in, name == "fields" ? line.hash.fields : line.key.pairs);
  } else if (name == "log" || name == "names") {
    auto& list = name == "log" ? line.hash.log : line.key.members;
    in.array([&] { read_bytes(in, list.emplace_back()); });
  } else if (name == "ttl") {
    read_ttl(in, line.hash.ttl);
    line.key.ttl = line.hash.ttl;
  } else if (name == "value") {
    read_bytes(in, line.key.value);
  } else if (name == "prefix") {
    in.string(line.head.prefix);
  } else if (name == "mode") {
    in.string(line.head.mode);
  } else if (name == "format") {
    in.integer(line.head.format);
  } else if (name == "time") {
    std::int64_t time = 0;
    in.integer(time);
    line.head.time = unix_time(time);
  } else if (name == "places") {
    in.integer(line.end.places);
  } else if (name == "users") {
    in.integer(line.end.users);
  } else if (name == "others") {
    in.integer(line.end.others);
  } else {
    in.value(ignored);
  }
}

void read_first(JsonReader& in, std::string_view name, Lines& line) {
  line.kind = name;
  if (name == "entitle") {
    std::string what;
    in.string(what);
    if (what != "export") in.fail();
  } else if (name == "place" || name == "user") {
    line.hash.kind =
        name == "place" ? KeptHash::Kind::place : KeptHash::Kind::record;
    read_name(in, line.hash.id);
  } else if (name == "end") {
    bool whole = false;
    in.boolean(whole);
    if (!whole) in.fail();
  } else {
    const auto kind =
        std::find_if(kKinds.begin(), kKinds.end(),
                     [&](const auto& one) { return one.second == name; });
    if (kind == kKinds.end()) return in.fail();
    line.key.kind = kind->first;
    read_name(in, line.key.id);
  }
}

std::string_view name_of(Kind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return {};
}

}  // namespace

std::string encode(const DumpHead& head) {
  std::string text;
  json::Writer(text)
      .begin_object()
      .text("entitle", "export")
      .number("format", head.format)
      .text("prefix", head.prefix)
      .text("mode", head.mode)
      .number("time", to_unix(head.time))
      .text("version", kVersion)
      .end_object();
  return text;
}

std::string encode(const KeptHash& kept) {
  const bool place = kept.kind == KeptHash::Kind::place;
  std::string text;
  json::Writer out(text);
  out.begin_object().text(place ? "place" : "user", percent_encode(kept.id));
  write_pairs(out, "fields", kept.fields);
  write_ttl(out, kept.ttl);
  if (!kept.log.empty()) {
    out.key("log").begin_array();
    for (const std::string& line : kept.log) write_bytes(out, line);
    out.end_array();
  }
  out.end_object();
  return text;
}

std::string encode(const DumpKey& key) {
  std::string text;
  json::Writer out(text);
  out.begin_object().text(name_of(key.kind), percent_encode(key.id));
  if (!key.value.empty()) {
    out.key("value");
    write_bytes(out, key.value);
  }
  write_ttl(out, key.ttl);
  if (!key.members.empty()) {
    out.key("names").begin_array();
    for (const std::string& member : key.members) write_bytes(out, member);
    out.end_array();
  }
  if (!key.pairs.empty()) write_pairs(out, "members", key.pairs);
  out.end_object();
  return text;
}

std::string encode(const DumpEnd& end) {
  std::string text;
  json::Writer(text)
      .begin_object()
      .boolean("end", true)
      .number("places", end.places)
      .number("users", end.users)
      .number("others", end.others)
      .end_object();
  return text;
}

std::optional<DumpLine> decode_dump_line(std::string_view text) {
  Lines line;
  bool first = true;
  JsonReader in(text);
  in.object([&](std::string_view name) {
    if (std::exchange(first, false)) return read_first(in, name, line);
    read_member(in, name, line);
  });
  if (!in.finish() || first) return std::nullopt;
  if (line.kind == "entitle") return line.head;
  if (line.kind == "end") return line.end;
  if (line.kind == "place" || line.kind == "user") {
    if (!is_sound(line.hash)) return std::nullopt;
    return std::move(line.hash);
  }
  return std::move(line.key);
}

}  // namespace entitle::cli
