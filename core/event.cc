#include "core/event.h"

#include <algorithm>

#include "core/json.h"

namespace entitle {
namespace {

// jansson recurses and has no depth option: count before it does.
bool deeper_than(std::string_view text, std::size_t limit) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

ParsedEvent refuse(EventError error, std::string detail) {
  ParsedEvent parsed;
  parsed.error = error;
  parsed.detail = std::move(detail);
  return parsed;
}

ParsedEvent not_an_event(std::string detail) {
  return refuse(EventError::not_an_event, std::move(detail));
}

bool is_type_name(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string_view name(EventError error) {
  switch (error) {
    case EventError::body_not_json:
      return "body_not_json";
    case EventError::not_an_event:
      return "not_an_event";
  }
  return "not_an_event";
}

ParsedEvent parse_event(const VerifiedPayload& payload, std::size_t max_bytes) {
  std::string_view text = payload.bytes();
  if (text.size() > max_bytes) {
    return refuse(EventError::body_not_json,
                  "longer than " + std::to_string(max_bytes) + " bytes");
  }
  if (deeper_than(text, kMaxEventDepth)) {
    return refuse(EventError::body_not_json,
                  "nested deeper than " + std::to_string(kMaxEventDepth));
  }
  json_error_t why;
  Json root{json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &why)};
  if (!root) {
    // jansson quotes what it stumbled over after "near": that is the body.
    std::string_view reason = why.text;
    return refuse(EventError::body_not_json,
                  std::string(reason.substr(0, reason.find(" near "))) +
                      " at byte " + std::to_string(why.position));
  }
  if (!json_is_object(root.get())) return not_an_event("not an object");

  Event event;
  std::string_view id = json::string(root.get(), "id");
  if (!id.starts_with("evt_") || !json::is_id(id)) {
    return not_an_event("no event id");
  }
  event.head.id = id;
  std::string_view type = json::string(root.get(), "type");
  if (!is_type_name(type)) return not_an_event(event.head.id + ": no type");
  event.head.type = type;
  event.head.livemode = json::boolean(root.get(), "livemode").value_or(false);
  event.head.created = json::time(root.get(), "created").value_or(unix_time(0));

  std::string_view kind = json::string(root.get(), "object");
  if (kind.starts_with("v2.")) {
    event.thin = true;
  } else if (kind != "event") {
    return not_an_event(event.head.id + ": \"object\" is not \"event\"");
  } else {
    if (!json::boolean(root.get(), "livemode")) {
      return not_an_event(event.head.id + ": no livemode");
    }
    if (!json::time(root.get(), "created")) {
      return not_an_event(event.head.id + ": no creation time");
    }
    const json_t* account = json::member(root.get(), "account");
    if (account && !json_is_null(account)) {
      // Taking a connected account's event for our own would let its prices
      // stand for ours.
      std::string_view account_id = json::id(root.get(), "account");
      if (!account_id.starts_with("acct_") || !json_is_string(account)) {
        return not_an_event(event.head.id + ": account is no account id");
      }
      event.head.account = account_id;
    }
    const json_t* data = json::member(root.get(), "data");
    event.object = json::member(data, "object");
    if (!json_is_object(event.object)) {
      return not_an_event(event.head.id + ": no object in data");
    }
    const json_t* previous = json::member(data, "previous_attributes");
    if (json_is_object(previous)) event.previous = previous;
  }
  event.root = std::move(root);

  ParsedEvent parsed;
  parsed.event = std::move(event);
  return parsed;
}

}  // namespace entitle
