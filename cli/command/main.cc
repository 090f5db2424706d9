// entitlectl: why somebody is in or out, and what support does about it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/base/stop.h"
#include "cli/command/command.h"
#include "cli/command/stripe.h"
#include "cli/command/words.h"
#include "core/base/version.h"

namespace entitle::cli {
namespace {

constexpr const char* kAbout =
    "Says why somebody is in or out, from what Redis and nginx's configuration "
    "say, and does what support needs. It reads what nginx runs (nginx -T), a "
    "--config FILE, or --redis URL alone. docs/entitlectl.md has it all.";

constexpr const char* kExitCodes =
    "Exit codes: 0 fine, 1 found something, 2 usage, 3 cannot tell, 4 refused.";

// --redis and all that entitle_redis_... has, by the same names.
void add_redis_options(CLI::App& app, CommonOptions& common) {
  constexpr std::pair<const char*, const char*> options[] = {
      {"redis", "where Redis is, as entitle_redis has it"},
      {"redis-user", "ACL user"},
      {"redis-password-file", "file with the password, one line"},
      {"redis-sentinel-password-file", "the same, of the Sentinels"},
      {"redis-ssl", "on or off: TLS"},
      {"redis-ssl-verify", "on or off: whether its certificate is checked"},
      {"redis-ssl-name", "the name in its certificate"},
      {"redis-ssl-trusted-certificate", "file with who is trusted"},
      {"redis-ssl-certificate", "file with the certificate to show"},
      {"redis-ssl-certificate-key", "file with its key"},
  };
  for (const auto& [name, about] : options) {
    std::string directive = std::string("entitle_") + name;
    for (char& c : directive) c = c == '-' ? '_' : c;
    app.add_option_function<std::string>(
           std::string("--") + name,
           [&common, directive](const std::string& value) {
             common.redis.emplace_back(directive, value);
           },
           about)
        ->group("Redis");
  }
}

void add_common_options(CLI::App& app, CommonOptions& common) {
  app.add_option("--config", common.config,
                 "nginx's configuration, or what nginx -T printed; - reads "
                 "standard input");
  app.add_option("--nginx", common.nginx, "the nginx to ask for it")
      ->capture_default_str();
  app.add_option("--server", common.server,
                 "the server{} that is meant, by its name");
  app.add_option_function<std::string>(
      "--prefix", [&](const std::string& value) { common.prefix = value; },
      "entitle_redis_prefix");
  app.add_option_function<std::string>(
         "--mode",
         [&](const std::string& value) {
           common.mode = value == "live" ? Mode::live : Mode::test;
         },
         "live or test")
      ->check(CLI::IsMember({"live", "test"}));
  app.add_flag("--json", common.json,
               "the answer as JSON (docs/entitlectl.md)");
  add_redis_options(app, common);
}

void add_most(CLI::App* command, std::size_t& most) {
  command->add_option("--most", most, "how many are shown")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

void add_commands(CLI::App& app, const CommonOptions& common, Run& run) {
  auto asked = std::make_shared<WhyOptions>();
  CLI::App* command =
      add(app, "why", "whether somebody is in, and if not, what is broken",
          common, run, asked, why);
  command->add_option(
      "WHOM", asked->subject,
      "a user, cus_, sub_, cs_, pi_, in_, ch_, evt_ or an e-mail; "
      "u:NAME is a user whatever it looks like");
  command->add_option("--url", asked->url,
                      "a page: which entitle_require of it hold");
  command->add_option("--cookie", asked->cookies,
                      "a file with the line Cookie: that the browser sends: "
                      "what its session is worth");

  auto list = std::make_shared<ListOptions>();
  add_most(add(app, "parked", "what somebody paid for and belongs to nobody",
               common, run, list, parked),
           list->most);
  add_most(
      add(app, "unmatched", "what somebody paid for and no entitle_grant knows",
          common, run, list, unmatched),
      list->most);

  add_writing_commands(app, common, run);

  auto ignored = std::make_shared<IgnoreOptions>();
  command = add(
      app, "ignore",
      "waves through, by name, what is none of this site's; alone, lists it",
      common, run, ignored, ignore);
  command->add_option("NAME", ignored->names,
                      "identifiers, customers, sources or accounts");
  command->add_flag("--remove", ignored->remove,
                    "takes them off the list again");

  auto shown = std::make_shared<EventsOptions>();
  command = add(app, "events", "the events that came last, of a user or of all",
                common, run, shown, events);
  command->add_option("USER", shown->user, "whose; without, everybody's");
  add_most(command, shown->most);

  add_stripe_commands(app, common, run);
}

int end(const Stop& stop, bool as_json) {
  if (as_json) {
    std::string text;
    json::Writer(text)
        .begin_object()
        .text("error", stop.what())
        .number("exit", static_cast<int>(stop.how()))
        .end_object();
    std::puts(text.c_str());
  } else {
    fmt::print(stderr, "entitlectl: {}\n", stop.what());
  }
  return static_cast<int>(stop.how());
}

// What could not be understood is not understood to the end.
bool wants_json(int argc, char** argv) {
  const std::vector<std::string_view> words(argv, argv + argc);
  return std::find(words.begin(), words.end(), "--json") != words.end();
}

int run_command(int argc, char** argv) {
  CommonOptions common;
  Run run;
  CLI::App app(kAbout, "entitlectl");
  app.footer(kExitCodes);
  app.set_version_flag("--version", std::string("entitlectl ") + kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  add_common_options(app, common);
  add_commands(app, common, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;  // --help, --version
    if (!asked && wants_json(argc, argv)) {
      return end(Stop(Exit::usage, error.what()), true);
    }
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  }
  try {
    const Answer answer = run();
    std::fputs(answer.text.c_str(), stdout);
    if (common.json) std::fputc('\n', stdout);
    return static_cast<int>(answer.how);
  } catch (const Stop& stop) {
    return end(stop, common.json);
  }
}

}  // namespace

void write_space(json::Writer& out, const Context& context) {
  out.text("prefix", context.prefix()).text("mode", name(context.mode()));
}

}  // namespace entitle::cli

int main(int argc, char** argv) {
  try {
    return entitle::cli::run_command(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "entitlectl: {}\n", error.what());
    return static_cast<int>(entitle::cli::Exit::cannot_tell);
  }
}
