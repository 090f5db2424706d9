// What nginx runs beside what its configuration says now, and what it counted
// of webhooks: entitle_status is asked.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/check/here.h"
#include "core/base/decimal.h"
#include "core/json/tree.h"
#include "core/report/settings.h"

namespace entitle::cli {
namespace {

constexpr const char* kName = "nginx.configuration";
constexpr const char* kReload =
    "nginx -t && nginx -s reload; docs/operations.md says what each node does";
constexpr std::size_t kMostBytes = std::size_t{4} << 20;

const Location* status_in(const Location& location) {
  if (location.status && !path_of(location).empty()) return &location;
  for (const Location& inner : location.locations) {
    if (const Location* found = status_in(inner)) return found;
  }
  return nullptr;
}

// Any server's: it tells of them all.
std::optional<HttpRequest> request_of(const Context& context,
                                      const std::string& url) {
  std::optional<HttpRequest> request;
  if (!url.empty()) {
    request = HttpRequest{url};
  } else {
    for (const Server& server : context.site().servers) {
      const Location* status = status_in(server.root);
      if (status != nullptr) request = request_here(server, path_of(*status));
      if (request) break;
    }
  }
  if (request) {
    request->most = kMostBytes;
    request->headers = {"Accept: application/json"};
  }
  return request;
}

std::string print_of(const Server& server) {
  return fingerprint({server.name(), server.prefix, server.mode, &server.grants,
                      server.policy});
}

// Servers whose grants, graces, prefix or mode nginx does not run.
std::vector<std::string> changed(const Context& context,
                                 const json::Node* configuration) {
  std::multiset<std::string> running;
  const json::Node* servers = json::member(configuration, "servers");
  for (const json::Node* server : json::Children(servers)) {
    running.emplace(json::string(server, "fingerprint"));
  }
  std::vector<std::string> names;
  for (const Server& server : context.site().servers) {
    const auto found = running.find(print_of(server));
    if (found == running.end()) {
      names.push_back(fmt::format("{} ({})", server.name(), server.at));
    } else {
      running.erase(found);
    }
  }
  for (std::size_t i = 0; i < running.size() && names.empty(); ++i) {
    names.emplace_back("a server that is there no more");
  }
  return names;
}

std::vector<std::string> newer_files(const Context& context,
                                     std::int64_t loaded) {
  std::vector<std::string> names;
  for (const std::string& file : context.site().files) {
    struct stat about {};
    if (stat(file.c_str(), &about) == 0 && about.st_mtime > loaded) {
      names.push_back(file);
    }
  }
  return names;
}

Check configuration(const Context& context, const json::Node* root) {
  const json::Node* told = json::member(root, "configuration");
  const auto loaded = json::integer(told, "loaded");
  if (!loaded) {
    return {kName, Health::unknown, "entitle_status does not tell it",
            "see that the module is of this version"};
  }
  const std::string since = text_of_time(unix_time(*loaded));
  if (const auto names = changed(context, told); !names.empty()) {
    return {kName, Health::bad,
            fmt::format("nginx runs, since {}, other grants, graces, prefix or "
                        "mode than {} says: {}",
                        since, context.site().from, listed(names)),
            kReload};
  }
  if (const auto files = newer_files(context, *loaded); !files.empty()) {
    return {kName, Health::bad,
            fmt::format("nginx read its configuration on {}, and {} was "
                        "edited since",
                        since, listed(files)),
            kReload};
  }
  return {kName, Health::fine, "nginx runs it, since " + since};
}

// The value of a label in a line of Prometheus' format.
std::string_view label(std::string_view line, std::string_view name) {
  const std::string begin = fmt::format("{}=\"", name);
  const std::size_t at = line.find(begin);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + begin.size());
  return line.substr(0, line.find('"'));
}

std::map<std::string, std::int64_t> webhooks_in(std::string_view text,
                                                Mode mode) {
  std::map<std::string, std::int64_t> counts;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with("entitle_webhook_events_total{") ||
        label(line, "mode") != name(mode)) {
      continue;
    }
    const auto count =
        parse_decimal<std::int64_t>(line.substr(line.rfind(' ') + 1));
    if (count) counts[std::string(label(line, "outcome"))] += *count;
  }
  return counts;
}

struct Refusal {
  const char* outcome;
  const char* cure;
};
constexpr Refusal kRefusals[] = {
    {"signature_mismatch",
     "put the signing secret of Stripe's endpoint of this very URL and mode "
     "into entitle_webhook_secret_file and reload nginx; if it is there, "
     "something before nginx rewrites the body (entitlectl check --ping says)"},
    {"timestamp_out_of_tolerance",
     "set this machine's clock, and keep it by NTP: signatures are worth "
     "entitle_webhook_tolerance, five minutes"},
    {"body_too_large", "raise client_max_body_size in that location to 1m"},
    {"body_not_json", "see what sends there: it is not Stripe"},
    {"not_an_event", "see what sends there: it is not Stripe"},
};

// Who signs nothing (a scanner, this program) is nobody's fault.
Check signatures(const std::map<std::string, std::int64_t>& counts) {
  const auto of = [&](const char* outcome) {
    const auto found = counts.find(outcome);
    return found == counts.end() ? 0 : found->second;
  };
  std::int64_t taken = 0;
  for (const char* outcome :
       {"applied", "duplicate", "superseded", "parked", "unmatched"}) {
    taken += of(outcome);
  }
  const Refusal* most = nullptr;
  std::int64_t refused = 0;
  for (const Refusal& refusal : kRefusals) {
    const std::int64_t count = of(refusal.outcome);
    refused += count;
    if (count > 0 && (most == nullptr || count > of(most->outcome))) {
      most = &refusal;
    }
  }
  const std::string says =
      fmt::format("{} events were taken and {} refused since nginx started",
                  taken, refused);
  if (most == nullptr || taken > 0) {
    return {"webhook.refused", Health::fine, says};
  }
  return {"webhook.refused", Health::bad,
          fmt::format("{}: {}", says, most->outcome), most->cure};
}

}  // namespace

Checks check_running(const Context& context, const std::string& url) {
  std::optional<HttpRequest> request = request_of(context, url);
  if (!request) {
    return {{kName, Health::unknown,
             "no location has entitle_status, so what nginx runs is not told",
             "add \"location = /entitle { allow 127.0.0.1; deny all; "
             "entitle_status; }\", or say its URL: --status URL"}};
  }
  const HttpAnswer answer = ask(*request);
  json::Error error;
  const auto said = json::parse(answer.body, 16, error);
  if (!said || !json::is_object(json::member(said->root(), "configuration"))) {
    return {{kName, Health::unknown,
             fmt::format("{} {}, and not what entitle_status tells",
                         request->url, text_of(answer)),
             "let this machine ask it (allow 127.0.0.1), or say its URL: "
             "--status URL"}};
  }
  Checks checks{configuration(context, said->root())};
  request->headers = {};
  request->url += "?format=prometheus";
  const HttpAnswer metrics = ask(*request);
  if (metrics.status == 200 || metrics.status == 503) {
    checks.push_back(signatures(webhooks_in(metrics.body, context.mode())));
  }
  return checks;
}

}  // namespace entitle::cli
