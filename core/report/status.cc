#include "core/report/status.h"

#include <algorithm>

#include "core/base/decimal.h"
#include "core/base/version.h"
#include "core/json/tree.h"
#include "core/json/writer.h"
#include "core/redis/warnings.h"
#include "core/report/words.h"

namespace entitle {
namespace {

constexpr std::size_t kMostTold = 512;  // bytes of one value

std::string_view told(std::string_view text) {
  return text.substr(0, kMostTold);
}

void write_redis(json::Writer& out, const Status& status) {
  const ReplicationStatus& replication = status.replication;
  out.key("redis").begin_object().boolean("reachable", status.reachable);
  if (status.reachable && replication.counted != 0) {
    out.number("replicas", replication.replicas)
        .number("replicas_waited_for", replication.counted);
    const std::string warning =
        replica_wait_warning(replication.replicas, replication.counted);
    if (!warning.empty()) out.text("warning", warning);
  }
  out.end_object();
  if (status.gated) {
    out.key("zone")
        .begin_object()
        .number("bytes", static_cast<std::int64_t>(status.zone_bytes))
        .number("free", static_cast<std::int64_t>(status.zone_free))
        .boolean("hears_changes", status.hears_changes)
        .end_object();
  }
}

void write_decisions(json::Writer& out,
                     const std::array<std::uint64_t, kDecisions>& decisions) {
  for (std::size_t i = 0; i < kDecisions; i++) {
    out.number(name(static_cast<Decision>(i)),
               static_cast<std::int64_t>(decisions[i]));
  }
}

void write_gates(json::Writer& out, const Status& status) {
  std::array<std::uint64_t, kDecisions> all{};
  for (std::size_t i = 0; i < kDecisions; i++) {
    all[i] = decided(status.totals, static_cast<Decision>(i));
  }
  out.key("gates").begin_object();
  out.number("dry_runs", static_cast<std::int64_t>(status.dry_runs))
      .number("waiting", static_cast<std::int64_t>(status.waiting));
  out.key("decisions").begin_object();
  write_decisions(out, all);
  out.end_object();
  out.key("hours").begin_array();
  for (const Hours::Hour& hour : status.hours) {
    out.begin_object().number("from", hour.hour * 3600);
    write_decisions(out, hour.decisions);
    out.end_object();
  }
  out.end_array().end_object();
}

void write_configuration(json::Writer& out, const Status& status) {
  out.key("configuration").begin_object().number("loaded", status.loaded);
  out.key("servers").begin_array();
  for (const ServerSettings& server : status.servers) write(out, server);
  out.end_array().end_object();
}

bool is_json(std::string_view text) {
  json::Error why;
  return json::parse(text, 16, why).has_value();
}

void write_space(json::Writer& out, const SpaceStatus& space,
                 std::int64_t now) {
  out.begin_object()
      .text("prefix", told(space.prefix))
      .text("mode", name(space.mode))
      .number("parked", space.parked.count)
      .number("parked_oldest_seconds", space.parked.oldest_seconds(now))
      .number("unmatched", space.unmatched.count)
      .number("unmatched_oldest_seconds", space.unmatched.oldest_seconds(now));
  if (!space.parked.error.empty()) {
    out.text("parked_error", told(space.parked.error));
  }
  if (!space.unmatched.error.empty()) {
    out.text("unmatched_error", told(space.unmatched.error));
  }
  out.key("webhook").begin_object();
  for (const auto& [field, value] : space.webhook) {
    out.text(told(field), told(value));
  }
  out.end_object();
  if (!space.reconcile.empty() && is_json(space.reconcile)) {
    out.key("reconcile").raw(space.reconcile);
  }
  out.end_object();
}

}  // namespace

std::int64_t WaitingList::oldest_seconds(std::int64_t now) const {
  return std::max<std::int64_t>(now - oldest.value_or(now), 0);
}

std::string_view SpaceStatus::webhook_text(std::string_view field) const {
  for (const auto& [known, value] : webhook) {
    if (known == field) return value;
  }
  return {};
}

std::optional<std::int64_t> SpaceStatus::webhook_number(
    std::string_view field) const {
  return parse_decimal<std::int64_t>(webhook_text(field));
}

bool is_well(const Status& status) {
  return status.reachable &&
         std::none_of(status.spaces.begin(), status.spaces.end(),
                      [](const SpaceStatus& s) { return s.is_unread(); });
}

std::string headline(const Status& status) {
  if (!status.reachable) {
    return "Redis cannot be reached: nobody is let in by new knowledge, and "
           "webhooks are answered 503.";
  }
  for (const SpaceStatus& space : status.spaces) {
    if (!space.is_unread()) continue;
    const bool parked = !space.parked.error.empty();
    const WaitingList& list = parked ? space.parked : space.unmatched;
    return std::string(parked ? "parked" : "unmatched") + " of " +
           std::string(told(space.prefix)) + std::string(name(space.mode)) +
           " cannot be read, so who is kept waiting is not known: " +
           std::string(told(list.error));
  }
  WaitingList parked, unmatched;
  const auto gather = [](WaitingList& into, const WaitingList& list) {
    into.count += list.count;
    if (list.oldest) {
      into.oldest = std::min(into.oldest.value_or(*list.oldest), *list.oldest);
    }
  };
  for (const SpaceStatus& space : status.spaces) {
    if (space.mode != Mode::live && !space.parked.count &&
        !space.unmatched.count) {
      continue;
    }
    gather(parked, space.parked);
    gather(unmatched, space.unmatched);
  }
  std::string text;
  if (parked.count != 0) {
    text = count_words(parked.count, "customer", "customers") + " paid and " +
           (parked.count == 1 ? "is" : "are") + " not in; the oldest for " +
           span_words(parked.oldest_seconds(status.now));
  }
  if (unmatched.count != 0) {
    if (!text.empty()) text += ". ";
    text += count_words(unmatched.count, "purchase opens", "purchases open") +
            " nothing; the oldest for " +
            span_words(unmatched.oldest_seconds(status.now));
  }
  if (text.empty()) text = "Nobody who paid is kept waiting";
  text += '.';
  if (status.dry_runs != 0) {
    text += " Dry run: " +
            count_words(static_cast<std::int64_t>(status.dry_runs),
                        "location lets", "locations let") +
            " everybody by.";
  }
  return text;
}

std::string status_json(const Status& status) {
  std::string text;
  json::Writer out(text);
  out.begin_object()
      .text("version", kVersion)
      .text("nginx", status.nginx)
      .number("time", status.now)
      .number("worker", status.worker)
      .boolean("well", is_well(status))
      .text("says", headline(status));
  write_redis(out, status);
  write_gates(out, status);
  write_configuration(out, status);
  out.key("spaces").begin_array();
  if (status.reachable) {
    for (const SpaceStatus& space : status.spaces) {
      write_space(out, space, status.now);
    }
  }
  out.end_array().end_object();
  return text + '\n';
}

}  // namespace entitle
