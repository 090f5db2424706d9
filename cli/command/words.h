// The words of the command line. What a command takes is said here and in the
// files words_*.cc, and nowhere else: --help, the man page and the completions
// come of it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "cli/command/command.h"
#include "cli/kept/context.h"

namespace entitle::cli {

using Run = std::function<Answer()>;

// Adds a command; `act` is what it does when it is the one that was named.
template <class Options, class Act>
CLI::App* add(CLI::App& app, const char* name, const char* about,
              const CommonOptions& common, Run& run,
              std::shared_ptr<Options> options, Act act) {
  CLI::App* command = app.add_subcommand(name, about);
  command->callback([&common, &run, options, act] {
    run = [&common, options, act] {
      return act(Context(common), *options, common.json);
    };
  });
  return command;
}

// Those that write what an operator says.
void add_writing_commands(CLI::App& app, const CommonOptions& common, Run& run);

}  // namespace entitle::cli
