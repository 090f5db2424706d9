// How an exchange, a wait for a connection, and a connection itself can end.
#pragma once

namespace entitle {

// `unavailable`: Redis was not reached, or is known not to be. `timed_out`: it
// was, and said nothing in time.
enum class RedisStatus { ok, unavailable, timed_out };

// `lost`: a connection that served was hung up, which says nothing about
// Redis. `refused`: there is none to be had now: the connection was answered
// with an error or closed before it served (maxclients, a password, nobody
// listening). `failed`: Redis was late or spoke rubbish.
enum class Ending { lost, refused, failed };

}  // namespace entitle
