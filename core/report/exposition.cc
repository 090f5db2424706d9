#include "core/report/exposition.h"

namespace entitle {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string Exposition::seconds(std::int64_t ms) {
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 == 0) return text;
  std::string rest = std::to_string(1000 + ms % 1000).substr(1);
  while (rest.ends_with('0')) rest.pop_back();
  return text + '.' + rest;
}

Exposition& Exposition::family(std::string_view name, std::string_view type,
                               std::string_view help) {
  name_ = name;
  out_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  return *this;
}

void Exposition::line(std::string_view suffix, Labels labels,
                      std::string_view le, std::string_view value) {
  out_.append(name_).append(suffix);
  char before = '{';
  const auto add = [&](std::string_view label, std::string_view text) {
    out_ += before;
    out_.append(label).append("=");
    append_quoted(out_, text);
    before = ',';
  };
  for (const auto& [label, text] : labels) add(label, text);
  if (!le.empty()) add("le", le);
  if (before == ',') out_ += '}';
  out_.append(" ").append(value).append("\n");
}

Exposition& Exposition::sample(Labels labels, std::string_view number) {
  line({}, labels, {}, number);
  return *this;
}

Exposition& Exposition::sample(Labels labels, std::int64_t value) {
  return sample(labels, std::string_view(std::to_string(value)));
}

Exposition& Exposition::sample(Labels labels, std::uint64_t value) {
  return sample(labels, std::string_view(std::to_string(value)));
}

// --- what is counted
// ----------------------------------------------------------

namespace {

template <class Enum, std::size_t n>
void write_each(Exposition& out, std::string_view label,
                const std::array<std::uint64_t, n>& counts) {
  for (std::size_t i = 0; i < n; i++) {
    out.sample({{label, name(static_cast<Enum>(i))}}, counts[i]);
  }
}

void write_gate(Exposition& out, const Totals& totals) {
  out.counter("entitle_gate_decisions_total",
              "Requests at gates that are on, by $entitle_decision and "
              "$entitle_reason.");
  for (std::size_t d = 0; d < kDecisions; d++) {
    for (std::size_t w = 0; w < kReasons; w++) {
      const auto decision = static_cast<Decision>(d);
      const auto reason = static_cast<Reason>(w);
      std::uint64_t count = totals.decisions[d][w];
      if (decision == Decision::allow && reason == Reason::ok) {
        count += totals.remembered;
      }
      if (count != 0 || goes_with(reason, decision)) {
        out.sample({{"decision", name(decision)}, {"reason", name(reason)}},
                   count);
      }
    }
  }
  out.counter("entitle_dry_run_let_by_total",
              "Those of them whom entitle_dry_run let by.");
  for (const Decision decision :
       {Decision::login, Decision::pay, Decision::error}) {
    out.sample({{"decision", name(decision)}},
               totals.let_by[static_cast<std::size_t>(decision)]);
  }
  out.counter("entitle_live_cut_total",
              "Responses that entitle_live ended, by $entitle_reason.");
  for (std::size_t w = 0; w < kReasons; w++) {
    const auto reason = static_cast<Reason>(w);
    if (totals.cut[w] != 0 || goes_with(reason, Decision::pay) ||
        reason == Reason::logged_out || reason == Reason::redis_unreachable) {
      out.sample({{"reason", name(reason)}}, totals.cut[w]);
    }
  }
  out.counter("entitle_record_lookups_total",
              "Looks for a user's record, by $entitle_cache.");
  std::array<std::uint64_t, kLookups> lookups = totals.lookups;
  lookups[static_cast<std::size_t>(Lookup::hit)] += totals.remembered;
  write_each<Lookup>(out, "cache", lookups);
}

void write_app(Exposition& out, const Totals& totals) {
  out.counter("entitle_reauth_total",
              "Questions to the app (entitle_reauth), by what it said.");
  write_each<Answer>(out, "result", totals.answers);
  out.histogram("entitle_reauth_seconds", "How long the app took.");
  out.times({}, kAnswerTimes, totals.answer_times);
  out.counter("entitle_wait_total",
              "Requests that entitle_wait or entitle_poll held, or had no room "
              "for, by how that ended.");
  write_each<WaitEnd>(out, "result", totals.waits);
  out.histogram("entitle_wait_seconds", "How long they were held.");
  out.times({}, kWaitTimes, totals.wait_times);
}

void write_webhooks(Exposition& out, const Totals& totals) {
  out.counter("entitle_webhook_events_total",
              "Webhooks, by what became of them or what they were refused "
              "for.");
  for (const Mode mode : {Mode::live, Mode::test}) {
    const auto& counts = totals.webhooks[static_cast<std::size_t>(mode)];
    for (std::size_t i = 0; i < kOutcomes + kRefusals; i++) {
      const std::string_view word =
          i < kOutcomes ? name(static_cast<Outcome>(i))
                        : name(static_cast<Refusal>(i - kOutcomes));
      out.sample({{"mode", name(mode)}, {"outcome", word}}, counts[i]);
    }
  }
  out.histogram("entitle_webhook_delay_seconds",
                "From when Stripe made an event to when it was stored.");
  for (const Mode mode : {Mode::live, Mode::test}) {
    out.times({{"mode", name(mode)}}, kDelays,
              totals.delays[static_cast<std::size_t>(mode)]);
  }
}

}  // namespace

void write_totals(Exposition& out, const Totals& totals) {
  write_gate(out, totals);
  write_app(out, totals);
  write_webhooks(out, totals);
  out.counter("entitle_redis_errors_total",
              "Exchanges with Redis that failed, and errors that it answered.");
  write_each<RedisTrouble>(out, "kind", totals.redis_troubles);
}

}  // namespace entitle
