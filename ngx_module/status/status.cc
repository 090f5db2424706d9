// entitle_status: what this worker sees of Redis, its zone and what all workers
// have counted, and what Redis knows of the webhooks of each prefix and mode;
// as JSON, as Prometheus' text or as a page. Nothing in it is a secret, but it
// is not for everybody: allow and deny decide, a gate never does.

#include "ngx_module/status/status.h"

#include "core/http/accept.h"
#include "core/report/page.h"
#include "core/report/status.h"
#include "ngx_module/edge.h"
#include "ngx_module/http/client.h"
#include "ngx_module/http/headers.h"
#include "ngx_module/http/send.h"
#include "ngx_module/status/ask.h"
#include "ngx_module/status/known.h"

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

// Lives with the request.
class Report {
  public:
    explicit Report(ngx_http_request_t* r)
        : request_(r), asked_(main_conf(r), on_asked, this) {}
    Report(const Report&) = delete;
    Report& operator=(const Report&) = delete;

    // NGX_DONE: the answer will come. Else it is what a handler returns.
    ngx_int_t
    begin() {
        return asked_.begin() ? NGX_DONE : answer();
    }

  private:
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
                return send_page(code, status_page(status));
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

    static void
    on_asked(void* data) noexcept {
        auto* self = static_cast<Report*>(data);
        ngx_http_request_t* r = self->request_;
        ngx_connection_t* c = r->connection;
        ngx_http_set_log_request(c->log, r);
        const ngx_int_t rc = edge::request(r, "the status failed",
                                           [=] { return self->answer(); });
        ngx_http_finalize_request(r, rc);  // self may be gone
        ngx_http_run_posted_requests(c);
    }

    ngx_http_request_t* request_;
    SpacesAsked asked_;
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
