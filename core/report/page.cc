// The status as a page: no script, nothing from elsewhere, all that came from
// outside escaped.

#include "core/report/page.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/base/ascii.h"
#include "core/base/utf8.h"
#include "core/base/version.h"
#include "core/json/tree.h"
#include "core/report/status.h"
#include "core/report/words.h"

namespace entitle {
namespace {

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#60646c;"
    "--line:#d9d9e0;--card:#f7f7f9;--good:#18794e;--bad:#b3261e;--warn:#8a5a00}"
    "@media(prefers-color-scheme:dark){:root{--bg:#111113;--fg:#edeef0;"
    "--dim:#b0b4ba;--line:#363a3f;--card:#18191b;--good:#3dd68c;--bad:#ff9592;"
    "--warn:#ffca16}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:56rem;padding:1rem;background:var(--bg);"
    "color:var(--fg);font:1rem/1.5 system-ui,sans-serif}"
    "h1{font-size:1.35rem;line-height:1.3;margin:.25rem 0 1rem;"
    "border-left:.3rem solid;padding-left:.75rem}"
    "h1.good{border-color:var(--good)}h1.bad{border-color:var(--bad)}"
    "h1.warn{border-color:var(--warn)}"
    "h2{font-size:1.05rem;margin:0 0 .5rem}"
    "header,footer{color:var(--dim);font-size:.875rem}"
    "section{background:var(--card);border:1px solid var(--line);"
    "border-radius:.5rem;padding:.85rem 1rem;margin:0 0 1rem}"
    "dl{display:grid;grid-template-columns:11rem minmax(0,1fr);"
    "gap:.3rem .75rem;margin:0}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}"
    "code{font:.875em ui-monospace,monospace;overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;"
    "font-variant-numeric:tabular-nums}"
    "th,td{text-align:right;padding:.2rem .6rem;"
    "border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left;padding-left:0}"
    "th{color:var(--dim);font-weight:500}tr:last-child td{border-bottom:0}"
    ".bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}"
    "h1.bad,h1.warn,h1.good{color:inherit}"
    ".mend{display:block;color:var(--dim)}"
    "@media(max-width:36rem){dl{display:block}dd{margin-bottom:.5rem}"
    "dt{font-size:.875rem}th,td{padding:.2rem .35rem;font-size:.875rem}}"
    "form{margin:0 0 1rem}form div{display:flex;flex-wrap:wrap;gap:.5rem}"
    "label{display:block;color:var(--dim);font-size:.875rem}"
    "input,select,button{font:inherit;color:inherit;background:var(--card);"
    "border:1px solid var(--line);border-radius:.4rem;padding:.4rem .6rem}"
    "input{flex:1 1 12rem;min-width:0}";

// Bytes that are no UTF-8 or move cursors are shown as what they are.
std::string html(std::string_view text) {
  constexpr std::size_t kMost = 512;
  std::string safe;
  const bool whole = is_utf8(text);
  for (const char c : text.substr(0, kMost)) {
    if (is_control_byte(c) || (!whole && static_cast<unsigned char>(c) > 127)) {
      safe += '?';
      continue;
    }
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

class Page {
 public:
  Page(const Status& status, const Searched& searched)
      : status_(status), searched_(searched) {}

  std::string text();

 private:
  void row(std::string_view term, const std::string& made_html);
  void head();
  void space(const SpaceStatus& space);
  void list(const SpaceStatus& space, const WaitingList& list,
            std::string_view term, std::string_view command);
  void webhooks(const SpaceStatus& space);
  void reconcile(const SpaceStatus& space);
  void redis();
  void hours();
  void grants();
  std::string ago(std::int64_t unix_seconds) const;

  void form();
  void found();
  void purchase(const FoundPurchase& purchase);

  const Status& status_;
  const Searched& searched_;
  std::string out_;
};

void Page::row(std::string_view term, const std::string& made_html) {
  out_ += "<dt>" + html(term) + "</dt><dd>" + made_html + "</dd>\n";
}

std::string Page::ago(std::int64_t unix_seconds) const {
  return span_words(status_.now - unix_seconds) + " ago <code>" +
         html(time_words(unix_seconds)) + "</code>";
}

void Page::head() {
  const bool waits = std::any_of(
      status_.spaces.begin(), status_.spaces.end(), [](const auto& space) {
        return space.parked.count != 0 || space.unmatched.count != 0;
      });
  const char* how = !is_well(status_)                ? "bad"
                    : waits || status_.dry_runs != 0 ? "warn"
                                                     : "good";
  out_ +=
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n"
      "<meta name=\"robots\" content=\"noindex\">\n"
      "<title>entitle</title><style>";
  out_ += kStyle;
  out_ += "</style></head>\n<body><header>entitle ";
  out_ += html(kVersion);
  out_ += ", nginx " + html(status_.nginx) + "</header>\n<h1 class=\"";
  out_ += how;
  out_ += "\">" + html(headline(status_)) + "</h1>\n";
}

void Page::list(const SpaceStatus& space, const WaitingList& list,
                std::string_view term, std::string_view command) {
  if (!list.error.empty()) {
    row(term, "<b class=\"bad\">cannot be read</b>: " + html(list.error));
    return;
  }
  if (list.count == 0) {
    row(term, "<span class=\"good\">none</span>");
    return;
  }
  row(term, "<b class=\"warn\">" + std::to_string(list.count) +
                "</b>, the oldest for " +
                span_words(list.oldest_seconds(status_.now)) +
                "<span class=\"mend\">who they are: <code>" +
                html(command_words(command, {}, space.prefix, space.mode)) +
                "</code></span>");
}

void Page::webhooks(const SpaceStatus& space) {
  const auto time = [&](std::string_view field) {
    const auto at = space.webhook_number(field);
    return at ? ago(*at) : std::string("never");
  };
  row("Last event", time("last_received"));
  row("Last applied", time("last_applied"));
  if (space.webhook_number("last_refused")) {
    row("Last refused", time("last_refused") + " <span class=\"bad\">" +
                            html(space.webhook_text("last_refused_why")) +
                            "</span>");
  }
  for (const auto& [field, term] :
       {std::pair<std::string_view, std::string_view>{"conflicts",
                                                      "Claims in conflict"},
        {"assumed_ends", "Ends assumed"}}) {
    if (space.webhook_number(field).value_or(0) != 0) {
      row(term, html(space.webhook_text(field)));
    }
  }
}

// {"time":…,"finished":true,"counts":{"missing":0,…}}
void Page::reconcile(const SpaceStatus& space) {
  if (space.reconcile.empty()) {
    row("Last reconcile", "never");
    return;
  }
  json::Error why;
  const auto document = json::parse(space.reconcile, 16, why);
  const json::Node* root = document ? document->root() : nullptr;
  const auto at = json::integer(root, "time");
  if (!at) {
    row("Last reconcile", "<span class=\"bad\">cannot be read</span>");
    return;
  }
  std::string text = ago(*at);
  if (!json::boolean(root, "finished").value_or(true)) {
    text += ", <b class=\"bad\">not finished</b>";
  }
  const json::Node* counts = json::member(root, "counts");
  std::string found;
  if (json::is_object(counts)) {
    for (const json::Node* each : json::Children(counts)) {
      const auto number = json::integer(counts, each->key());
      if (number && *number != 0) {
        found += found.empty() ? ": " : ", ";
        found += std::to_string(*number) + ' ' + html(each->key());
      }
    }
  }
  row("Last reconcile", text + (found.empty() ? ": nothing differed" : found));
}

void Page::space(const SpaceStatus& space) {
  out_ += "<section><h2>" + html(space.prefix) + std::string(name(space.mode)) +
          "</h2><dl>\n";
  list(space, space.parked, "Paid, nobody’s", "parked");
  list(space, space.unmatched, "Opens nothing", "unmatched");
  webhooks(space);
  reconcile(space);
  out_ += "</dl></section>\n";
}

void Page::redis() {
  out_ += "<section><h2>Redis and cache</h2><dl>\n";
  row("Redis", status_.reachable ? "<span class=\"good\">answers</span>"
                                 : "<b class=\"bad\">cannot be reached</b>");
  if (status_.reachable && status_.replication.counted != 0) {
    row("Replicas",
        std::to_string(status_.replication.replicas) + ", of which " +
            std::to_string(status_.replication.counted) + " are waited for");
  }
  if (status_.gated) {
    row("Lease",
        status_.hears_changes
            ? "<span class=\"good\">holds: changes are heard</span>"
            : "<span class=\"warn\">is not held now: the next request asks "
              "Redis</span>");
    const std::size_t used = status_.zone_bytes - status_.zone_free;
    row("Zone", std::to_string(used / 1024) + " of " +
                    std::to_string(status_.zone_bytes / 1024) + " KiB used");
  }
  row("Held now", count_words(static_cast<std::int64_t>(status_.waiting),
                              "request", "requests"));
  out_ += "</dl></section>\n";
}

void Page::hours() {
  constexpr std::size_t kMost = 24;
  constexpr std::array<std::string_view, kDecisions> kHeads = {
      "let in", "log in", "pay", "error", "let in stale", "let in unverified"};
  out_ += "<section><h2>Decisions by the hour (UTC)</h2>";
  if (status_.hours.empty()) {
    out_ += "<p>None yet.</p></section>\n";
    return;
  }
  std::array<bool, kDecisions> shown{true, true, true, true};
  for (const Hours::Hour& hour : status_.hours) {
    for (std::size_t i = 0; i < kDecisions; i++) {
      shown[i] = shown[i] || hour.decisions[i] != 0;
    }
  }
  out_ += "<div class=\"scroll\"><table><tr><th>from</th>";
  for (std::size_t i = 0; i < kDecisions; i++) {
    if (shown[i]) out_ += "<th>" + std::string(kHeads[i]) + "</th>";
  }
  out_ += "</tr>\n";
  for (std::size_t i = 0; i < std::min(kMost, status_.hours.size()); i++) {
    const Hours::Hour& hour = status_.hours[i];
    out_ += "<tr><td>" + time_words(hour.hour * 3600).substr(5, 11) + "</td>";
    for (std::size_t d = 0; d < kDecisions; d++) {
      if (shown[d]) {
        out_ += "<td>" + std::to_string(hour.decisions[d]) + "</td>";
      }
    }
    out_ += "</tr>\n";
  }
  out_ += "</table></div></section>\n";
}

void Page::grants() {
  out_ += "<section><h2>Grants</h2>\n";
  std::vector<std::string> told;
  for (const ServerSettings& server : status_.servers) {
    const std::string print = fingerprint(server);
    if (server.grants->empty() ||
        std::find(told.begin(), told.end(), print) != told.end()) {
      continue;  // servers inherit them
    }
    told.push_back(print);
    out_ += "<dl><dt>" + html(server.prefix) + std::string(name(server.mode)) +
            "</dt><dd><code>" + print + "</code></dd>\n";
    std::map<std::string, std::string> by_name;
    for (const Identifier& identifier : server.grants->identifiers()) {
      for (const std::string_view given :
           server.grants->entitlements_of(identifier)) {
        by_name[std::string(given)] +=
            "<code>" + html(identifier.str()) + "</code> ";
      }
    }
    for (const auto& [given, identifiers] : by_name) row(given, identifiers);
    out_ += "</dl>\n";
  }
  if (told.empty()) {
    out_ +=
        "<p>No <code>entitle_grant</code>: features and names in metadata "
        "give their namesakes.</p>\n";
  }
  out_ += "</section>\n";
}

void Page::form() {
  out_ +=
      "<form><label for=\"q\">Why is somebody in or out? A user, an "
      "e-mail, cus_, cs_, pi_, in_, ch_ or evt_</label>\n"
      "<div><input id=\"q\" name=\"q\" maxlength=\"320\" "
      "autocomplete=\"off\" value=\"" +
      html(searched_.text) + "\">";
  if (status_.spaces.size() > 1) {
    out_ += "<select name=\"in\" aria-label=\"prefix and mode\">";
    for (std::size_t i = 0; i < status_.spaces.size(); i++) {
      const SpaceStatus& space = status_.spaces[i];
      out_ += "<option value=\"" + std::to_string(i) + '"';
      if (i == searched_.space) out_ += " selected";
      out_ += '>' + html(space.prefix) + std::string(name(space.mode)) +
              "</option>";
    }
    out_ += "</select>";
  }
  out_ += "<button>Look</button></div></form>\n";
}

void Page::purchase(const FoundPurchase& purchase) {
  std::string text;
  if (purchase.effective) {
    text = purchase.until == kForever
               ? "<span class=\"good\">effective</span>"
               : "<span class=\"good\">effective until</span> <code>" +
                     html(time_words(to_unix(purchase.until))) + "</code>";
  } else {
    text = "<span class=\"warn\">" + html(purchase.lapse) + "</span>";
  }
  text += purchase.gives.empty()
              ? "<br><b class=\"warn\">no entitle_grant names it</b>"
              : "<br>gives";
  for (const std::string& given : purchase.gives) text += ' ' + html(given);
  text += "<span class=\"mend\">known by";
  for (const std::string& identifier : purchase.identifiers) {
    text += " <code>" + html(identifier) + "</code>";
  }
  row(purchase.source, text + "</span>");
}

void Page::found() {
  const SearchFound& found = *searched_.found;
  const SpaceStatus& space = status_.spaces[searched_.space];
  out_ += "<section><h2>" + html(verdict_of(found, searched_.purchases)) +
          "</h2><dl>\n";
  if (!found.event_outcome.empty()) row("Event", html(found.event_outcome));
  if (!found.place.empty()) {
    row("Kept in", "<code>" + html(found.place) + "</code>");
  }
  if (found.version != 0) row("Version", std::to_string(found.version));
  for (const FoundPurchase& each : searched_.purchases) purchase(each);
  for (const std::string& line : found.log_lines) {
    row("Log", "<code>" + html(line) + "</code>");
  }
  row("The whole chain",
      "<code>" +
          html(command_words("why", searched_.text, space.prefix, space.mode)) +
          "</code>");
  out_ += "</dl></section>\n";
}

std::string Page::text() {
  head();
  if (status_.reachable) {
    form();
    if (searched_.found) found();
  }
  bool any = false;
  for (const SpaceStatus& each : status_.spaces) {
    const bool used = !each.webhook.empty() || !each.reconcile.empty() ||
                      each.parked.count != 0 || each.unmatched.count != 0 ||
                      each.is_unread();
    if (status_.reachable && used) {
      space(each);
      any = true;
    }
  }
  if (status_.reachable && !any) {
    out_ += "<section><h2>Webhooks</h2><p>None has come yet.</p></section>\n";
  }
  redis();
  hours();
  grants();
  out_ += "<footer>As worker " + std::to_string(status_.worker) +
          " saw it at " + html(time_words(status_.now)) +
          "; configuration of " + html(time_words(status_.loaded)) +
          "</footer>\n</body></html>\n";
  return std::move(out_);
}

}  // namespace

std::string status_page(const Status& status, const Searched& searched) {
  return Page(status, searched).text();
}

// The page's own style and nothing else, by its digest.
std::string page_policy() {
  std::array<unsigned char, 32> digest{};
  std::array<unsigned char, 48> encoded{};  // 44 and a NUL
  unsigned size = 0;
  if (EVP_Digest(kStyle.data(), kStyle.size(), digest.data(), &size,
                 EVP_sha256(), nullptr) != 1) {
    size = 0;
  }
  const int length =
      EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return "default-src 'none'; style-src 'sha256-" +
         std::string(reinterpret_cast<const char*>(encoded.data()),
                     static_cast<std::size_t>(length)) +
         "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
}

}  // namespace entitle
