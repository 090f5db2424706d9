#include "core/stripe/event.h"

#include "core/base/ascii.h"
#include "core/json/tree.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

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
  return !text.empty() && text.size() <= 255 && all_visible(text);
}

// Whose the objects are. Taking another account's event for our own would let
// its prices stand for ours, so what is no account id is no event. An
// organisation's destination says it in `context` alone, where a connected
// account stands behind its platform: acct_1/acct_2.
std::string read_account(const json::Node* root, EventHead& head) {
  for (const char* member : {"account", "context"}) {
    const json::Node* said = json::member(root, member);
    if (said == nullptr || json::is_null(said)) continue;
    std::string_view text =
        json::is_string(said) ? said->text() : std::string_view();
    std::size_t slash = text.rfind('/');
    if (slash != std::string_view::npos) text.remove_prefix(slash + 1);
    std::optional<AccountId> whose = AccountId::parse(text);
    if (!whose) return std::string(member) + " is no account id";
    head.account = *std::move(whose);
    if (member == std::string_view("context")) head.context = said->text();
    return {};
  }
  return {};
}

// What a thin event does not have: an account, an object, and what it was. What
// is wrong with it; empty: nothing.
std::string read_snapshot(const json::Node* root, Event& event) {
  if (!json::boolean(root, "livemode")) return "no livemode";
  if (!stripe::time(root, "created")) return "no creation time";
  if (std::string fault = read_account(root, event.head); !fault.empty()) {
    return fault;
  }
  const json::Node* data = json::member(root, "data");
  event.object = json::member(data, "object");
  if (!json::is_object(event.object)) return "no object in data";
  const json::Node* previous = json::member(data, "previous_attributes");
  if (json::is_object(previous)) event.previous = previous;
  return {};
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
  json::Error why;
  std::optional<json::Document> document =
      json::parse(text, kMaxEventDepth, why);
  if (!document) {
    return refuse(
        EventError::body_not_json,
        std::string(why.reason) + " at byte " + std::to_string(why.at));
  }
  ParsedEvent parsed = event_at(document->root());
  if (parsed.event) parsed.event->document = *std::move(document);
  return parsed;
}

ParsedEvent event_at(const json::Node* root) {
  if (!json::is_object(root)) return not_an_event("not an object");

  Event event;
  std::string_view id = json::string(root, "id");
  if (!id.starts_with("evt_") || !is_object_id(id)) {
    return not_an_event("no event id");
  }
  event.head.id = id;
  std::string_view type = json::string(root, "type");
  if (!is_type_name(type)) return not_an_event(event.head.id + ": no type");
  event.head.type = type;
  event.head.livemode = json::boolean(root, "livemode").value_or(false);
  event.head.created = stripe::time(root, "created").value_or(unix_time(0));

  std::string_view kind = json::string(root, "object");
  if (kind.starts_with("v2.")) {
    event.thin = true;
  } else if (kind != "event") {
    return not_an_event(event.head.id + ": \"object\" is not \"event\"");
  } else if (std::string fault = read_snapshot(root, event); !fault.empty()) {
    return not_an_event(event.head.id + ": " + fault);
  }

  ParsedEvent parsed;
  parsed.event = std::move(event);
  return parsed;
}

}  // namespace entitle
