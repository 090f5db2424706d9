#include "core/source/said_email.h"

#include <cstdint>

#include "core/json/reader.h"
#include "core/json/writer.h"

namespace entitle {

std::string SaidEmail::encode() const {
  std::string json;
  json::Writer out(json);
  out.begin_object()
      .text("is", text)
      .number("at", to_unix(said))
      .text("event", event);
  unknown.write(out);
  out.end_object();
  return json;
}

std::optional<SaidEmail> SaidEmail::decode(std::string_view json) {
  SaidEmail email{};
  std::int64_t at = -1;
  JsonReader in(json);
  in.object([&](std::string_view key) {
    if (key == "is") return in.string(email.text);
    if (key == "at") return in.integer(at);
    if (key == "event") return in.string(email.event);
    std::string value;
    in.value(value);
    email.unknown.keep(key, std::move(value));
  });
  if (!in.finish() || at < 0 || email.text.empty()) return std::nullopt;
  email.said = unix_time(at);
  return email;
}

}  // namespace entitle
