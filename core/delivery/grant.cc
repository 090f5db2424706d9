#include "core/delivery/grant.h"

#include <optional>
#include <utility>

#include "core/delivery/parts.h"
#include "core/delivery/room.h"
#include "core/record/record.h"

namespace entitle {
namespace {

constexpr std::string_view kBegin = "grant:";

// Two of one millisecond are two.
std::string new_grant(const EventHead& event, const DeliveryOptions& options) {
  return std::string(kBegin) + event.id + '_' +
         std::to_string(options.jitter_seed % 10'000);
}

// Whatever is decided of the record, in one transaction, logged.
Conversation<GrantResult> edit(EventHead event, User user, Editor editor,
                               std::string place, DeliveryOptions options) {
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  PlaceReport report;
  EditReason reason{place};
  auto editing = edit_record(delivery, user, editor, reason, report);
  Edited edited = co_await editing;
  GrantResult result;
  result.stored = edited == Edited::done;
  result.version = report.record.version;
  result.error = delivery.result.error;
  co_return result;
}

void add(Record& after, const std::string& id, Source source) {
  auto known = after.sources.find(id);
  if (known == after.sources.end()) {
    after.sources.emplace(id, std::move(source));
  } else {
    known->second.merge(source);
  }
}

}  // namespace

bool is_grant(std::string_view source) { return source.starts_with(kBegin); }

bool is_grant_in_force(std::string_view id, const Source& source,
                       UnixTime now) {
  return is_grant(id) && source.granted && !source.deleted &&
         source.granted->until > now;
}

Conversation<GrantResult> grant_to_user(User user,
                                        std::vector<Identifier> identifiers,
                                        UnixTime until, OperatorsWord word,
                                        DeliveryOptions options) {
  EventHead event = operators_event("grant", word, options);
  const std::string id = new_grant(event, options);
  Source source;
  source.place = id;
  source.granted = Granted{until, std::move(identifiers), event.created,
                           word.by, word.reason};
  const char* full = nullptr;
  Editor editor = [&](const Record& before, Record& after) {
    const Added added =
        add_to(before, after, {{id, source}}, id, event.created);
    full = full_of(added.room);
    if (full != nullptr) return Edit{Edit::Action::refuse};
    return Edit{Edit::Action::write, "applied"};
  };
  auto editing = edit(event, user, editor, id, options);
  GrantResult result = co_await editing;
  if (full != nullptr) result.error = "the record" + std::string(full);
  if (result.stored) result.sources.push_back(id);
  co_return result;
}

Conversation<GrantResult> revoke_grants(User user,
                                        std::vector<std::string> sources,
                                        OperatorsWord word,
                                        DeliveryOptions options) {
  EventHead event = operators_event("revoke", word, options);
  std::vector<std::string> ended;
  Editor editor = [&](const Record& before, Record& after) {
    ended.clear();
    for (const std::string& id : sources) {
      auto known = before.sources.find(id);
      if (known == before.sources.end() ||
          !is_grant_in_force(id, known->second, event.created)) {
        continue;
      }
      Source end;
      end.place = id;
      end.deleted = DeletedFact{event.id, event.created};
      add(after, id, std::move(end));
      ended.push_back(id);
    }
    if (ended.empty()) return Edit{Edit::Action::leave};
    return Edit{Edit::Action::write, "applied"};
  };
  const std::string place = sources.empty() ? std::string() : sources.front();
  auto editing = edit(event, user, editor, place, options);
  GrantResult result = co_await editing;
  result.sources = std::move(ended);
  co_return result;
}

}  // namespace entitle
