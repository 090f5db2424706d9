// What an error answer of Redis asks of the client. Only its first word is
// looked at; the rest is prose.
// Source: redis 7.0 src/server.c (createSharedObjects), src/cluster.c
// (clusterRedirectClient), src/acl.c.
#pragma once

#include "core/redis/reply.h"

namespace entitle {

enum class ErrorMeaning {
  none,        // no error at all
  elsewhere,   // READONLY, LOADING, MASTERDOWN: another server is the one to
               // talk to, now or soon: close, ask who it is, reconnect
  redirected,  // MOVED, ASK: core/redis/slots.h
  later,       // TRYAGAIN, CLUSTERDOWN, BUSY, OOM, MISCONF, NOREPLICAS, too
               // many clients: the same command may succeed in a while
  refused,     // NOAUTH, WRONGPASS, NOPERM, NOPROTO: an operator has to act
  wrong,       // WRONGTYPE, ERR and whatever else: this command will never do
};

ErrorMeaning meaning_of(const Reply& reply);

}  // namespace entitle
