#include "cli/why/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/conf/keys.h"
#include "core/base/ascii.h"
#include "core/base/base64url.h"
#include "core/http/cookie.h"
#include "core/identity/edge_session.h"
#include "core/json/tree.h"

namespace entitle::cli {
namespace {

using State = LinkState;

constexpr const char* kName = "session";

struct Looked {
  const Server* server = nullptr;
  std::string audience;
  std::optional<Session> session;
  SessionError error = SessionError::malformed;
  bool there = false;  // a cookie of that name
};

const Server* server_of_sessions(const Context& context) {
  for (const Server* server : context.servers()) {
    if (!server->key_files.empty() && server->has_gate()) return server;
  }
  return nullptr;
}

// What a token says of itself: believed once its signature holds.
struct Said {
  std::string audience;
  UnixTime issued{};
};

Said said_in(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (first == std::string_view::npos || last <= first) return {};
  const auto payload =
      base64url_decode(token.substr(first + 1, last - first - 1));
  if (!payload) return {};
  json::Error error;
  const auto read = json::parse(*payload, 4, error);
  if (!read) return {};
  const std::int64_t issued = json::integer(read->root(), "iat").value_or(0);
  return {std::string(json::string(read->root(), "aud")),
          is_time(issued) ? unix_time(issued) : UnixTime{}};
}

Looked look_at(const Context& context, const std::string& cookies) {
  Looked looked;
  looked.server = server_of_sessions(context);
  if (looked.server == nullptr) {
    throw Stop(Exit::usage,
               "--cookie needs the configuration of a gate with "
               "entitle_session_key_file");
  }
  const SessionKeys keys(session_keys_of(*looked.server));
  std::vector<std::string_view> values;
  cookie_values(cookies, looked.server->cookie, values);
  for (const std::string_view value : values) {
    looked.there = true;
    const Said said = said_in(value);
    looked.audience = said.audience;
    SessionVerdict verdict =
        verify_session(keys, looked.audience, value, context.now());
    if (!verdict.session && verdict.error == SessionError::expired) {
      // Whose it was, and that it is over.
      verdict.session =
          verify_session(keys, looked.audience, value, said.issued).session;
      looked.error = SessionError::expired;
    } else {
      looked.error = verdict.error;
    }
    looked.session = std::move(verdict.session);
    if (looked.session) break;
  }
  return looked;
}

Link broken(std::string says, std::string sentence, std::string cure) {
  return {kName, State::broken, std::move(says), std::move(sentence),
          std::move(cure)};
}

// The bind sources of the location that most gates share: of one that has any.
const std::vector<std::string>* bind_in(const Location& location) {
  if (location.gated && !location.bind.empty()) return &location.bind;
  for (const Location& inner : location.locations) {
    if (const auto* found = bind_in(inner)) return found;
  }
  return nullptr;
}

std::string_view plain_cookie(const std::string& word) {
  constexpr std::string_view kind = "cookie=";
  std::string_view name = word;
  if (!name.starts_with(kind)) return {};
  name.remove_prefix(kind.size());
  return name.find_first_of("*|") == std::string_view::npos
             ? name
             : std::string_view();
}

// Null: it cannot be judged from here.
std::optional<Link> link_of_binding(const Looked& looked,
                                    const std::string& cookies) {
  const std::vector<std::string>* words = bind_in(looked.server->root);
  const std::string& binding = looked.session->binding;
  if (words == nullptr) return std::nullopt;
  std::vector<BoundTo> to;
  std::vector<std::string> names, absent;
  for (const std::string& word : *words) {
    const std::string_view name = plain_cookie(word);
    if (name.empty()) return std::nullopt;
    std::vector<std::string_view> values;
    cookie_values(cookies, name, values);
    names.push_back(word);
    if (values.empty()) absent.push_back(word);
    to.push_back(
        {"cookie", name, values.empty() ? std::string_view() : values.front()});
  }
  const SessionKeys keys(session_keys_of(*looked.server));
  if (bind_matches(keys, binding, to)) return std::nullopt;
  return broken(
      absent.empty() ? "it is bound to another value of " + listed(names)
                     : "it is bound, and the browser has no " + listed(absent),
      fmt::format("The session is bound to {}, and the browser {}: it is worth "
                  "nothing, and the app is asked at each request.",
                  listed(names),
                  absent.empty() ? "shows another value than when it was made"
                                 : "does not show it"),
      absent.empty()
          ? "nothing, if it logged in again just now; else have the app keep "
            "that cookie's value, or name one that stays in "
            "entitle_session_bind"
          : "have the app set that cookie for this host and path, or name "
            "the right one in entitle_session_bind");
}

Link link_of_error(const Looked& looked) {
  if (looked.error == SessionError::bad_signature) {
    return broken("it is signed with another key",
                  "The session is signed with a key that is not in "
                  "entitle_session_key_file.",
                  "keep the old key as a second line of that file while "
                  "sessions of it live, the same file on every node, and "
                  "reload; the browser gets a new one by itself");
  }
  return broken("it is no session",
                fmt::format("The cookie {} is not what nginx sealed.",
                            printable(looked.server->cookie)),
                "delete that cookie in the browser; if it comes back, "
                "something between cuts or rewrites cookies");
}

Link judge(const Context& context, const Known& known, const Looked& looked,
           const std::string& cookies) {
  const Session& session = *looked.session;
  const std::string whose = '"' + printable(session.user.str()) + '"';
  if (!looked.audience.starts_with(context.space())) {
    return broken("it was made elsewhere: " + printable(looked.audience),
                  fmt::format("The session of user {} was made for another "
                              "prefix or mode than {}.",
                              whose, context.space()),
                  "look at it there (--prefix, --mode); here the user has to "
                  "log in");
  }
  if (known.subject.user && *known.subject.user != session.user) {
    return broken("it is of user " + whose,
                  fmt::format("The browser is logged in as user {}, not as "
                              "\"{}\".",
                              whose, printable(known.subject.user->str())),
                  context.command("why " + shell_word(session.user.str())) +
                      " says what that one has; or log in as the other");
  }
  if (looked.error == SessionError::expired) {
    return broken("it is over since " + text_of_time(session.expires_at),
                  fmt::format("The session of user {} is over since {}.", whose,
                              text_of_time(session.expires_at)),
                  "log in again: the app is asked at the next request");
  }
  const auto& record = known.record;
  if (record && record->not_before && session.issued_at < *record->not_before) {
    return broken("it is from before " + text_of_time(*record->not_before),
                  fmt::format("All sessions of user {} from before {} were "
                              "ended.",
                              whose, text_of_time(*record->not_before)),
                  "log in again");
  }
  if (auto link = link_of_binding(looked, cookies)) return *std::move(link);
  if (record && known.record_exists && session.version != record->version) {
    return broken(
        fmt::format("it is stale: of version {}, and the record has {}",
                    session.version, record->version),
        fmt::format("The session of user {} is of version {}, the record of "
                    "version {}: what changed since is asked for anew.",
                    whose, session.version, record->version),
        "reload the page: the next request asks the app and makes a new one; "
        "if it stays so, " +
            context.command("check") + " says whether the app answers");
  }
  return {kName, State::whole,
          fmt::format("user {}, version {}, until {}", whose, session.version,
                      text_of_time(session.expires_at))};
}

}  // namespace

std::string cookies_in(const std::string& file) {
  std::string text = read_named_file(ReadConf{{}, {}, "."}, file);
  std::replace(text.begin(), text.end(), '\r', '\n');
  while (text.ends_with('\n')) text.pop_back();
  // Several header lines are one.
  std::string cookies;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    constexpr std::string_view kHeader = "cookie:";
    if (lower_case(line).starts_with(kHeader)) line.erase(0, kHeader.size());
    if (!cookies.empty()) cookies += ';';
    cookies += line;
    at = end + 1;
  }
  if (cookies.find('=') == std::string::npos) {
    throw Stop(Exit::usage,
               fmt::format("\"{}\" has no cookies: the line that the browser "
                           "sends, name=value; name=value",
                           printable(file)));
  }
  return cookies;
}

std::optional<User> user_of_session(const Context& context,
                                    const std::string& cookies) {
  Looked looked = look_at(context, cookies);
  if (!looked.session) return std::nullopt;
  return std::move(looked.session->user);
}

Link link_of_session(const Context& context, const Known& known,
                     const std::string& cookies) {
  const Looked looked = look_at(context, cookies);
  if (!looked.there) {
    return broken(
        "the browser has none",
        fmt::format("The browser shows no cookie {}.",
                    printable(looked.server->cookie)),
        "open a gated page once; if none comes back, see that the page is "
        "HTTPS, and entitle_session_cookie's domain and path fit it");
  }
  if (!looked.session) return link_of_error(looked);
  return judge(context, known, looked, cookies);
}

}  // namespace entitle::cli
