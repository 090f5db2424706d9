// entitlectl why: in or out, and which link of the chain is broken.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/command/command.h"
#include "cli/why/chain.h"
#include "cli/why/session.h"
#include "cli/why/url.h"
#include "core/access/decision.h"
#include "core/access/problem.h"
#include "core/access/standing.h"
#include "core/record/fields.h"
#include "core/report/words.h"

namespace entitle::cli {
namespace {

enum class LineState { holds, does_not, unknown };

struct JudgedLine {
  const RequireLine* line;
  LineState state;
};

// What a URL asks for, and what the user gets there.
struct AtUrl {
  Url url;
  const Server* server = nullptr;
  const Location* location = nullptr;
  std::vector<JudgedLine> lines;
  std::optional<Ruling> ruling;  // null: a name has a variable that decides
};

struct Reason {
  bool in = false;
  bool cannot_tell = false;
  std::string verdict;  // one sentence
  std::vector<Link> chain;
  const Purchase* purchase = nullptr;
  std::vector<Entitlement> held;
};

// --- with --url --------------------------------------------------------------

LineState state_of(const RequireLine& line,
                   const std::vector<std::string>& held) {
  LineState state = LineState::does_not;
  for (const std::string& name : line.names) {
    if (std::find(held.begin(), held.end(), name) != held.end()) {
      return LineState::holds;
    }
    if (name.find('$') != std::string::npos) state = LineState::unknown;
  }
  return state;
}

AtUrl at_url(const Context& context, const std::string& text,
             const Standing& standing) {
  AtUrl at;
  at.url = url_of(text);
  at.server = &server_for(context, at.url);
  at.location = &location_for(*at.server, at.url.path);
  static const std::vector<RequireLine> none;
  const std::vector<RequireLine>& required =
      at.location->gated ? at.location->require : none;
  std::vector<Alternatives> lines;
  for (const RequireLine& line : required) {
    lines.emplace_back(line.names.begin(), line.names.end());
  }
  const Server& server = *at.server;
  const Ruling ruling =
      decide(standing, lines, server.grants, server.policy, context.now());
  bool decided = true;
  for (const RequireLine& line : required) {
    at.lines.push_back({&line, state_of(line, ruling.entitlements)});
    decided &= at.lines.back().state != LineState::unknown;
  }
  const bool refused = std::any_of(
      at.lines.begin(), at.lines.end(),
      [](const JudgedLine& l) { return l.state == LineState::does_not; });
  if (decided || refused) at.ruling = ruling;
  return at;
}

std::string text_of(const AtUrl& at) {
  std::string text = fmt::format("{} is served by {}\n", printable(at.url.path),
                                 entitle::cli::text_of(*at.location));
  if (!at.location->gated) return text + "    which asks for nothing\n";
  if (at.lines.empty()) text += "    which asks for a login alone\n";
  for (const JudgedLine& judged : at.lines) {
    std::string names;
    for (const std::string& name : judged.line->names) {
      names += ' ' + printable(name);
    }
    const char* state = judged.state == LineState::holds ? "holds"
                        : judged.state == LineState::does_not
                            ? "DOES NOT HOLD"
                            : "cannot be told: a variable decides";
    text += fmt::format("    entitle_require{};  {} ({})\n", names, state,
                        judged.line->at);
  }
  return text;
}

// --- the verdict -------------------------------------------------------------

std::string who(const Known& known) {
  const Subject& subject = known.subject;
  if (subject.user) return "User \"" + printable(subject.user->str()) + '"';
  return printable(subject.asked);
}

std::string text_of_held(const std::vector<Entitlement>& held) {
  std::vector<std::string> words;
  for (const Entitlement& entitlement : held) {
    words.push_back(entitlement.until == kForever
                        ? printable(entitlement.name)
                        : printable(entitlement.name) + " until " +
                              text_of_time(entitlement.until));
  }
  return listed(words);
}

Standing standing_of_known(const Known& known) {
  return known.record ? standing_of(*known.record) : Standing{};
}

// Names of whose lack the URL is refused; of all names without a URL.
std::vector<std::string> wanted_of(const std::optional<AtUrl>& at) {
  return at && at->ruling ? at->ruling->missing : std::vector<std::string>{};
}

void judge_at_url(Reason& reason, const Known& known, const AtUrl& at) {
  const std::string path = printable(at.url.path);
  if (!at.location->gated || (at.location->optional && at.lines.empty())) {
    reason.in = true;
    reason.verdict = fmt::format("{} is open to everybody.", path);
  } else if (!at.ruling) {
    reason.cannot_tell = true;
    reason.verdict = fmt::format(
        "{} requires what a variable says: nobody can "
        "tell from here.",
        path);
  } else if (at.ruling->decision == Decision::allow) {
    reason.in = true;
    reason.verdict =
        at.lines.empty()
            ? fmt::format("{} is let in at {}, logged in.", who(known), path)
            : fmt::format("{} is let in at {}{}.", who(known), path,
                          at.ruling->until == kForever
                              ? ""
                              : " until " + text_of_time(at.ruling->until));
  } else {
    reason.verdict =
        fmt::format("{} is out at {}: {} {}, without {}.", who(known), path,
                    status_of(at.ruling->decision), name(at.ruling->reason),
                    listed(at.ruling->missing));
  }
}

Reason reason_of(const Context& context, const Known& known,
                 const std::optional<AtUrl>& at) {
  Reason reason;
  const GrantMap namesakes;
  const GrantMap& grants =
      context.grants() != nullptr ? *context.grants() : namesakes;
  reason.held = entitlements(standing_of_known(known).projections, grants,
                             context.policy(), context.now());
  reason.purchase = purchase_to_explain(known, wanted_of(at));
  reason.chain = chain_of(context, known, reason.purchase);
  if (at) {
    judge_at_url(reason, known, *at);
  } else if (!reason.held.empty()) {
    reason.in = true;
    reason.verdict =
        fmt::format("{} is in: {}.", who(known), text_of_held(reason.held));
  } else if (known.subject.user) {
    reason.verdict = fmt::format("{} is out: no entitlement.", who(known));
  } else {
    reason.verdict =
        fmt::format("{} is nobody's: it opens nothing.", who(known));
  }
  return reason;
}

// In, and what was asked about is well: else something was found.
Exit exit_of(const Reason& reason) {
  if (reason.cannot_tell) return Exit::cannot_tell;
  return reason.in && first_broken(reason.chain) == nullptr ? Exit::fine
                                                            : Exit::found;
}

// --- as text -----------------------------------------------------------------

std::string text_of_chain(const std::vector<Link>& chain) {
  std::string text;
  for (const Link& link : chain) {
    const std::string state = link.state == LinkState::broken
                                  ? "BROKEN"
                                  : std::string(name(link.state));
    text += fmt::format("    {:<9}  {:<7}  {}\n", link.name, state, link.says);
  }
  return text;
}

std::string text_of_others(const Known& known, const Purchase* told) {
  std::string text;
  for (const Purchase& purchase : known.purchases) {
    if (&purchase == told) continue;
    const std::string gives =
        purchase.gives.empty() ? "nothing" : listed(purchase.gives);
    text += fmt::format("    {} ({}): {} {}\n", printable(purchase.source),
                        name(purchase.state),
                        purchase.effective ? "gives" : "would give", gives);
  }
  return text.empty() ? text : "\nBesides:\n" + text;
}

std::string text_of_log(const std::vector<LogLine>& log) {
  if (log.empty()) return {};
  std::string text = "\nLast in the log:\n";
  for (const LogLine& line : log) {
    text += fmt::format("    {}  {}  {}  {}\n", text_of_time(line.time),
                        printable(line.event), printable(line.type),
                        printable(line.outcome));
  }
  return text;
}

std::string text_of(const Known& known, const Reason& reason,
                    const std::optional<AtUrl>& at) {
  std::string text = reason.verdict + "\n\n" + text_of_chain(reason.chain);
  if (const Link* broken = first_broken(reason.chain)) {
    text += '\n' + broken->sentence + "\n    -> " + broken->cure + '\n';
  }
  if (at) text += '\n' + text_of(*at);
  return text + text_of_others(known, reason.purchase) + text_of_log(known.log);
}

// --- as JSON -----------------------------------------------------------------

void write(json::Writer& out, const Link& link) {
  out.begin_object()
      .text("link", link.name)
      .text("state", name(link.state))
      .text("says", link.says);
  if (link.state == LinkState::broken) {
    out.text("sentence", link.sentence).text("cure", link.cure);
  }
  out.end_object();
}

void write(json::Writer& out, const AtUrl& at) {
  out.begin_object()
      .text("path", printable(at.url.path))
      .text("location", entitle::cli::text_of(*at.location))
      .boolean("gated", at.location->gated)
      .key("require")
      .begin_array();
  for (const JudgedLine& judged : at.lines) {
    out.begin_object().key("names").strings(
        judged.line->names,
        [](const std::string& name) { return printable(name); });
    out.text("at", judged.line->at).key("holds");
    if (judged.state == LineState::unknown) {
      out.null();
    } else {
      out.boolean(judged.state == LineState::holds);
    }
    out.end_object();
  }
  out.end_array();
  if (at.ruling) {
    out.text("decision", name(at.ruling->decision))
        .text("reason", name(at.ruling->reason));
  }
  out.end_object();
}

void write_subject(json::Writer& out, const Subject& subject) {
  out.text("asked", printable(subject.asked)).boolean("known", subject.known);
  if (subject.user) out.text("user", printable(subject.user->str()));
  if (!subject.place.empty()) out.text("place", printable(subject.place));
}

std::string json_of(const Context& context, const Known& known,
                    const Reason& reason, const std::optional<AtUrl>& at) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  write_subject(out, known.subject);
  out.text("verdict", reason.cannot_tell ? "unknown"
                      : reason.in        ? "in"
                                         : "out")
      .text("says", reason.verdict);
  const Link* broken = first_broken(reason.chain);
  if (broken != nullptr) out.text("broken", broken->name);
  out.key("chain").begin_array();
  for (const Link& link : reason.chain) write(out, link);
  out.end_array().key("entitlements").begin_array();
  for (const Entitlement& held : reason.held) {
    out.begin_object().text("name", printable(held.name));
    if (held.until != kForever) out.number("until", to_unix(held.until));
    out.end_object();
  }
  out.end_array().key("purchases").begin_array();
  for (const Purchase& purchase : known.purchases) {
    entitle::cli::write(out, purchase);
  }
  out.end_array();
  if (at) {
    out.key("url");
    write(out, *at);
  }
  out.key("log").begin_array();
  for (const LogLine& line : known.log) out.raw(line.json);
  out.end_array().end_object();
  return text;
}

// --- nobody, or several ------------------------------------------------------

Answer several(const Context& context, const Subject& subject, bool as_json) {
  Answer answer{Exit::found, {}};
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    write_subject(out, subject);
    out.key("several")
        .strings(subject.several,
                 [](const std::string& one) { return printable(one); })
        .end_object();
    return answer;
  }
  answer.text =
      fmt::format("{} is of several; ask for one:\n", printable(subject.asked));
  for (const std::string& one : subject.several) {
    answer.text += "    " + context.command("why " + shell_word(one)) + '\n';
  }
  return answer;
}

