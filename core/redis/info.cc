#include "core/redis/info.h"

#include <algorithm>

namespace entitle {

std::string_view info_field(std::string_view info, std::string_view field) {
  for (std::size_t at = 0; at < info.size();) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    at = end + 1;
    if (line.starts_with(field) && line.substr(field.size(), 1) == ":") {
      line.remove_prefix(field.size() + 1);
      return line.substr(0, line.find('\r'));
    }
  }
  return {};
}

}  // namespace entitle
