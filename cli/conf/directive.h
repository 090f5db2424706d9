// A configuration as a tree of directives, each with where it stands. Includes
// are followed; nothing else is understood here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace entitle::cli {

struct Directive {
  std::vector<std::string> words;  // the name first
  std::vector<Directive> block;
  bool has_block = false;
  std::string file;
  int line = 0;

  const std::string& name() const { return words.front(); }
  std::string at() const { return file + ':' + std::to_string(line); }
};

struct ConfFile {
  std::string path;
  std::string text;
};

// Where the text of files comes from.
class ConfFiles {
 public:
  ConfFiles() = default;
  ConfFiles(const ConfFiles&) = delete;
  ConfFiles& operator=(const ConfFiles&) = delete;
  virtual ~ConfFiles() = default;
  // Those that an include with this pattern means, in nginx's order. Throws
  // Stop where one cannot be read.
  virtual std::vector<ConfFile> included(const std::string& pattern) = 0;
};

// Throws Stop where nginx would refuse the text, or includes go in circles.
std::vector<Directive> read_directives(const ConfFile& file, ConfFiles& files);

// What `nginx -T` prints, taken apart: the main file first. Empty: it is
// nothing of the kind.
std::vector<ConfFile> files_of_dump(std::string_view dump);

}  // namespace entitle::cli