// How to ask for what is near: "ann under shop:test" is in another space.
// Empty: it is in this one.
std::string command_there(const std::string& other) {
  constexpr std::string_view under = " under ";
  const std::size_t at = other.rfind(under);
  if (at == std::string::npos) return {};
  const std::string space = other.substr(at + under.size());
  const Mode mode = space.ends_with("live") ? Mode::live : Mode::test;
  return command_words("why", other.substr(0, at),
                       space.substr(0, space.size() - name(mode).size()), mode);
}

Answer nothing_known(const Context& context, const Known& known, bool as_json) {
  const Subject& subject = known.subject;
  const std::vector<std::string> others = near(context, subject);
  const std::vector<Link> chain = chain_of(context, known, nullptr);
  const std::int64_t parked =
      list_at(context, context.keys().parked(), 1).total;
  Answer answer{subject.looked_everywhere ? Exit::found : Exit::cannot_tell,
                {}};
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    write_subject(out, subject);
    out.text("verdict", "unknown");
    if (const Link* broken = first_broken(chain)) {
      out.text("broken", broken->name);
    }
    out.number("parked", parked)
        .key("near")
        .strings(others)
        .key("chain")
        .begin_array();
    for (const Link& link : chain) write(out, link);
    out.end_array().end_object();
    return answer;
  }
  std::string& text = answer.text;
  text = fmt::format("Nothing is known of {} under {}{}.\n",
                     printable(subject.asked), context.space(),
                     subject.looked_everywhere
                         ? ""
                         : ", as far as there was time to look: name its "
                           "customer or user");
  if (!others.empty()) text += "Near is: " + listed(others) + '\n';
  for (const std::string& other : others) {
    const std::string command = command_there(other);
    if (!command.empty()) text += "    -> " + command + '\n';
  }
  text += '\n' + text_of_chain(chain);
  if (const Link* broken = first_broken(chain)) {
    text += '\n' + broken->sentence + "\n    -> " + broken->cure + '\n';
  } else if (parked > 0) {
    text += fmt::format(
        "\n{} paid and belong to nobody. Is it one of them?\n"
        "    -> {}\n",
        parked, context.command("parked"));
  } else {
    text +=
        "\nNothing of it came, while others do.\n    -> look it up in "
        "Stripe's dashboard: whether it is paid, and what became of the "
        "event's delivery\n";
  }
  return answer;
}

