#include "cli/conf/directive.h"

#include <fmt/format.h>

#include <utility>

#include "cli/base/stop.h"
#include "cli/conf/statement.h"
#include "core/base/ascii.h"

namespace entitle::cli {
namespace {

constexpr int kMaxDepth = 64;  // of blocks and of includes in one another

class TreeReader {
 public:
  TreeReader(const ConfFile& file, ConfFiles& files, int depth)
      : file_(file), files_(files), reader_(file.text), depth_(depth) {}

  void read_file(std::vector<Directive>& into) { read(into, false, 0); }

 private:
  void read(std::vector<Directive>& into, bool in_block, int depth);
  void read_block(Directive& directive, int depth);
  void include(const Directive& directive, std::vector<Directive>& into);
  [[noreturn]] void refuse(std::string_view why) {
    throw Stop(Exit::cannot_tell,
               fmt::format("{} in {}:{}", why, file_.path, reader_.line()));
  }

  const ConfFile& file_;
  ConfFiles& files_;
  StatementReader reader_;
  int depth_;
};

void TreeReader::include(const Directive& directive,
                         std::vector<Directive>& into) {
  if (directive.words.size() != 2) refuse("\"include\" takes one file");
  if (depth_ + 1 > kMaxDepth) refuse("includes go in circles");
  for (const ConfFile& file : files_.included(directive.words[1])) {
    TreeReader(file, files_, depth_ + 1).read_file(into);
  }
}

void TreeReader::read_block(Directive& directive, int depth) {
  if (depth > kMaxDepth) refuse("blocks in one another go too deep");
  directive.has_block = true;
  if (directive.name().ends_with("_by_lua_block")) {
    if (!reader_.skip_lua()) refuse("a block of Lua does not end");
    return;
  }
  read(directive.block, true, depth);
}

void TreeReader::read(std::vector<Directive>& into, bool in_block, int depth) {
  for (;;) {
    Statement statement = reader_.next();
    if (statement.end == Statement::End::broken) refuse(reader_.error());
    if (statement.end == Statement::End::file) {
      if (in_block) refuse("unexpected end of file, expecting \"}\"");
      return;
    }
    if (statement.end == Statement::End::closed) {
      if (!in_block) refuse("unexpected \"}\"");
      return;
    }
    Directive directive{
        std::move(statement.words), {}, false, file_.path, statement.line};
    if (statement.end == Statement::End::opened) {
      read_block(directive, depth + 1);
    } else if (directive.name() == "include") {
      include(directive, into);
      continue;
    }
    into.push_back(std::move(directive));
  }
}

constexpr std::string_view kDumpMark = "# configuration file ";

// The path in a line of `nginx -T` that begins a file. Empty: it is none.
std::string_view path_in(std::string_view line) {
  if (!line.starts_with(kDumpMark) || !line.ends_with(':')) return {};
  line.remove_prefix(kDumpMark.size());
  line.remove_suffix(1);
  return line.starts_with('/') ? line : std::string_view();
}

// What `nginx -T` says besides, where both went to one file.
bool said_by_nginx(std::string_view line) {
  return line.empty() || line.starts_with("nginx: ") || is_digit(line.front());
}

}  // namespace

std::vector<Directive> read_directives(const ConfFile& file, ConfFiles& files) {
  std::vector<Directive> directives;
  TreeReader(file, files, 0).read_file(directives);
  return directives;
}

std::vector<ConfFile> files_of_dump(std::string_view dump) {
  std::vector<ConfFile> files;
  while (!dump.empty()) {
    const std::size_t end = dump.find('\n');
    const std::string_view line = dump.substr(0, end);
    dump.remove_prefix(end == std::string_view::npos ? dump.size() : end + 1);
    if (std::string_view path = path_in(line); !path.empty()) {
      files.push_back({std::string(path), {}});
    } else if (!files.empty()) {
      files.back().text += line;
      files.back().text += '\n';
    } else if (!said_by_nginx(line)) {
      return {};
    }
  }
  return files;
}

}  // namespace entitle::cli
