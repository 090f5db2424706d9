// Redis' wire protocol, RESP2: commands to bytes, bytes to replies.
// Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
// Reading is hiredis' redisReader, fed any number of bytes at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/redis/reply.h"

struct redisReader;
struct redisReplyObjectFunctions;

namespace entitle {

// Appends the command to `out`, so that several go out in one write.
void append_command(std::string& out, const Command& command);

// Replies out of a stream of bytes. After a protocol error the connection it
// reads from is of no use: every further call says the same.
class ReplyReader {
 public:
  // Nobody's record is this big; a server that says so is broken or hostile.
  static constexpr std::size_t kMaxUnreadBytes = 4 << 20;
  static constexpr int kMaxElements = 1 << 18;  // of one array
  // Nesting is bounded by hiredis: 7 levels.

  // too_big: a protocol error, too, but one that says which reply it is about:
  // the one after those that were got.
  enum class Result { got, need_more, too_big, protocol_error };

  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  void feed(std::string_view bytes);
  // `reply` is set only when the result is `got`.
  Result next(Reply& reply);
  // After too_big and protocol_error: why, without any of the bytes' content.
  const std::string& error() const { return error_; }

 private:
  Result fail(Result how, std::string_view why);

  redisReader* reader_;
  bool too_many_ = false;  // elements
  Result failed_ = Result::need_more;
  std::string error_;
};

}  // namespace entitle
