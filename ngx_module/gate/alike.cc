#include "ngx_module/gate/alike.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "ngx_module/http/cookies.h"
#include "ngx_module/http/headers.h"

namespace entitle::ngx {

namespace {

// --- the list ---------------------------------------------------------------

// A name, or the beginning of one, where it ends with a dash.
constexpr std::string_view kKeptBack[] = {
    // Belongs to the client's own request and its body: passed on, each of
    // these makes some app answer something else.
    "Accept-Encoding",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Expect",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Last-Event-ID",
    "Range",
    "Sec-WebSocket-",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",

    // Differs between the requests of one page and says nothing of who asks.
    // But an app may refuse one by it (an Origin, a Sec-Fetch-Site, an Accept),
    // and what it says is said to all who share the question.
    "Accept",
    "Cache-Control",
    "Origin",
    "Pragma",
    "Priority",
    "Purpose",
    "Referer",
    "Sec-Fetch-",
    "Sec-Purpose",
    "Upgrade-Insecure-Requests",

    // Likewise: tracing.
    "B3",
    "CF-Ray",
    "Request-Id",
    "Sentry-Trace",
    "Traceparent",
    "Tracestate",
    "Uber-Trace-Id",
    "X-Amzn-Trace-Id",
    "X-B3-",
    "X-Cloud-Trace-Context",
    "X-Correlation-Id",
    "X-Datadog-",
    "X-Request-Id",
    "X-Trace-Id",
};

}  // namespace

bool
goes_along(const ngx_table_elt_t& header) {
    const std::string_view name = view(header.key);
    return std::none_of(
        std::begin(kKeptBack), std::end(kKeptBack), [&](std::string_view kept) {
            return equal_ignoring_case(
                kept.ends_with('-') ? name.substr(0, kept.size()) : name, kept);
        });
}

namespace {

// --- the key ----------------------------------------------------------------

// A key of this process, so nobody can aim at somebody else's flight.
const HmacSha256&
key_mac() {
    static const HmacSha256 mac = [] {
        std::array<char, 32> key;
        if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()),
                       key.size()) != 1) {
            throw std::runtime_error("no random bytes");
        }
        return HmacSha256({key.data(), key.size()});
    }();
    return mac;
}

// Length-prefixed, so that no part can pretend to be two.
class Message {
  public:
    void
    add(std::string_view part) {
        text_ += std::to_string(part.size());
        text_ += ':';
        text_ += part;
    }
    template <class T>
    void
    add_address(const T* of) {
        add({reinterpret_cast<const char*>(&of), sizeof(of)});
    }
    const std::string&
    text() const {
        return text_;
    }

  private:
    std::string text_;
};

std::string_view
evaluated(ngx_http_request_t* r, ngx_http_complex_value_t* value) {
    ngx_str_t text;
    if (ngx_http_complex_value(r, value, &text) != NGX_OK) {
        throw std::bad_alloc();
    }
    return view(text);
}

// Of nginx's own; empty where it has none.
std::string_view
variable(ngx_http_request_t* r, std::string_view name) {
    ngx_str_t text = str(name);
    const ngx_http_variable_value_t* value =
        ngx_http_get_variable(r, &text, ngx_hash_key(text.data, text.len));
    if (value == nullptr || value->not_found) {
        return {};
    }
    return {reinterpret_cast<const char*>(value->data), value->len};
}

// What a location usually tells the app besides the client's headers.
void
add_connection(ngx_http_request_t* r, Message& message) {
    message.add(view(r->connection->addr_text));
    message.add(variable(r, "proxy_protocol_addr"));
    message.add(variable(r, "scheme"));
    message.add(variable(r, "server_port"));
    message.add(variable(r, "ssl_client_verify"));
    message.add(variable(r, "ssl_client_fingerprint"));
}

}  // namespace

Mac
question_key(ngx_http_request_t* r, const std::vector<BoundTo>& bound,
             std::int64_t version) {
    const LocationConf* location = location_conf(r);
    Message message;
    message.add_address(server_conf(r));
    message.add_address(location->reauth_user);
    message.add_address(location->claim_email);
    message.add(view(location->reauth));
    message.add(view(r->headers_in.server));
    message.add(std::to_string(version));
    add_connection(r, message);
    for (const BoundTo& to : bound) {
        message.add(to.value);
    }
    each_question_header(r->headers_in.headers,
                         [&](const ngx_table_elt_t& header) {
                             message.add(view(header.key));
                             message.add(view(header.value));
                         });
    return key_mac()({message.text()});
}

// --- credentials ------------------------------------------------------------

namespace {

bool
is_ours(ngx_http_request_t* r, std::string_view cookie) {
    const ServerConf* conf = server_conf(r);
    return cookie == conf->cookie->name || cookie == conf->browser_cookie->name;
}

// An app goes by any of these.
bool
is_credential(ngx_http_request_t* r, const CookiePair& cookie) {
    const Credentials* named = location_conf(r)->credentials;
    if (cookie.value.empty() || is_ours(r, cookie.name)) {
        return false;
    }
    return named == nullptr ||
           std::any_of(named->cookies.begin(), named->cookies.end(),
                       [&](const CookieNames& names) {
                           return names.matches(cookie.name);
                       });
}

bool
is_credential(ngx_http_request_t* r, const ngx_table_elt_t& header) {
    const Credentials* named = location_conf(r)->credentials;
    if (header.value.len == 0) {
        return false;
    }
    if (named == nullptr) {
        return is_named(header, "Authorization");
    }
    return std::any_of(
        named->headers.begin(), named->headers.end(),
        [&](const ngx_str_t& name) { return is_named(header, view(name)); });
}

}  // namespace

bool
carries_credentials(ngx_http_request_t* r) {
    if (const auto* key = location_conf(r)->reauth_key) {
        if (std::any_of(key->begin(), key->end(), [r](auto* value) {
                return !evaluated(r, value).empty();
            })) {
            return true;
        }
    }
    bool found = false;
    each_request_header(r, [&](const ngx_table_elt_t& header) {
        found |= is_credential(r, header);
    });
    if (!found) {
        std::vector<CookiePair> cookies = request_cookie_pairs(r);
        found = std::any_of(
            cookies.begin(), cookies.end(),
            [r](const CookiePair& cookie) { return is_credential(r, cookie); });
    }
    return found;
}

}  // namespace entitle::ngx
