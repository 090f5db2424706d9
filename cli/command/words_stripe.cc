// The words of the commands that ask Stripe.
#include <memory>
#include <string>

#include "cli/command/stripe.h"
#include "cli/command/words.h"

namespace entitle::cli {
namespace {

void add_stripe_options(CLI::App* command, StripeSettings& stripe) {
  command
      ->add_option("--stripe-key-file", stripe.key_file,
                   "file with a restricted key, one line, that others cannot "
                   "read; else the credential stripe_key, else STRIPE_API_KEY")
      ->group("Stripe");
  command
      ->add_option("--stripe-api", stripe.url,
                   "another server than Stripe's, for tests")
      ->group("Stripe")
      ->capture_default_str();
  command
      ->add_option("--stripe-rate", stripe.rate,
                   "requests a second; Stripe's limit leaves room for ten")
      ->group("Stripe")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void add_walk_options(CLI::App* command, ReconcileOptions& options) {
  add_stripe_options(command, options.stripe);
  command->add_flag("--yes", options.yes, "without being asked");
  command->add_option("--customer", options.customer,
                      "one customer, cus_..., and nothing else");
  command->add_option("--since", options.since,
                      "only what was made since: 7d, 2026-11-01, unix seconds");
  command
      ->add_option_function<std::string>(
          "--resume",
          [&](const std::string& at) {
            options.resume = true;
            options.resume_at = at;
          },
          "goes on where the last one was cut off, or at LIST:ID")
      ->expected(0, 1);
  command->add_option("--metrics", options.metrics,
                      "a file for Prometheus' textfile collector");
  command->add_option("--most", options.most, "how many differences are shown")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

void add_replay(CLI::App& app, const CommonOptions& common,
                std::function<Answer()>& run) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command =
      add(app, "replay",
          "applies events of Stripe's last 30 days, again or at last", common,
          run, options, replay);
  command->add_option("EVENT", options->ids, "events, evt_...");
  command->add_flag("--missing", options->missing,
                    "those that Redis has never heard of");
  command->add_option("--since", options->since,
                      "those since then: 7d, 2026-11-01, unix seconds");
  command->add_option("--through", options->through,
                      "the webhook's URL: signed and posted there");
  command->add_option("--secret-file", options->secret_file,
                      "file with the secret to sign with, else the webhook's");
  command->add_flag("--yes", options->yes, "without being asked");
  add_stripe_options(command, options->stripe);
}

void add_check(CLI::App& app, const CommonOptions& common,
               std::function<Answer()>& run) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command =
      add(app, "check", "whether what a purchase goes through is set up",
          common, run, options, check);
  command->add_option("--url", options->url,
                      "the webhook's URL, where the configuration does not "
                      "tell it");
  command->add_option("--status", options->status,
                      "the URL of entitle_status, likewise");
  command->add_flag("--ping", options->ping,
                    "sends a signed event that changes nothing through the "
                    "whole route; with --stripe, has Stripe send one, too");
  command->add_flag("--stripe", options->with_stripe,
                    "also what Stripe sends where");
  command->add_flag("--fix", options->fix,
                    "adds event types that the endpoint lacks");
  command->add_option("--metrics", options->metrics,
                      "a file for Prometheus' textfile collector");
  command->add_flag("--yes", options->yes, "without being asked");
  add_stripe_options(command, options->stripe);
}

void add_send(CLI::App& app, const CommonOptions& common,
              std::function<Answer()>& run) {
  auto options = std::make_shared<SendOptions>();
  CLI::App* command =
      add(app, "send", "a signed test event to this site's test location",
          common, run, options, send);
  command
      ->add_option("TYPE", options->type,
                   "customer.subscription.created for one; an unknown one "
                   "lists them")
      ->required();
  command->add_option("--user", options->user, "whom it names");
  command->add_option("--of", options->identifier,
                      "what is bought, as entitle_grant has it; else the first "
                      "that a grant names");
  command->add_option("--url", options->url,
                      "the webhook's URL, where the configuration does not "
                      "tell it");
  command->add_option("--secret-file", options->secret_file,
                      "file with the secret to sign with, else the webhook's");
}

void add_setup(CLI::App& app, const CommonOptions& common,
               std::function<Answer()>& run) {
  auto options = std::make_shared<SetupOptions>();
  CLI::App* command =
      add(app, "setup", "what this shop needs at Stripe and in nginx", common,
          run, options, setup);
  command->add_option("--url", options->url,
                      "the URL that Stripe shall send to, where the "
                      "configuration does not tell it");
  command->add_option("--secret-file", options->secret_file,
                      "where a new endpoint's secret is appended");
  command->add_flag("--yes", options->yes,
                    "makes the endpoint, where there is none");
  add_stripe_options(command, options->stripe);
}

}  // namespace

void add_stripe_commands(CLI::App& app, const CommonOptions& common,
                         std::function<Answer()>& run) {
  auto options = std::make_shared<ReconcileOptions>();
  CLI::App* command = add(
      app, "reconcile", "what Stripe says beside what is kept; writes nothing",
      common, run, options, reconcile);
  command->add_flag("--heal", options->heal, "keeps what Stripe says");
  command->add_flag("--import", options->import,
                    "the same, and does not look for what only Redis has: for "
                    "the first time");
  add_walk_options(command, *options);

  options = std::make_shared<ReconcileOptions>();
  options->import = true;
  command = add(app, "import",
                "keeps what Stripe says of customers of before entitle", common,
                run, options, reconcile);
  add_walk_options(command, *options);

  add_replay(app, common, run);
  add_check(app, common, run);
  add_send(app, common, run);
  add_setup(app, common, run);
}

}  // namespace entitle::cli
