// What cannot be read is set aside for whoever mends it, never over what was
// set aside before: that may be what somebody paid for.
#include "core/base/types.h"
#include "core/delivery/parts.h"
#include "core/record/keys.h"

namespace entitle {
namespace {

// Nothing stands there.
Conversation<std::string> free_name(Delivery& delivery, std::string key) {
  std::string name = Keys::quarantine(key);
  std::vector<Command> commands;
  commands.push_back({"EXISTS", name});
  auto asking = delivery.redis.send(key, std::move(commands));
  std::vector<Reply> replies = co_await asking;
  const Reply& there = replies.front();
  if (there.type != Reply::Type::integer || there.integer != 0) {
    name +=
        ':' + std::to_string(delivery.options.now.time_since_epoch().count());
  }
  co_return name;
}

}  // namespace

// Before Redis 6.2 there is no COPY; then there is only the record itself,
// which nobody overwrites.
Conversation<Progress> copy_to_quarantine(Delivery& delivery, std::string key) {
  std::vector<Command> commands;
  commands.push_back({"COPY", key, Keys::quarantine(key)});
  auto copying = delivery.redis.send(key, std::move(commands));
  co_await copying;
  delivery.result.error = "record " + key + " cannot be read";
  co_return Progress::done;
}

Conversation<Commit> move_to_quarantine(Delivery& delivery, std::string key) {
  auto finding = free_name(delivery, key);
  std::string name = co_await finding;
  std::vector<Command> commands;
  commands.push_back({"RENAMENX", key, name});
  auto moving = delivery.redis.commit(key, std::move(commands));
  CommitReply moved = co_await moving;
  delivery.result.error =
      moved.status == Commit::refused
          ? moved.error
          : "place " + key + " could not be read, it is now " + name;
  co_return moved.status;
}

}  // namespace entitle
