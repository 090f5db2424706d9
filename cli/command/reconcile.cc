// entitlectl reconcile, entitlectl import: Stripe's truth beside ours.
#include "cli/reconcile/reconcile.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "cli/base/progress.h"
#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/base/textfile.h"
#include "cli/base/when.h"
#include "cli/command/stripe.h"

namespace entitle::cli {
namespace {

constexpr Drift kAll[] = {Drift::missing, Drift::stale,   Drift::extra,
                          Drift::moved,   Drift::unowned, Drift::unmatched};
constexpr Stage kStagesOfAll[] = {Stage::subscriptions, Stage::sessions,
                                  Stage::invoices,      Stage::refunds,
                                  Stage::disputes,      Stage::records};

std::int64_t of(const auto& counts, auto kind) {
  return counts[static_cast<std::size_t>(kind)];
}

// What became of it, beside what it found.
struct Run {
  Walked walked;
  int calls = 0;
  double seconds = 0;
  double cpu = 0;
  bool writes = false;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// --- where it begins ---------------------------------------------------------

void take_beginning(const Context& context, const ReconcileOptions& options,
                    WalkOptions& walk) {
  walk.started = context.now();
  if (!options.resume) return;
  if (!options.resume_at.empty()) {
    walk.from = Cursor::parse(options.resume_at);
    if (!walk.from) {
      throw Stop(Exit::usage, fmt::format("--resume \"{}\" must be LIST or "
                                          "LIST:ID, as it was printed",
                                          printable(options.resume_at)));
    }
    return;
  }
  std::optional<Unfinished> last = unfinished(context);
  if (!last) return;
  walk.from = std::move(last->cursor);
  walk.tally = std::move(last->tally);
  walk.started = last->started;
}

WalkOptions walk_options(const Context& context,
                         const ReconcileOptions& options) {
  WalkOptions walk;
  walk.heal = options.heal || options.import;
  walk.import = options.import;
  walk.customer = options.customer;
  walk.most = options.most;
  if (!options.customer.empty() && !options.customer.starts_with("cus_")) {
    throw Stop(Exit::usage, "--customer takes a customer, cus_...");
  }
  if (!options.since.empty()) {
    walk.since = time_since(options.since, context.now());
  }
  const bool part = walk.since || !options.customer.empty();
  if (part && options.resume) {
    throw Stop(Exit::usage,
               "--resume goes on with all of it: neither --customer nor "
               "--since");
  }
  take_beginning(context, options, walk);
  return walk;
}

// --- what it says ------------------------------------------------------------

std::string text_of_looked(const Tally& tally) {
  std::vector<std::string> words;
  for (Stage stage : kStagesOfAll) {
    const std::int64_t count = of(tally.looked, stage);
    if (count > 0) words.push_back(fmt::format("{} {}", count, name(stage)));
  }
  return words.empty() ? "nothing" : listed(words);
}

std::string text_of_findings(const Tally& tally) {
  Table table({"KIND", "WHAT", "PLACE", "USER", "STRIPE SAYS"});
  std::int64_t all = 0;
  for (Drift drift : kAll) all += of(tally.found, drift);
  for (const Finding& finding : tally.findings) {
    table.add({std::string(name(finding.drift)), printable(finding.source),
               printable(finding.place),
               finding.user ? printable(finding.user->str()) : "-",
               finding.says});
  }
  std::string text = table.text();
  const auto shown = static_cast<std::int64_t>(tally.findings.size());
  if (all > shown) text += fmt::format("... and {} more\n", all - shown);
  return text;
}

std::string text_of_counts(const Run& run) {
  const Tally& tally = run.walked.tally;
  Table table({"KIND", "FOUND", "HEALED", "LEFT"});
  for (Drift drift : kAll) {
    const bool healed = run.writes && can_be_healed(drift);
    table.add({std::string(name(drift)), std::to_string(of(tally.found, drift)),
               healed ? std::to_string(of(tally.healed, drift)) : "-",
               std::to_string(tally.left(drift))});
  }
  return table.text();
}

std::string advice(const Context& context, const Run& run) {
  const Tally& tally = run.walked.tally;
  std::string text;
  bool heals = false;
  for (Drift drift : kAll)
    heals |= can_be_healed(drift) && tally.left(drift) > 0;
  if (heals && !run.writes) {
    text += "-> " + context.command("reconcile --heal") +
            " keeps what Stripe says\n";
  }
  if (tally.left(Drift::unowned) > 0) {
    text +=
        "-> " + context.command("parked") + " says who paid and is nobody\n";
  }
  if (tally.left(Drift::unmatched) > 0) {
    text += "-> " + context.command("unmatched") +
            " says which grants are missing\n";
  }
  if (tally.unreadable > 0) {
    text += fmt::format("{} places or records cannot be read: see the log\n",
                        tally.unreadable);
  }
  return text;
}

std::string text_of(const Context& context, const Run& run) {
  const Tally& tally = run.walked.tally;
  std::string text = fmt::format(
      "Stripe beside {}: {}; {} calls, {:.1f} s, of which {:.2f} s our own.\n",
      context.space(), text_of_looked(tally), run.calls, run.seconds, run.cpu);
  for (const Stage stage : run.walked.begun_anew) {
    text += fmt::format(
        "Where the {} were to go on, Stripe has nothing any more: all of them "
        "were looked at again.\n",
        name(stage));
  }
  if (!run.walked.why.empty()) {
    return text + fmt::format(
                      "Not finished: {}\n-> {} goes on there\n", run.walked.why,
                      context.command(fmt::format("reconcile{} --resume {}",
                                                  run.writes ? " --heal" : "",
                                                  run.walked.cursor.text())));
  }
  if (!tally.findings.empty()) text += '\n' + text_of_findings(tally);
  text += '\n' + text_of_counts(run);
  if (tally.all_is_well()) {
    return text +
           (run.writes ? "All is as Stripe says.\n" : "Nothing differs.\n");
  }
  return text + advice(context, run);
}

void write_counts(json::Writer& out, const Tally& tally) {
  out.key("looked").begin_object();
  for (Stage stage : kStagesOfAll) {
    out.number(name(stage), of(tally.looked, stage));
  }
  out.end_object().key("drift").begin_object();
  for (Drift drift : kAll) {
    out.key(name(drift))
        .begin_object()
        .number("found", of(tally.found, drift))
        .number("healed", of(tally.healed, drift))
        .number("left", tally.left(drift))
        .end_object();
  }
  out.end_object().number("unreadable", tally.unreadable);
}

std::string json_of(const Context& context, const Run& run) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.boolean("finished", run.walked.why.empty()).boolean("writes", run.writes);
  if (!run.walked.why.empty()) {
    out.text("error", run.walked.why).text("resume", run.walked.cursor.text());
  }
  out.key("begun_anew").strings(run.walked.begun_anew, [](Stage stage) {
    return std::string(name(stage));
  });
  write_counts(out, run.walked.tally);
  out.number("calls", run.calls)
      .number("milliseconds", static_cast<std::int64_t>(run.seconds * 1000))
      .number("cpu_milliseconds", static_cast<std::int64_t>(run.cpu * 1000))
      .key("findings")
      .begin_array();
  for (const Finding& finding : run.walked.tally.findings) {
    out.begin_object()
        .text("kind", name(finding.drift))
        .text("source", printable(finding.source))
        .text("place", printable(finding.place));
    if (finding.user) out.text("user", printable(finding.user->str()));
    out.text("says", finding.says).end_object();
  }
  out.end_array().end_object();
  return text;
}

constexpr const char* kLastSuccess =
    "entitle_reconcile_last_success_timestamp_seconds";
constexpr const char* kDriftLeft = "entitle_reconcile_drift";

void write_metrics(const std::string& path, const Context& context,
                   const Tally& tally) {
  const auto now =
      std::chrono::floor<Seconds>(std::chrono::system_clock::now());
  std::string text =
      gauge_heading(kLastSuccess, "When all of it was looked at last.") +
      fmt::format("{}{{mode=\"{}\"}} {}\n", kLastSuccess, name(context.mode()),
                  to_unix(now)) +
      gauge_heading(kDriftLeft,
                    "What differs from what Stripe says, after healing.");
  for (Drift drift : kAll) {
    text += fmt::format("{}{{mode=\"{}\",kind=\"{}\"}} {}\n", kDriftLeft,
                        name(context.mode()), name(drift), tally.left(drift));
  }
  write_textfile(path, text);
}

void warn_of(const StripeApi& stripe) {
  if (!stripe.key().unrestricted()) return;
  fmt::print(stderr,
             "entitlectl: the key from {} may do everything: a restricted one "
             "(rk_...) that reads is enough\n",
             stripe.key().from());
}

Run run_of(const Context& context, StripeApi& stripe,
           const WalkOptions& options) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  Run run;
  run.writes = options.heal;
  std::optional<Progress> progress;
  std::optional<Stage> stage;
  std::int64_t shown = 0;
  run.walked =
      walk(context, stripe, options, [&](Stage now, const Tally& tally) {
        if (stage != now) {
          progress.reset();
          progress.emplace(std::string(name(now)));
          stage = now;
          shown = 0;
        }
        const std::int64_t count = of(tally.looked, now);
        progress->add(count - shown);
        shown = count;
      });
  run.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  run.cpu = cpu_seconds();
  run.calls = stripe.calls();
  return run;
}

}  // namespace

Answer reconcile(const Context& context, const ReconcileOptions& options,
                 bool as_json) {
  const WalkOptions walking = walk_options(context, options);
  StripeApi stripe(options.stripe);
  warn_of(stripe);
  if (walking.heal) {
    agree(fmt::format("What Stripe says is kept in {}.\n", context.space()),
          options);
  }
  const Run run = run_of(context, stripe, walking);
  const bool finished = run.walked.why.empty();
  const bool whole = !walking.since && walking.customer.empty();
  if (finished && whole && run.writes) {
    keep_finished(
        context, run.walked.tally, walking.started,
        std::chrono::floor<Seconds>(std::chrono::system_clock::now()));
  }
  if (finished && whole && !options.metrics.empty()) {
    write_metrics(options.metrics, context, run.walked.tally);
  }
  Answer answer;
  answer.text = as_json ? json_of(context, run) : text_of(context, run);
  answer.how = !finished                        ? Exit::cannot_tell
               : run.walked.tally.all_is_well() ? Exit::fine
                                                : Exit::found;
  return answer;
}

}  // namespace entitle::cli
