// entitle_status: what this worker sees of Redis, its zone and what all workers
// have counted, and what Redis knows of the webhooks of each prefix and mode;
// as JSON, as Prometheus' text or as a page. Nothing in it is a secret, but it
// is not for everybody: allow and deny decide, a gate never does.

#include "ngx_module/status/status.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/decimal.h"
#include "core/base/percent.h"
#include "core/http/accept.h"
#include "core/report/page.h"
#include "core/report/search.h"
#include "core/report/status.h"
#include "ngx_module/edge.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/redis_client/talk.h"
#include "ngx_module/status/ask.h"
#include "ngx_module/status/known.h"
#include "ngx_module/webhook/spaces.h"

namespace entitle::ngx {

namespace {

enum class Form { json, metrics, page };

Form
wanted_form(ngx_http_request_t* r) {
    const std::string_view args = view(r->args);
    if (args.find("format=prometheus") != args.npos) {
        return Form::metrics;
    }
    if (args.find("format=json") != args.npos) {
        return Form::json;
    }
    Form form = Form::json;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        if (!is_named(header, "Accept")) {
            return;
        }
        const std::string_view value = view(header.value);
        if (value.find("application/openmetrics-text") != value.npos ||
            value.starts_with("text/plain")) {
            form = Form::metrics;
        } else if (accepts_html(value)) {
            form = Form::page;
        }
    });
    return form;
}

// Of the query, as a form sends it. Empty: it is not there, or no text.
std::string
argument(ngx_http_request_t* r, std::string_view name) {
    std::string_view rest = view(r->args);
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
        if (pair.substr(0, pair.find('=')) != name ||
            pair.size() <= name.size()) {
            continue;
        }
        std::string text(pair.substr(name.size() + 1));
        std::replace(text.begin(), text.end(), '+', ' ');
        return percent_decode(text).value_or("");
    }
    return {};
}

// Of all servers that read there, as one.
struct Reading {
    GrantMap grants;
    Policy policy;
};

Reading
reading_of(const SpaceStatus& space) {
    Reading reading;
    for (const PrefixServers& one : servers_by_prefix()) {
        if (one.prefix != space.prefix) {
            continue;
        }
        for (const ServerConf* server : readers_of(one, space.mode)) {
            reading.grants.add(*server->grants);
            reading.policy = *server->policy;
        }
    }
    return reading;
}

// Lives with the request.
class Report {
  public:
    explicit Report(ngx_http_request_t* r)
        : request_(r),
          asked_(main_conf(r), on_asked, this),
          search_(main_conf(r), on_searched, this) {}
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    // NGX_DONE: the answer will come. Else it is what a handler returns.
    ngx_int_t
    begin() {
        return asked_.begin() ? NGX_DONE : answer();
    }

  private:
    // Whether there is something to look for. Then on_searched() comes, unless
    // Redis has just gone.
    bool
    begin_search() {
        const std::string text = argument(request_, "q");
        const auto& spaces = asked_.spaces();
        if (!asked_.reachable() || wanted_form(request_) != Form::page) {
            return false;
        }
        searched_.space = space_asked_for(spaces);
        if (text.empty() || text.size() > kMostSearched ||
            has_control_bytes(text)) {
            return false;
        }
        searched_.text = text;
        const SpaceStatus& space = spaces[searched_.space];
        search_.start(search(Keys(space.prefix, space.mode), text));
        return !search_.done();
    }

    // Else that of this server.
    std::size_t
    space_asked_for(const std::vector<SpaceStatus>& spaces) const {
        const auto number =
            parse_decimal<std::size_t>(argument(request_, "in"));
        if (number && *number < spaces.size() &&
            !argument(request_, "in").empty()) {
            return *number;
        }
        const ServerConf* server = server_conf(request_);
        for (std::size_t i = 0; i < spaces.size(); i++) {
            if (spaces[i].prefix == view(server->prefix) &&
                spaces[i].mode == static_cast<Mode>(server->mode)) {
                return i;
            }
        }
        return 0;
    }

    void
    take_found() {
        if (!search_.error().empty()) {
            return;
        }
        const Reading reading = reading_of(asked_.spaces()[searched_.space]);
        searched_.found = std::move(search_.result());
        searched_.purchases =
            purchases_of(searched_.found->sources, reading.grants,
                         reading.policy, unix_time(ngx_time()));
    }

    ngx_int_t
    answer() {
        Status status = status_here(main_conf(request_));
        status.reachable = asked_.reachable();
        status.replication = asked_.replication();
        status.spaces = asked_.spaces();
        const Form form = wanted_form(request_);
        if (add_header(request_, "Cache-Control", "no-store") != NGX_OK ||
            add_header(request_, "Vary", "Accept") != NGX_OK) {
            return NGX_ERROR;
        }
        const ngx_uint_t code =
            is_well(status) ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
        switch (form) {
            case Form::page:
                return send_page(code, status_page(status, searched_));
            case Form::metrics:  // of a 503 Prometheus takes nothing
                return send_json(request_, NGX_HTTP_OK,
                                 "text/plain; version=0.0.4",
                                 status_metrics(status));
            case Form::json:
                break;
        }
        return send_json(request_, code, "application/json",
                         status_json(status));
    }

    ngx_int_t
    send_page(ngx_uint_t code, const std::string& page) {
        const ngx_str_t policy = pool_copy(request_->pool, page_policy());
        if (policy.data == nullptr ||
            add_header(request_, "Content-Security-Policy", view(policy)) !=
                NGX_OK ||
            add_header(request_, "X-Content-Type-Options", "nosniff") !=
                NGX_OK ||
            add_header(request_, "Referrer-Policy", "no-referrer") != NGX_OK) {
            return NGX_ERROR;
        }
        return send_json(request_, code, "text/html; charset=utf-8", page);
    }

    // `f` says whether the answer can be given now.
    template <class F>
    void
    from_event(F f) noexcept {
        ngx_http_request_t* r = request_;
        ngx_connection_t* c = r->connection;
        ngx_http_set_log_request(c->log, r);
        bool ready = true;
        const ngx_int_t rc = edge::request(r, "the status failed", [&] {
            ready = f();
            return ready ? answer() : NGX_DONE;
        });
        if (ready) {
            ngx_http_finalize_request(r, rc);  // this may be gone
        }
        ngx_http_run_posted_requests(c);
    }

    static void
    on_asked(void* data) noexcept {
        auto* self = static_cast<Report*>(data);
        self->from_event([=] { return !self->begin_search(); });
    }

    static void
    on_searched(void* data) noexcept {
        auto* self = static_cast<Report*>(data);
        self->from_event([=] {
            self->take_found();
            return true;
        });
    }

    ngx_http_request_t* request_;
    SpacesAsked asked_;
    Searched searched_;
    RedisTalk<SearchFound> search_;
};

ngx_int_t
report(ngx_http_request_t* r) {
    if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        return add_header(r, "Allow", "GET, HEAD") == NGX_OK
                   ? NGX_HTTP_NOT_ALLOWED
                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
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
