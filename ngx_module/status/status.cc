// entitle_status: what this worker sees of Redis, its zone, and what Redis
// knows of the webhooks of each prefix and mode. Nothing in it is a secret, but
// it is not for everybody: allow and deny decide, a gate never does.

#include "ngx_module/status/status.h"

#include <algorithm>
#include <concepts>

#include "core/base/decimal.h"
#include "core/json/writer.h"
#include "core/redis/warnings.h"
#include "ngx_module/cache/record_cache.h"
#include "ngx_module/edge.h"
#include "ngx_module/gate/gate.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/redis_client/exchange.h"
#include "ngx_module/webhook/spaces.h"

namespace entitle::ngx {

namespace {

constexpr std::size_t kMostTold = 512;  // bytes of one value

// Of one list of what somebody has to be told of.
struct Waiting {
    std::int64_t count = 0;
    std::optional<std::int64_t> oldest{};  // unix s, first seen

    // 0: there is none.
    std::int64_t
    oldest_seconds() const {
        const std::int64_t now = ngx_time();
        return std::max<std::int64_t>(now - oldest.value_or(now), 0);
    }
};

// Of one prefix and mode.
struct Space {
    std::string prefix;
    Mode mode;
    Waiting parked{};
    Waiting unmatched{};
    std::vector<std::pair<std::string, std::string>> webhook{};
};

std::vector<Space>
all_spaces() {
    std::vector<Space> spaces;
    for (const PrefixServers& one : servers_by_prefix()) {
        spaces.push_back({one.prefix, Mode::live});
        spaces.push_back({one.prefix, Mode::test});
    }
    return spaces;
}

std::string
quoted(std::string_view text) {
    std::string written;
    json::Writer(written).string(text.substr(0, kMostTold));
    return written;
}

// Whether what was answered 2xx outlives its primary.
struct Replication {
    std::int64_t replicas = 0;
    std::int64_t counted = 0;  // entitle_redis_wait; 0: nobody asked for more
};

// --- what is known without asking --------------------------------------------

struct Here {
    bool gated;  // else there is neither zone nor lease
    bool hears_changes;
    std::size_t zone_bytes;
    std::size_t zone_free;
};

Here
known_here(ngx_http_request_t* r) {
    const MainConf* conf = main_conf(r);
    Here here{};
    if (conf->zone == nullptr) {
        return here;
    }
    here.gated = true;
    const RecordCache* cache = known_record_cache(conf);
    here.hears_changes = cache != nullptr && cache->changes_heard() != 0;
    here.zone_bytes = conf->zone->shm.size;
    here.zone_free = zone_free(conf->zone);
    return here;
}

// --- the two ways to tell ----------------------------------------------------

std::string_view
told(std::string_view text) {
    return text.substr(0, kMostTold);
}

std::string
as_json(const Here& here, bool reachable, const Replication& replication,
        const std::vector<Space>& spaces) {
    std::string text;
    json::Writer out(text);
    out.begin_object().number("worker", ngx_pid);
    out.key("redis").begin_object().boolean("reachable", reachable);
    if (reachable && replication.counted != 0) {
        out.number("replicas", replication.replicas)
            .number("replicas_waited_for", replication.counted);
        const std::string warning =
            replica_wait_warning(replication.replicas, replication.counted);
        if (!warning.empty()) {
            out.text("warning", warning);
        }
    }
    out.end_object();
    if (here.gated) {
        out.key("zone")
            .begin_object()
            .number("bytes", static_cast<std::int64_t>(here.zone_bytes))
            .number("free", static_cast<std::int64_t>(here.zone_free))
            .boolean("hears_changes", here.hears_changes)
            .end_object();
    }
    out.key("spaces").begin_array();
    for (const Space& space : spaces) {
        if (!reachable) {
            break;  // nothing is known of them
        }
        out.begin_object()
            .text("prefix", told(space.prefix))
            .text("mode", name(space.mode))
            .number("parked", space.parked.count)
            .number("parked_oldest_seconds", space.parked.oldest_seconds())
            .number("unmatched", space.unmatched.count)
            .number("unmatched_oldest_seconds",
                    space.unmatched.oldest_seconds());
        out.key("webhook").begin_object();
        for (const auto& [field, value] : space.webhook) {
            out.text(told(field), told(value));
        }
        out.end_object().end_object();
    }
    out.end_array().end_object();
    return text + '\n';
}

void
append_type(std::string& out, std::string_view metric,
            std::string_view type = "gauge") {
    out.append("# TYPE ").append(metric).append(" ").append(type).append("\n");
}

void
append_metric(std::string& out, std::string_view metric,
              std::string_view labels, std::string_view value) {
    out.append(metric).append(labels).append(" ").append(value).append("\n");
}

// One that stands alone.
template <std::integral Number>
void
append_gauge(std::string& out, std::string_view metric, Number value) {
    append_type(out, metric);
    append_metric(out, metric, "", std::to_string(value));
}

struct WaitingMetric {
    Waiting Space::*list;
    std::string_view count, oldest;
};

constexpr WaitingMetric kWaitingMetrics[] = {
    {&Space::parked, "entitle_parked", "entitle_parked_oldest_seconds"},
    {&Space::unmatched, "entitle_unmatched",
     "entitle_unmatched_oldest_seconds"},
};

// Of the webhook hash.
struct WebhookMetric {
    std::string_view field, name, type;
};

constexpr WebhookMetric kWebhookMetrics[] = {
    {"last_received", "entitle_webhook_last_received_timestamp_seconds",
     "gauge"},
    {"last_applied", "entitle_webhook_last_applied_timestamp_seconds", "gauge"},
    {"last_refused", "entitle_webhook_last_refused_timestamp_seconds", "gauge"},
    {"conflicts", "entitle_webhook_conflicts_total", "counter"},
    {"assumed_ends", "entitle_webhook_assumed_ends_total", "counter"},
};

std::string
as_prometheus(const Here& here, bool reachable, const Replication& replication,
              const std::vector<Space>& spaces) {
    std::string out;
    append_gauge(out, "entitle_redis_up", reachable ? 1 : 0);
    if (here.gated) {
        append_gauge(out, "entitle_hears_changes", here.hears_changes ? 1 : 0);
        append_gauge(out, "entitle_zone_bytes", here.zone_bytes);
        append_gauge(out, "entitle_zone_free_bytes", here.zone_free);
    }
    if (!reachable) {
        return out;
    }
    if (replication.counted != 0) {
        append_gauge(out, "entitle_redis_replicas", replication.replicas);
        append_gauge(out, "entitle_redis_replicas_waited_for",
                     replication.counted);
    }
    const auto labels = [](const Space& space) {
        return "{prefix=" + quoted(space.prefix) +
               ",mode=" + quoted(name(space.mode)) + "}";
    };
    for (const WaitingMetric& metric : kWaitingMetrics) {
        append_type(out, metric.count);
        for (const Space& space : spaces) {
            append_metric(out, metric.count, labels(space),
                          std::to_string((space.*metric.list).count));
        }
        append_type(out, metric.oldest);
        for (const Space& space : spaces) {
            append_metric(
                out, metric.oldest, labels(space),
                std::to_string((space.*metric.list).oldest_seconds()));
        }
    }
    for (const WebhookMetric& metric : kWebhookMetrics) {
        append_type(out, metric.name, metric.type);
        for (const Space& space : spaces) {
            for (const auto& [known, value] : space.webhook) {
                if (known == metric.field &&
                    parse_decimal<std::int64_t>(value)) {
                    append_metric(out, metric.name, labels(space), value);
                }
            }
        }
    }
    return out;
}

bool
wants_prometheus(ngx_http_request_t* r) {
    if (view(r->args).find("format=prometheus") != std::string_view::npos) {
        return true;
    }
    bool wanted = false;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        const std::string_view value = view(header.value);
        wanted |= is_named(header, "Accept") &&
                  (value.find("application/openmetrics-text") != value.npos ||
                   value.starts_with("text/plain"));
    });
    return wanted;
}

