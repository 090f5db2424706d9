// One user's record: read, decide, write, or quarantine.
#include <algorithm>
#include <string>

#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/record/keys.h"
#include "core/record/record.h"
#include "core/source/source.h"

namespace entitle {
namespace {

// What HGETALL answered, as a record; an error of Redis itself is not the
// record's fault.
RecordRead understand(Delivery& delivery, const Reply& reply) {
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    delivery.result.error = reply.text;
    return {Found::failed, {}};
  }
  std::optional<Record> record = Record::decode(reply);
  if (!record) return {Found::unreadable, {}};
  return {Found::read, *std::move(record)};
}

}  // namespace

bool Delivery::says(const Sources& among) const {
  for (const std::string& id : sources) {
    auto source = among.find(id);
    if (source != among.end() && source->second.has_event(event.id)) {
      return true;
    }
  }
  return false;
}

bool Delivery::speaks_of(const Sources& among) const {
  return std::any_of(sources.begin(), sources.end(),
                     [&](const std::string& id) { return among.contains(id); });
}

Sources sources_of(const Record& record, std::string_view place) {
  Sources sources;
  for (const auto& [id, source] : record.sources) {
    if (source.place == place) sources.emplace(id, source);
  }
  return sources;
}

bool includes(const Sources& all, const Sources& some) {
  Sources both = all;
  return !merge(both, some);
}

Conversation<RecordRead> read_record(Delivery& delivery, User user) {
  std::string key = delivery.options.keys.record(user);
  auto reading = delivery.redis.read(key);
  Reply reply = co_await reading;
  RecordRead read = understand(delivery, reply);
  if (read.found == Found::unreadable) {
    auto copying = copy_to_quarantine(delivery, key);
    co_await copying;
  }
  co_return read;
}

Conversation<Edited> edit_record(Delivery& delivery, User user,
                                 const Editor& editor, EditReason reason,
                                 PlaceReport& report) {
  std::string key = delivery.options.keys.record(user);
  for (;;) {
    auto reading = delivery.redis.watch(key);
    Reply reply = co_await reading;
    RecordRead read = understand(delivery, reply);
    if (read.found == Found::failed) co_return Edited::failed;
    if (read.found == Found::unreadable) {
      auto copying = copy_to_quarantine(delivery, key);
      co_await copying;
      co_return Edited::unreadable;
    }

    Record after = read.record;
    Edit edit = editor(read.record, after);
    if (edit.action == Edit::Action::refuse) co_return Edited::refused;
    after.bound_marks(reason.place);
    RecordCause cause{delivery.event, reason.place, edit.logged_as,
                      reason.moved_from, reason.moved_to};
    RecordWrite write =
        write_record(delivery.options, user, read.record, after, cause);
    bool writes = edit.action == Edit::Action::write ||
                  (read.record.exists && delivery.options.touch_duplicates);
    if (writes) {
      auto committing =
          delivery.redis.commit(key, std::move(write.commands), write.for_log);
      CommitReply reply_to_commit = co_await committing;
      if (reply_to_commit.status == Commit::refused) {
        delivery.result.error = reply_to_commit.error;
        co_return Edited::failed;
      }
      if (reply_to_commit.status == Commit::conflict) {
        if (delivery.redis.try_again()) continue;
        delivery.result.error = "conflicts did not end";
        co_return Edited::failed;
      }
      if (!reply_to_commit.error.empty()) {
        delivery.result.error = "log " + delivery.options.keys.log(user) +
                                " cannot be written: " + reply_to_commit.error;
      }
      after.version = write.version;
      after.exists = true;
    }
    report.record = std::move(after);
    report.sources_before = std::move(read.record.sources);
    report.before = std::move(write.before);
    report.after = std::move(write.after);
    co_return Edited::done;
  }
}

}  // namespace entitle
