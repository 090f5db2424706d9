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

void add_grant(CLI::App& app, const CommonOptions& common, Run& run) {
  auto options = std::make_shared<GrantOptions>();
  CLI::App* command = add(app, "grant", "gives somebody what nobody paid for",
                          common, run, options, grant);
  command->add_option("USER", options->user, "who gets it")->required();
  command->add_option("NAME", options->name, "the entitlement")->required();
  CLI::Option_group* end = command->add_option_group("until when");
  end->add_option("--for", options->for_, "so long: 12h, 30d, 1y");
  end->add_option("--until", options->until,
                  "until then: 2027-01-31 (its end), 2027-01-31T12:00:00Z");
  end->add_flag("--forever", options->forever, "until it is revoked");
  end->require_option(1);
  add_write_options(command, *options);
  command->get_option("--reason")->required();
}

void add_revoke(CLI::App& app, const CommonOptions& common, Run& run) {
  auto options = std::make_shared<RevokeOptions>();
  CLI::App* command =
      add(app, "revoke", "ends what grant gave", common, run, options, revoke);
  command->add_option("USER", options->user, "whose it is")->required();
  command->add_option("NAME", options->name, "the entitlement")->required();
  add_write_options(command, *options);
}

void add_export(CLI::App& app, const CommonOptions& common, Run& run) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = add(app, "export", "all that is kept, as lines of JSON",
                          common, run, options, export_all);
  command->add_option("FILE", options->file,
                      "where to; without, or -, standard output");
}

void add_restore(CLI::App& app, const CommonOptions& common, Run& run) {
  auto options = std::make_shared<RestoreOptions>();
  CLI::App* command =
      add(app, "restore", "puts back what export wrote, beside what is there",
          common, run, options, restore);
  command->add_option("FILE", options->file, "where from; - is standard input")
      ->required();
  add_write_options(command, *options);
}

}  // namespace

void add_writing_commands(CLI::App& app, const CommonOptions& common,
                          Run& run) {
  add_link(app, common, run);
  add_grant(app, common, run);
  add_revoke(app, common, run);
  add_export(app, common, run);
  add_restore(app, common, run);
}

}  // namespace entitle::cli
