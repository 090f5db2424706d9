// What the answers to WATCH, MULTI ... EXEC mean. Nothing is believed that does
// not fit what was asked: an answer too few, or of another kind, is somebody
// else's, and a transaction that was not opened or not closed is not over.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/redis/reply.h"

namespace entitle {

enum class Commit {
  committed,
  conflict,  // somebody else wrote the key: nothing was written
  refused,   // Redis answered an error, or what does not fit the commands; or
             // it was written, and too few replicas said in time that they
             // have it
};

struct CommitReply {
  Commit status;
  std::string error;   // Redis' words: when refused, or of the dispensable ones
  std::size_t at = 0;  // which of what is written it is about, where one is
};

// Of a whole transaction: MULTI, what is to be written, EXEC. The last
// `dispensable` of what is written may have failed.
CommitReply judge_exec(std::span<const Command> commands,
                       std::span<const Reply> replies,
                       std::size_t dispensable = 0);

// Whether the server may be inside a transaction still, or watch what it
// should not, after these: then the connection is good for nobody any more.
bool leaves_doubt(std::span<const Command> commands,
                  std::span<const Reply> replies);

}  // namespace entitle
