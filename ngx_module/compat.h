// Where nginx versions differ, from 1.22 to the newest, angie and freenginx.
// Forks backport without changing nginx_version, so what can be asked of the
// compiler is asked of the compiler: each `requires` below tests the headers
// that are really there.
#pragma once

#if (nginx_version < 1022000)
#error entitle needs nginx 1.22 or newer
#endif

namespace entitle::ngx::compat {

// Calls f(ngx_str_t) for each Cookie header line of the request, in order:
// an array before 1.23.0, since then a list linked by `next`.
template <class Request, class F>
void
each_cookie_line(Request* r, F f) {
    if constexpr (requires { r->headers_in.cookie; }) {
        for (auto* line = r->headers_in.cookie; line != nullptr;
             line = line->next) {
            f(line->value);
        }

    } else {
        auto** lines =
            static_cast<ngx_table_elt_t**>(r->headers_in.cookies.elts);
        for (ngx_uint_t i = 0; i < r->headers_in.cookies.nelts; i++) {
            f(lines[i]->value);
        }
    }
}

// Since 1.25.4 a request that was terminated while something blocked its end
// says so; resuming it would use what is gone.
template <class Request>
bool
terminated(Request* r) {
    if constexpr (requires { r->main->terminated; }) {
        return r->main->terminated;
    } else {
        return false;
    }
}

// Whether a `resolver` knows a server to ask: an array of them, Angie's a list.
template <class Resolver>
bool
knows_a_server(const Resolver* resolver) {
    if constexpr (requires { resolver->connections.nelts; }) {
        return resolver->connections.nelts != 0;
    } else {
        return resolver->connections != nullptr;
    }
}

// What a location is configured with: itself, or what Angie's locations of one
// block share.
template <class Location>
auto*
core_of(Location* location) {
    if constexpr (requires { location->conf->loc_conf; }) {
        return location->conf;
    } else {
        return location;
    }
}

// Appends to a log line what nginx says of a request there; where that ends.
template <class Log, class Request, class Context>
auto*
say_request(Log* log, Request* r, Context* context, unsigned char* at,
            unsigned char* end) {
    if constexpr (requires { r->log_handler(log, at, end, context); }) {
        return r->log_handler(log, at, end, context);  // Angie
    } else {
        return r->log_handler(r, context->current_request, at,
                              static_cast<std::size_t>(end - at));
    }
}

// The connection that a request's stream is part of; null: it has one of its
// own, or a QUIC stream.
template <class Request>
ngx_connection_t*
connection_of_stream(Request* r) {
    if constexpr (requires { r->stream->connection->connection; }) {
        return r->stream == nullptr ? nullptr
                                    : r->stream->connection->connection;
    } else {
        return nullptr;
    }
}

// Since 1.25.0.
template <class Connection>
bool
is_quic(const Connection* c) {
    if constexpr (requires { c->quic; }) {
        return c->quic != nullptr;
    } else {
        return false;
    }
}

// Whether an address speaks SSL; QUIC, since 1.25.0, does in any case.
template <class Listen>
bool
speaks_ssl(const Listen& listen) {
    if constexpr (requires { listen.quic; }) {
        return listen.ssl || listen.quic;
    } else {
        return listen.ssl;
    }
}

}  // namespace entitle::ngx::compat
