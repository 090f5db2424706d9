// Whether the gates are shut to whoever is not logged in, and whether the app
// says who somebody is: nginx on this machine is asked.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/check/here.h"
#include "cli/why/url.h"
#include "core/json/tree.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMostGates = 20;

struct Gate {
  const Server* server;
  const Location* location;
  std::string path;
};

void add_gates(const Server& server, const Location& location,
               std::vector<Gate>& gates) {
  const bool stands = location.gated && !location.optional &&
                      !location.internal && !location.poll;
  const std::string path = location.path.empty() ? "/" : path_of(location);
  // What serves that path may be another one.
  if (stands && !path.empty() && &location_for(server, path) == &location) {
    gates.push_back({&server, &location, path});
  }
  for (const Location& inner : location.locations) {
    add_gates(server, inner, gates);
  }
}

// As a program whom nobody knows, with whatever the app goes by, so that it is
// asked.
HttpRequest stranger(const Location& location, HttpRequest request) {
  request.headers = {"Accept: application/json"};
  if (location.reauth.empty()) return request;
  std::string cookies = "entitlectl=check";
  for (std::string word : location.credentials) {
    if (word.ends_with('*')) word.pop_back();
    if (word.starts_with("cookie=")) {
      cookies += "; " + word.substr(7) + "=check";
    } else if (word.starts_with("header=")) {
      request.headers.push_back(word.substr(7) + ": check");
    }
  }
  request.headers.push_back("Cookie: " + cookies);
  return request;
}

std::string reason_in(const HttpAnswer& answer) {
  json::Error error;
  const auto said = json::parse(answer.body, 16, error);
  return said ? std::string(json::string(said->root(), "reason")) : "";
}

Check failing(const Gate& gate, const std::string& where,
              const HttpAnswer& answer) {
  const std::string reason = reason_in(answer);
  if (reason == "redis_unreachable") {
    return {"gate", Health::bad, where + " answers 503: Redis is not reached",
            "see the line redis, and nginx's error.log"};
  }
  const std::string& uri = gate.location->reauth;
  if (uri.empty()) {
    return {"gate", Health::bad, where + ' ' + text_of(answer),
            "nginx's error.log says why"};
  }
  return {"gate.app", Health::bad,
          fmt::format("{} answers 503: the app does not say who somebody is "
                      "(entitle_reauth {})",
                      where, printable(uri)),
          fmt::format("have the app answer {}: 200 with the user, 401 to whom "
                      "it does not know; nginx's error.log says what it did",
                      printable(uri))};
}

Check open_door(const Gate& gate, const std::string& where,
                const HttpAnswer& answer) {
  if (gate.location->dry_run) {
    return {"gate", Health::bad,
            fmt::format("{} lets everybody by: entitle_dry_run", where),
            "when the counts are right, take entitle_dry_run out and reload"};
  }
  return {"gate", Health::bad,
          fmt::format("{} {} to a stranger", where, text_of(answer)),
          fmt::format("reload nginx, if it runs another configuration; else "
                      "see what answers before the gate in {}: a return, a "
                      "rewrite, satisfy any",
                      gate.location->at)};
}

Check look_at(const Gate& gate, HttpRequest request) {
  const HttpAnswer answer = ask(stranger(*gate.location, std::move(request)));
  const std::string where =
      fmt::format("{} of {}", printable(gate.path), gate.server->name());
  switch (answer.status) {
    case 0:
      return {"gate", Health::bad, where + ' ' + text_of(answer),
              "see whether nginx runs, and what it listens on"};
    case 401:
    case 402:
    case 403:
      return {"gate", Health::fine, where + " is shut to strangers"};
    case 302: {
      const std::string& login = gate.location->login_url;
      if (!login.empty()) {
        return {"gate", Health::fine, where + " sends strangers to the login"};
      }
      break;
    }
    case 503:
      return failing(gate, where, answer);
    default:
      break;
  }
  return open_door(gate, where, answer);
}

// Sent to log in, and not let in there: round and round.
Check login_page(const Gate& gate, const std::string& page) {
  const Location& served = location_for(*gate.server, page);
  if (served.gated && !served.optional && !served.dry_run) {
    return {
        "gate.login", Health::bad,
        fmt::format("the login page {} is gated itself, by {}", printable(page),
                    text_of(served)),
        fmt::format("have a location of its own for {} say \"entitle off;\"",
                    printable(page))};
  }
  const auto request = request_here(*gate.server, page);
  const HttpAnswer answer = request ? ask(*request) : HttpAnswer{};
  if (answer.status == 404 || answer.status >= 500) {
    return {
        "gate.login", Health::bad,
        fmt::format("the login page {} {}", printable(page), text_of(answer)),
        "see entitle_login_url, and what answers there"};
  }
  return {"gate.login", Health::fine, printable(page) + " is open"};
}

// The path of a login page on the server itself; empty: it is elsewhere.
std::string login_path(const Location& location) {
  const std::string path =
      location.login_url.substr(0, location.login_url.find_first_of("?#"));
  const bool here = path.starts_with('/') && !path.starts_with("//") &&
                    path.find('$') == std::string::npos;
  return here ? path : "";
}

// What is fine is said once.
void take(Check check, Checks& checks) {
  for (const Check& other : checks) {
    if (check.health == Health::fine && other.name == check.name) return;
  }
  checks.push_back(std::move(check));
}

}  // namespace

Checks check_gates(const Context& context) {
  std::vector<Gate> gates;
  bool any = false;
  for (const Server* server : context.servers()) {
    any = any || server->has_gate();
    add_gates(*server, server->root, gates);
  }
  if (gates.empty()) {
    if (!any) return {};
    return {{"gate", Health::unknown,
             "no gate has a path that can be asked for",
             "ask for a page yourself, as a stranger: 401, or 302 to the "
             "login, is right"}};
  }
  Checks checks;
  std::set<std::pair<const Server*, std::string>> pages;
  for (std::size_t i = 0; i < gates.size() && i < kMostGates; ++i) {
    const Gate& gate = gates[i];
    auto request = request_here(*gate.server, gate.path);
    if (!request) continue;
    Check check = look_at(gate, *std::move(request));
    if (check.health == Health::fine && !gate.location->reauth.empty()) {
      take({"gate.app", Health::fine,
            fmt::format("the app answers (entitle_reauth {})",
                        printable(gate.location->reauth))},
           checks);
    }
    take(std::move(check), checks);
    const std::string page = login_path(*gate.location);
    if (!page.empty() && pages.emplace(gate.server, page).second) {
      take(login_page(gate, page), checks);
    }
  }
  return checks;
}

}  // namespace entitle::cli
