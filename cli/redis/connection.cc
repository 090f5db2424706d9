#include "cli/redis/connection.h"

#include <fmt/format.h>

namespace entitle::cli {
namespace {

Command login(Endpoint::Login login, const RedisSettings& settings) {
  if (login == Endpoint::Login::sentinel &&
      !settings.sentinel_password.empty()) {
    return {"AUTH", settings.sentinel_password};
  }
  if (login != Endpoint::Login::redis || settings.password.empty()) return {};
  const std::string& user =
      settings.user.empty() ? settings.address.user : settings.user;
  if (user.empty()) return {"AUTH", settings.password};
  return {"AUTH", user, settings.password};
}

}  // namespace

Connection::Connection(const Endpoint& endpoint, const RedisSettings& settings)
    : endpoint_(endpoint),
      timeout_(settings.timeout),
      stream_(endpoint, settings, Clock::now() + settings.connect_timeout) {
  log_in(settings);
}

void Connection::log_in(const RedisSettings& settings) {
  std::vector<Command> greeting;
  if (Command command = login(endpoint_.login, settings); !command.empty()) {
    greeting.push_back(std::move(command));
  }
  if (endpoint_.db != 0) {
    greeting.push_back({"SELECT", std::to_string(endpoint_.db)});
  }
  greeting.push_back({"CLIENT", "SETNAME", "entitlectl"});
  const std::vector<Reply> replies = ask(greeting);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const std::string& command = greeting[i].front();
    // The name is a courtesy; but who may not log in is told so here, too.
    const bool may_fail = command == "CLIENT" && !replies[i].is_error("NOAUTH");
    if (replies[i].is_error() && !may_fail) {
      throw Unreachable(fmt::format("Redis at {}: {} was answered with \"{}\"",
                                    endpoint_.text(), command,
                                    replies[i].text));
    }
  }
}

std::vector<Reply> Connection::ask(std::span<const Command> commands,
                                   std::chrono::milliseconds more_time) {
  const Clock::time_point until = Clock::now() + timeout_ + more_time;
  std::string bytes;
  for (const Command& command : commands) append_command(bytes, command);
  stream_.write(bytes, until);

  std::vector<Reply> replies;
  std::string piece;
  while (replies.size() < commands.size()) {
    Reply reply;
    switch (reader_.next(reply)) {
      case ReplyReader::Result::got:
        replies.push_back(std::move(reply));
        break;
      case ReplyReader::Result::need_more:
        piece.clear();
        stream_.read(piece, until);
        reader_.feed(piece);
        break;
      default:
        throw Unreachable(
            fmt::format("Redis at {}: {}", endpoint_.text(), reader_.error()));
    }
  }
  return replies;
}

}  // namespace entitle::cli