// --- asking Redis ------------------------------------------------------------

// One key after the other: in a cluster each has a node of its own. Lives with
// the request.
class Report {
  public:
    explicit Report(ngx_http_request_t* r) : request_(r) {
        exchange_.done = on_replies;
        exchange_.data = this;
    }
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;
    ~Report() {
        redis_cancel(&exchange_);
    }

    // NGX_DONE: the answer will come. Else it is what a handler returns.
    ngx_int_t
    begin() {
        spaces_ = all_spaces();
        replication_.counted = main_conf(request_)->replica_wait;
        asks_replicas_ = replication_.counted != 0;
        return ask() ? NGX_DONE : answer(false);
    }

  private:
    enum class Question { parked, unmatched, webhook };
    static constexpr std::size_t kQuestions = 3;

    // Three questions a space, and one about the primary of the first.
    bool
    ask() {
        const Space& space = spaces_[asked_ / kQuestions];
        const Keys keys(space.prefix, space.mode);
        if (asks_replicas_) {
            exchange_.key = keys.parked();
            exchange_.commands = {{"INFO", "replication"}};
            exchange_.replies.clear();
            return redis_send(main_conf(request_), &exchange_) == NGX_OK;
        }
        switch (static_cast<Question>(asked_ % kQuestions)) {
            case Question::parked:
                ask_about_list(keys.parked());
                break;
            case Question::unmatched:
                ask_about_list(keys.unmatched());
                break;
            case Question::webhook:
                exchange_.key = keys.webhook();
                exchange_.commands = {{"HGETALL", exchange_.key}};
        }
        exchange_.replies.clear();
        return redis_send(main_conf(request_), &exchange_) == NGX_OK;
    }

