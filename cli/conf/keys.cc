#include "cli/conf/keys.h"

#include <fmt/format.h>

#include "cli/base/stop.h"
#include "cli/conf/source.h"
#include "core/crypto/secret_file.h"

namespace entitle::cli {

std::vector<std::string> session_keys_of(const Server& server) {
  std::vector<std::string> keys;
  for (const std::string& file : server.key_files) {
    std::string error;
    auto some =
        parse_session_keys(read_named_file(ReadConf{{}, {}, "/"}, file), error);
    if (!some) {
      throw Stop(Exit::cannot_tell, fmt::format("\"{}\": {}", file, error));
    }
    keys.insert(keys.end(), some->begin(), some->end());
  }
  return keys;
}

}  // namespace entitle::cli
