// A key or signature that is refused is no error of the process: nginx would
// log whatever is left in OpenSSL's error queue as belonging to the next TLS
// connection. Within this scope the queue ends as it began.
#pragma once

#include <openssl/err.h>

namespace entitle {

class QuietErrors {
 public:
  QuietErrors() { ERR_set_mark(); }
  ~QuietErrors() { ERR_pop_to_mark(); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

}  // namespace entitle
