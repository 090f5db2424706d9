// The words of the commands that write what an operator says.
#include "cli/command/words.h"

namespace entitle::cli {
namespace {

void add_write_options(CLI::App* command, WriteOptions& options) {
  command->add_flag("--yes", options.yes, "without being asked");
  command->add_option("--by", options.by,
                      "who says so, for the log; else whoever runs it");
  command->add_option("--reason", options.reason, "why, for the log");
}

void add_link(CLI::App& app, const CommonOptions& common, Run& run) {
  auto options = std::make_shared<LinkOptions>();
  CLI::App* command =
      add(app, "link", "says whose something is, before all that events say",
          common, run, options, link);
  command->add_option("WHAT", options->what, "cus_, sub_, cs_, pi_ or in_");
  command->add_option("USER", options->user, "whose it is");
  command->add_option("--csv", options->csv,
                      "a file of lines WHAT,USER or WHAT,USER,REASON; - reads "
                      "standard input");
  command->add_flag("--move", options->move, "also where it is somebody's");
  add_write_options(command, *options);
}

}  // namespace

void add_writing_commands(CLI::App& app, const CommonOptions& common,
                          Run& run) {
  add_link(app, common, run);
}

}  // namespace entitle::cli
