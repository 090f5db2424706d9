// The status as Prometheus reads it.

#include "core/base/decimal.h"
#include "core/base/version.h"
#include "core/report/exposition.h"
#include "core/report/status.h"

namespace entitle {
namespace {

struct ListMetric {
  WaitingList SpaceStatus::*list;
  std::string_view count, oldest, what;
};

// `parked` has nothing but what is paid for: its second name says so.
constexpr ListMetric kLists[] = {
    {&SpaceStatus::parked, "entitle_parked", "entitle_parked_oldest_seconds",
     "Customers who paid and belong to nobody."},
    {&SpaceStatus::parked, "entitle_parked_paid",
     "entitle_parked_paid_oldest_seconds",
     "Customers who paid and belong to nobody."},
    {&SpaceStatus::unmatched, "entitle_unmatched",
     "entitle_unmatched_oldest_seconds", "Purchases that open nothing."},
};

// Of the webhook hash.
struct WebhookMetric {
  std::string_view field, name;
  bool counter;
  std::string_view help;
};

constexpr WebhookMetric kWebhook[] = {
    {"last_received", "entitle_webhook_last_received_timestamp_seconds", false,
     "When a signed event came last."},
    {"last_applied", "entitle_webhook_last_applied_timestamp_seconds", false,
     "When one was applied last."},
    {"last_refused", "entitle_webhook_last_refused_timestamp_seconds", false,
     "When one of another mode or account came last."},
    {"conflicts", "entitle_webhook_conflicts_total", true,
     "How often a new claim moved what somebody had."},
    {"assumed_ends", "entitle_webhook_assumed_ends_total", true,
     "Events that did not say until when a subscription runs."},
};

void write_here(Exposition& out, const Status& status) {
  out.gauge("entitle_build_info", "1, and which version this is.");
  out.sample({{"version", kVersion}, {"nginx", status.nginx}}, std::int64_t{1});
  out.gauge("entitle_configuration_loaded_timestamp_seconds",
            "When the configuration was read.");
  out.sample({}, status.loaded);
  out.gauge("entitle_dry_run_locations",
            "Locations whose gate lets everybody by (entitle_dry_run).");
  out.sample({}, static_cast<std::uint64_t>(status.dry_runs));
  out.gauge("entitle_waiting",
            "Requests that entitle_wait or entitle_poll holds now.");
  out.sample({}, static_cast<std::uint64_t>(status.waiting));
  out.gauge("entitle_redis_up", "Whether Redis answers.");
  out.sample({}, std::int64_t{status.reachable ? 1 : 0});
  if (!status.gated) return;
  out.gauge("entitle_hears_changes",
            "Whether this worker is told what changes in Redis.");
  out.sample({}, std::int64_t{status.hears_changes ? 1 : 0});
  out.gauge("entitle_zone_bytes", "The size of entitle_zone.");
  out.sample({}, static_cast<std::uint64_t>(status.zone_bytes));
  out.gauge("entitle_zone_free_bytes", "What of it nothing is in.");
  out.sample({}, static_cast<std::uint64_t>(status.zone_free));
}

void write_lists(Exposition& out, const Status& status) {
  out.gauge("entitle_lists_readable",
            "Whether both lists of who is kept waiting can be read.");
  for (const SpaceStatus& space : status.spaces) {
    out.sample({{"prefix", space.prefix}, {"mode", name(space.mode)}},
               std::int64_t{space.is_unread() ? 0 : 1});
  }
  // Of one that cannot be read nothing is said, which is not 0.
  for (const ListMetric& metric : kLists) {
    out.gauge(metric.count, metric.what);
    for (const SpaceStatus& space : status.spaces) {
      if (!(space.*metric.list).error.empty()) continue;
      out.sample({{"prefix", space.prefix}, {"mode", name(space.mode)}},
                 (space.*metric.list).count);
    }
    out.gauge(metric.oldest, "For how long the oldest of them has been there.");
    for (const SpaceStatus& space : status.spaces) {
      if (!(space.*metric.list).error.empty()) continue;
      out.sample({{"prefix", space.prefix}, {"mode", name(space.mode)}},
                 (space.*metric.list).oldest_seconds(status.now));
    }
  }
}

void write_webhook(Exposition& out, const Status& status) {
  for (const WebhookMetric& metric : kWebhook) {
    if (metric.counter) {
      out.counter(metric.name, metric.help);
    } else {
      out.gauge(metric.name, metric.help);
    }
    for (const SpaceStatus& space : status.spaces) {
      if (const auto value = space.webhook_number(metric.field)) {
        out.sample({{"prefix", space.prefix}, {"mode", name(space.mode)}},
                   *value);
      }
    }
  }
}

}  // namespace

std::string status_metrics(const Status& status) {
  std::string text;
  Exposition out(text);
  write_here(out, status);
  write_totals(out, status.totals);
  if (!status.reachable) return text;
  if (status.replication.counted != 0) {
    out.gauge("entitle_redis_replicas", "Replicas of the primary.");
    out.sample({}, status.replication.replicas);
    out.gauge("entitle_redis_replicas_waited_for", "entitle_redis_wait.");
    out.sample({}, status.replication.counted);
  }
  write_lists(out, status);
  write_webhook(out, status);
  return text;
}

}  // namespace entitle
