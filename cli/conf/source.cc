#include "cli/conf/source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <glob.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "cli/base/stop.h"

extern char** environ;

namespace entitle::cli {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

std::string folder_of(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string in_folder(const std::string& folder, const std::string& name) {
  return name.starts_with('/') ? name : folder + '/' + name;
}

// Null: the size, or what stands there, is not to be read.
std::optional<std::string> read_all(int fd) {
  std::string text;
  std::array<char, 65536> piece;
  for (;;) {
    const ssize_t got = read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxBytes) {
      errno = EFBIG;
      return std::nullopt;
    }
  }
}

std::string read_file(const std::string& path) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY);
  std::optional<std::string> text;
  if (fd >= 0) text = read_all(fd);
  const int why = errno;
  if (fd > STDIN_FILENO) close(fd);
  if (!text) {
    throw Stop(Exit::cannot_tell,
               fmt::format("cannot read \"{}\": {}", path, strerror(why)));
  }
  return *std::move(text);
}

// Files on disk, by glob(), as nginx does.
class DiskFiles : public ConfFiles {
 public:
  explicit DiskFiles(std::string folder) : folder_(std::move(folder)) {}

  const std::vector<std::string>& paths() const { return paths_; }

  std::vector<ConfFile> included(const std::string& pattern) override {
    const std::string full = in_folder(folder_, pattern);
    std::vector<ConfFile> files;
    if (full.find_first_of("*?[") == std::string::npos) {
      files.push_back({full, read_file(full)});
      paths_.push_back(full);
      return files;
    }
    glob_t found{};
    if (glob(full.c_str(), 0, nullptr, &found) == 0) {
      for (std::size_t i = 0; i < found.gl_pathc; ++i) {
        files.push_back({found.gl_pathv[i], read_file(found.gl_pathv[i])});
        paths_.emplace_back(found.gl_pathv[i]);
      }
    }
    globfree(&found);
    return files;
  }

 private:
  std::string folder_;
  std::vector<std::string> paths_;
};

// Files as `nginx -T` printed them, each once, in the order of their names
// where a pattern means several.
class DumpedFiles : public ConfFiles {
 public:
  explicit DumpedFiles(std::vector<ConfFile> files)
      : files_(std::move(files)), folder_(folder_of(files_.front().path)) {}

  std::vector<ConfFile> included(const std::string& pattern) override {
    const std::string full = in_folder(folder_, pattern);
    std::vector<ConfFile> found;
    for (const ConfFile& file : files_) {
      if (fnmatch(full.c_str(), file.path.c_str(), FNM_PATHNAME | FNM_PERIOD) ==
          0) {
        found.push_back(file);
      }
    }
    const bool one = full.find_first_of("*?[") == std::string::npos;
    if (one && found.empty()) {
      throw Stop(Exit::cannot_tell,
                 fmt::format("\"{}\" is included and not printed", full));
    }
    std::sort(
        found.begin(), found.end(),
        [](const ConfFile& a, const ConfFile& b) { return a.path < b.path; });
    return found;
  }

  const ConfFile& main() const { return files_.front(); }

 private:
  std::vector<ConfFile> files_;
  std::string folder_;
};

ReadConf conf_of_dump(std::vector<ConfFile> dumped, std::string from) {
  std::vector<std::string> paths;
  for (const ConfFile& file : dumped) paths.push_back(file.path);
  DumpedFiles files(std::move(dumped));
  return {read_directives(files.main(), files), std::move(from),
          folder_of(files.main().path), std::move(paths)};
}

struct Pipes {
  std::array<int, 2> ends{-1, -1};
  Pipes() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Stop(Exit::cannot_tell, fmt::format("pipe: {}", strerror(errno)));
    }
  }
  Pipes(const Pipes&) = delete;
  Pipes& operator=(const Pipes&) = delete;
  ~Pipes() {
    for (int end : ends) {
      if (end >= 0) close(end);
    }
  }
  void close_writing() { close(std::exchange(ends[1], -1)); }
};

// What the program writes to standard output; what it says besides goes to a
// file, for when it fails.
struct Ran {
  int status = -1;
  std::string out;
  std::string said;
};

Ran run(const std::string& program, std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  Pipes out;
  std::FILE* said = std::tmpfile();
  if (said == nullptr) {
    throw Stop(Exit::cannot_tell,
               fmt::format("a temporary file: {}", strerror(errno)));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(said), STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr,
                                 argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  Ran ran;
  if (error != 0) {
    ran.said = strerror(error);
  } else {
    out.close_writing();
    ran.out = read_all(out.ends[0]).value_or(std::string());
    waitpid(child, &ran.status, 0);
    lseek(fileno(said), 0, SEEK_SET);
    ran.said = read_all(fileno(said)).value_or(std::string());
  }
  std::fclose(said);
  return ran;
}

std::string first_line_of(std::string_view said) {
  for (std::string_view mark : {"[emerg] ", "[alert] "}) {
    if (std::size_t at = said.find(mark); at != std::string_view::npos) {
      said.remove_prefix(at + mark.size());
      break;
    }
  }
  return std::string(said.substr(0, said.find('\n')));
}

// nginx is rarely on the path of who is not root.
std::string program_of(const std::string& nginx) {
  if (nginx.find('/') != std::string::npos) return nginx;
  const std::string usual = "/usr/sbin/" + nginx;
  return access(usual.c_str(), X_OK) == 0 ? usual : nginx;
}

}  // namespace

ReadConf conf_of_nginx(const std::string& nginx) {
  const std::string program = program_of(nginx);
  Ran ran = run(program, {program, "-T", "-q"});
  std::vector<ConfFile> files = files_of_dump(ran.out);
  if (ran.status != 0 || files.empty()) {
    throw Stop(Exit::cannot_tell,
               fmt::format("\"{} -T\" does not say what nginx runs: {}\n"
                           "Run it as root, or name the configuration with "
                           "--config FILE, or Redis with --redis URL.",
                           program, first_line_of(ran.said)));
  }
  return conf_of_dump(std::move(files), '"' + program + " -T\"");
}

ReadConf conf_of_file(const std::string& path) {
  ConfFile file{path, read_file(path)};
  std::vector<ConfFile> dumped = files_of_dump(file.text);
  if (!dumped.empty()) return conf_of_dump(std::move(dumped), path);
  if (path == "-") file.path = "standard input";
  std::string folder = folder_of(file.path);
  DiskFiles files(folder);
  ReadConf conf{read_directives(file, files), path, std::move(folder)};
  conf.files = files.paths();
  if (path != "-") conf.files.insert(conf.files.begin(), path);
  return conf;
}

std::string read_named_file(const ReadConf& conf, const std::string& name) {
  return read_file(in_folder(conf.folder, name));
}

}  // namespace entitle::cli
