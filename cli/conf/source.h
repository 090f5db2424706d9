// Where the configuration is read from: what nginx itself says it is
// (`nginx -T`), or a file, which may be that output, too.
#pragma once

#include <string>
#include <vector>

#include "cli/conf/directive.h"

namespace entitle::cli {

struct ReadConf {
  std::vector<Directive> directives;
  std::string from;    // for people
  std::string folder;  // what relative names of files are relative to
  std::vector<std::string> files = {};  // all that it was read from: paths
};

// Runs `nginx -T`. Throws Stop.
ReadConf conf_of_nginx(const std::string& nginx);
// `path`, "-" for standard input. Throws Stop.
ReadConf conf_of_file(const std::string& path);

// The content of a file that a directive names. Throws Stop.
std::string read_named_file(const ReadConf& conf, const std::string& name);

}  // namespace entitle::cli