    void
    ask_about_list(std::string key) {
        exchange_.commands = {{"ZCARD", key},
                              {"ZRANGE", key, "0", "0", "WITHSCORES"}};
        exchange_.key = std::move(key);
    }

    static Waiting
    told_of_list(const std::vector<Reply>& replies) {
        Waiting list;
        list.count = replies.front().integer;
        const std::vector<Reply>& oldest = replies.back().elements;
        if (oldest.size() == 2) {
            list.oldest = parse_decimal<std::int64_t>(oldest[1].text);
        }
        return list;
    }

    void
    take(const std::vector<Reply>& replies) {
        const Reply& reply = replies.front();
        if (std::exchange(asks_replicas_, false)) {
            if (reply.type == Reply::Type::string) {
                replication_.replicas = connected_replicas(reply.text);
            } else {
                replication_.counted = 0;  // it may not be asked
            }
            return;
        }
        Space& space = spaces_[asked_ / kQuestions];
        switch (static_cast<Question>(asked_++ % kQuestions)) {
            case Question::parked:
                space.parked = told_of_list(replies);
                break;
            case Question::unmatched:
                space.unmatched = told_of_list(replies);
                break;
            case Question::webhook:
                for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
                    space.webhook.emplace_back(reply.elements[i].text,
                                               reply.elements[i + 1].text);
                }
        }
    }

    ngx_int_t
    answer(bool reachable) {
        const Here here = known_here(request_);
        const bool prometheus = wants_prometheus(request_);
        if (add_header(request_, "Cache-Control", "no-store") != NGX_OK) {
            return NGX_ERROR;
        }
        return send_json(
            request_, reachable ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE,
            prometheus ? "text/plain; version=0.0.4" : "application/json",
            prometheus ? as_prometheus(here, reachable, replication_, spaces_)
                       : as_json(here, reachable, replication_, spaces_));
    }

    // What the request is finalized with (NGX_AGAIN, too: not all of it could
    // be written at once); null: there is more to ask.
    std::optional<ngx_int_t>
    next(RedisStatus status) {
        if (status != RedisStatus::ok ||
            exchange_.replies.size() != exchange_.commands.size()) {
            return answer(false);
        }
        take(exchange_.replies);
        if (asked_ == kQuestions * spaces_.size()) {
            return answer(true);
        }
        if (ask()) {
            return std::nullopt;
        }
        return answer(false);
    }

    static void
    on_replies(RedisExchange* exchange, RedisStatus status) noexcept {
        auto* self = static_cast<Report*>(exchange->data);
        ngx_http_request_t* r = self->request_;
        ngx_connection_t* c = r->connection;
        ngx_http_set_log_request(c->log, r);
        std::optional<ngx_int_t> rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        edge::request(r, "the status failed", [&] {
            rc = self->next(status);
            return NGX_OK;
        });
        if (rc) {
            ngx_http_finalize_request(r, *rc);  // self may be gone
            ngx_http_run_posted_requests(c);
        }
    }

    ngx_http_request_t* request_;
    std::vector<Space> spaces_;
    std::size_t asked_ = 0;
    bool asks_replicas_ = false;
    Replication replication_;
    RedisExchange exchange_;
};

ngx_int_t
report(ngx_http_request_t* r) {
    if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    auto* report = pool_new<Report>(r->pool, r);
    if (report == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    const ngx_int_t rc = report->begin();
    if (rc == NGX_DONE) {
        r->main->count++;
        r->read_event_handler = while_waiting(r);
        r->write_event_handler = ngx_http_request_empty_handler;
    }
    return rc;
}

}  // namespace

ngx_int_t
status_handler(ngx_http_request_t* r) noexcept {
    return edge::request(r, "the status failed", [=] { return report(r); });
}

}  // namespace entitle::ngx