// Whom it is about: who was named, or whose the session is.
std::string asked_for(const Context& context, const WhyOptions& options,
                      const std::optional<std::string>& cookies) {
  if (!options.subject.empty()) return options.subject;
  if (!cookies) {
    throw Stop(Exit::usage, "why takes whom it is about, or --cookie FILE");
  }
  const std::optional<User> user = user_of_session(context, *cookies);
  if (!user) {
    throw Stop(Exit::found,
               "no session among these cookies that could be read: name whose "
               "it should be, to be told what is wrong with it");
  }
  return "u:" + user->str();
}

}  // namespace

Answer why(const Context& context, const WhyOptions& options, bool as_json) {
  std::optional<std::string> cookies;
  if (!options.cookies.empty()) cookies = cookies_in(options.cookies);
  Subject subject = subject_of(context, asked_for(context, options, cookies));
  if (!subject.several.empty()) return several(context, subject, as_json);
  Known known = read_known(context, std::move(subject));
  known.cookies = std::move(cookies);
  if (!known.subject.known && options.url.empty()) {
    return nothing_known(context, known, as_json);
  }
  std::optional<AtUrl> at;
  if (!options.url.empty()) {
    at = at_url(context, options.url, standing_of_known(known));
  }
  const Reason reason = reason_of(context, known, at);
  return {exit_of(reason), as_json ? json_of(context, known, reason, at)
                                   : text_of(known, reason, at)};
}

}  // namespace entitle::cli
