#include "core/delivery/logout.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/rising.h"
#include "core/json/writer.h"
#include "core/record/record.h"
#include "core/redis/transaction.h"

namespace entitle {
namespace {

std::string log_line(UnixTime now, std::int64_t version) {
  std::string line;
  json::Writer(line)
      .begin_object()
      .number("time", to_unix(now))
      .text("type", "logout")
      .number("version", version)
      .end_object();
  return line;
}

constexpr std::size_t kForLog = 2;  // of the writes, the last

std::vector<Command> writes(const Keys& keys, const User& user,
                            const Record& record, UnixTime now) {
  const std::string key = keys.record(user);
  const std::string log = keys.log(user);
  const std::string time = std::to_string(to_unix(now));
  const UnixTime next = now + Seconds{1};
  const UnixTime not_before = std::max(record.not_before.value_or(next), next);
  std::vector<Command> commands;
  commands.push_back({"HSET", key, "not_before",
                      std::to_string(to_unix(not_before)), "updated", time});
  if (may_rise(record.version)) {
    commands.push_back({"HINCRBY", key, "version", "1"});
  }
  commands.push_back({"LPUSH", log, log_line(now, risen(record.version))});
  commands.push_back({"LTRIM", log, "0", "99"});
  return commands;
}

LogoutResult failure(std::string why) {
  return {LoggedOut::failed, 0, std::move(why)};
}

}  // namespace

Conversation<LogoutResult> log_out_everywhere(Keys keys, User user,
                                              UnixTime now, std::uint64_t seed,
                                              ReplicaWait wait) {
  Transactions transactions(seed, wait);
  const std::string key = keys.record(user);
  do {
    auto watching = transactions.watch(key);
    Reply read = co_await watching;
    if (read.is_error()) co_return failure(read.text);
    std::optional<Record> record = Record::decode(read);
    if (!record) co_return failure("the record cannot be read");
    if (!record->exists) co_return LogoutResult{LoggedOut::no_record, 0, {}};

    auto committing =
        transactions.commit(key, writes(keys, user, *record, now), kForLog);
    CommitReply reply = co_await committing;
    if (reply.status == Commit::refused) co_return failure(reply.error);
    if (reply.status == Commit::committed) {
      co_return LogoutResult{LoggedOut::everywhere, risen(record->version), {}};
    }
  } while (transactions.try_again());
  co_return failure("the record changes too often");
}

}  // namespace entitle
