#include "cli/base/textfile.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "cli/base/stop.h"

namespace entitle::cli {

std::string gauge_heading(const char* metric, const char* help) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", metric, help);
}

void write_textfile(const std::string& path, const std::string& text) {
  const std::string making = path + ".new";
  {
    std::ofstream out(making);
    out << text;
    out.flush();
    if (!out) {
      throw Stop(Exit::cannot_tell, fmt::format("cannot write \"{}\"", making));
    }
  }
  std::error_code error;
  std::filesystem::rename(making, path, error);
  if (error) {
    throw Stop(Exit::cannot_tell,
               fmt::format("cannot write \"{}\": {}", path, error.message()));
  }
}

}  // namespace entitle::cli
