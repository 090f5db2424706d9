// entitlectl link: says whose something is, before all that events say.
#include "core/delivery/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "cli/base/progress.h"
#include "cli/base/text.h"
#include "cli/command/agree.h"
#include "cli/command/command.h"
#include "cli/command/link_lines.h"
#include "cli/kept/find.h"
#include "cli/kept/held.h"
#include "cli/kept/lookup.h"
#include "core/source/claim.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMostShown = 100;  // links of a plan

// What whoever has less had, and has.
struct Lost {
  std::vector<std::string> before, after;  // entitlements
};

// What one line comes to, from what Redis holds now.
struct Plan {
  LinkLine line;
  User to;
  std::string place;
  // What is linked, the first of which is what was named; empty: all.
  std::vector<std::string> sources{};
  std::string subscription{};         // that the session named is of
  std::set<User> from{};              // whose any of what moves is now
  std::set<std::string> moves{};      // sources
  std::set<std::string> stays{};      // named by an operator by themselves
  bool said = false;                  // an operator has said just that
  std::vector<std::string> before{};  // entitlements of `to`
  std::vector<std::string> after{};   // once it is done
  std::map<User, Lost> lost{};        // by whose it was
  std::int64_t version = 0;           // likewise

  bool takes() const { return !from.empty(); }
};

// What is wrong with a line, and how the command ends by it.
struct Wrong {
  std::size_t line;
  Exit how;
  std::string what;
};

std::string name_of(const Plan& plan) {
  if (plan.sources.empty()) return "all of " + printable(plan.place);
  std::string name = fmt::format("{} of {}", printable(plan.sources.front()),
                                 printable(plan.place));
  if (!plan.subscription.empty()) {
    name += fmt::format(" (the checkout of {})", printable(plan.subscription));
  }
  return name;
}

bool contains(const std::vector<std::string>& ids, const std::string& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// All sources that are the place's, wherever they are kept.
Sources all_of(const Context& context, const Place& place,
               const std::string& id) {
  Sources all = place.sources;
  for (const Target& holder : place.holders) {
    if (!holder.user()) continue;
    const std::optional<Record> record = record_of(context, *holder.user());
    if (!record) continue;
    for (const auto& [source_id, source] : record->sources) {
      if (source.place == id) all.emplace(source_id, source);
    }
  }
  return all;
}

// A session of a subscription only names who bought: the subscription is what
// is owned, so it goes along; and so does the payment, for its refunds. Whoever
// has one of them has all, whichever it is that is named.
void add_named_along(Plan& plan, const Sources& all) {
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    const std::string known = plan.sources[i];
    for (const auto& [id, source] : all) {
      std::set<std::string> one = named_along_with(source);
      one.insert(id);
      if (!one.contains(known)) continue;
      for (const std::string& part : one) {
        if (!contains(plan.sources, part)) plan.sources.push_back(part);
      }
    }
  }
  const auto found = all.find(plan.sources.front());
  if (found == all.end() || found->second.sessions.empty()) return;
  plan.subscription = found->second.sessions.front().subscription;
}

Place after_link(const Place& place, const Plan& plan, UnixTime now) {
  Place after = place;
  for (const Claim& claim : links(plan.sources, plan.to, now, "op_")) {
    after.add(claim);
  }
  return after;
}

// The newest word on it is an operator's, and says this.
bool is_said(const Place& place, const Plan& plan) {
  const auto says = [&](const std::vector<Claim>& claims, ClaimKind kind) {
    return !claims.empty() && claims.front().kind == kind &&
           claims.front().target == Target::of(plan.to);
  };
  if (plan.sources.empty()) return says(place.claims, ClaimKind::operators);
  return std::all_of(
      plan.sources.begin(), plan.sources.end(), [&](const std::string& source) {
        const auto naming = place.naming.find(source);
        return naming != place.naming.end() &&
               says(naming->second, ClaimKind::operators_of_purchase);
      });
}

// What changes hands, and from whom: by what owns it now and will then.
void take_moves(Plan& plan, const Place& place, const Sources& all,
                UnixTime now) {
  const Owners was = place.owners();
  const Owners will = after_link(place, plan, now).owners();
  for (const auto& [id, source] : all) {
    const std::optional<Target> owner = was.of(id);
    if (owner != will.of(id)) {
      plan.moves.insert(id);
      if (owner && owner->user()) plan.from.insert(*owner->user());
    } else if (plan.sources.empty() && owner && owner != Target::of(plan.to)) {
      plan.stays.insert(id);
    }
  }
}

// Throws Stop with what is wrong.
Plan plan_of(const Context& context, const LinkLine& line, const Thing& thing) {
  if (!thing.known) {
    throw Stop(Exit::found,
               fmt::format("nothing is known of {} under {}; {}",
                           printable(line.what), context.space(),
                           context.command("why " + shell_word(line.what))));
  }
  const std::optional<Place> place = place_of(context, thing.place);
  if (!place) {
    throw Stop(Exit::cannot_tell, fmt::format("the place {} cannot be read",
                                              printable(thing.place)));
  }
  if (!place->exists) {
    throw Stop(Exit::refused,
               fmt::format("{} is in somebody's record, and its place {} has "
                           "expired: it cannot move any more; {}",
                           printable(line.what), printable(thing.place),
                           context.command("grant")));
  }
  Plan plan{line, *User::from(line.user), thing.place};
  const Sources all = all_of(context, *place, thing.place);
  if (!thing.source.empty()) {
    plan.sources.push_back(thing.source);
    add_named_along(plan, all);
  }
  take_moves(plan, *place, all, context.now());
  plan.said = is_said(*place, plan) && place->settled();
  plan.before = held_names(context, plan.to);
  for (const User& user : plan.from) {
    plan.lost[user].before = held_names(context, user);
  }
  return plan;
}

std::string whose(const std::set<User>& users) {
  std::vector<std::string> names;
  for (const User& user : users) {
    names.push_back('"' + printable(user.str()) + '"');
  }
  return "user " + listed(names) + "'s";
}

std::string text_of(const Context& context, const Plan& plan) {
  std::string text =
      fmt::format("Under {}, {} becomes user \"{}\"'s{}:\n", context.space(),
                  name_of(plan), printable(plan.to.str()),
                  plan.takes()         ? ", and is " + whose(plan.from) + " now"
                  : plan.moves.empty() ? ", as it is already"
                                       : ", and is nobody's now");
  for (const std::string& source : plan.moves) {
    text += "    " + printable(source) + '\n';
  }
  for (const std::string& source : plan.stays) {
    text += fmt::format("    (not {}, which was linked by itself)\n",
                        printable(source));
  }
  return text;
}

std::string text_of(const Context& context, const std::vector<Plan>& plans) {
  std::string text;
  std::size_t shown = 0, left = 0;
  for (const Plan& plan : plans) {
    if (plan.said) continue;
    if (shown++ < kMostShown) {
      text += text_of(context, plan);
    } else {
      ++left;
    }
  }
  if (left > 0) text += fmt::format("... and {} more.\n", left);
  return text;
}

std::string text_of(const std::vector<std::string>& names) {
  return names.empty() ? std::string("nothing") : listed(names);
}

// What of it has not come into the record: it is in the place or, where the
// record had no room for it, with whom it was.
std::set<std::string> waiting_of(const Context& context, const Plan& plan) {
  std::set<std::string> waiting;
  for (const User& user : plan.from) {
    const std::optional<Record> record = record_of(context, user);
    if (!record || user == plan.to) continue;
    for (const std::string& id : plan.moves) {
      if (record->sources.contains(id)) waiting.insert(printable(id));
    }
  }
  const std::optional<Place> place = place_of(context, plan.place);
  if (!place) return waiting;
  const Owners owners = place->owners();
  for (const auto& [id, source] : place->sources) {
    const bool meant = plan.sources.empty() || contains(plan.sources, id) ||
                       plan.moves.contains(id);
    if (meant && owners.of(id) == Target::of(plan.to)) {
      waiting.insert(printable(id));
    }
  }
  return waiting;
}

void carry_out(const Context& context, Plan& plan, OperatorsWord word) {
  if (!plan.line.reason.empty()) word.reason = plan.line.reason;
  const DeliveryResult result = context.redis().hold(
      link_to_user(plan.place, plan.sources, plan.to, std::move(word),
                   context.delivery_options()));
  if (result.outcome == Outcome::not_stored) {
    throw Stop(Exit::cannot_tell,
               fmt::format("{}: not stored: {}", name_of(plan), result.error));
  }
  if (result.user != plan.to) {
    throw Stop(
        Exit::cannot_tell,
        fmt::format("it is said, and {} has not come into the record: "
                    "{}",
                    printable(plan.place),
                    result.error.empty() ? "it may be full" : result.error));
  }
  if (const std::set<std::string> waiting = waiting_of(context, plan);
      !waiting.empty()) {
    throw Stop(Exit::cannot_tell,
               fmt::format("it is said, and {} of {} has not moved yet: the "
                           "record of user \"{}\" is full",
                           listed({waiting.begin(), waiting.end()}),
                           printable(plan.place), printable(plan.to.str())));
  }
  plan.version = result.version;
}

// --- the answer --------------------------------------------------------------

void write(json::Writer& out, const Plan& plan) {
  const auto harmless = [](const std::string& text) { return printable(text); };
  out.text("place", printable(plan.place));
  if (!plan.sources.empty()) out.text("source", printable(plan.sources[0]));
  out.text("user", printable(plan.to.str())).key("from");
  out.strings(plan.from, [](const User& u) { return printable(u.str()); });
  out.key("moved").strings(plan.moves, harmless);
  out.key("stays").strings(plan.stays, harmless);
  out.key("before").strings(plan.before).key("after").strings(plan.after);
  out.key("lost").begin_array();
  for (const auto& [user, lost] : plan.lost) {
    out.begin_object().text("user", printable(user.str()));
    out.key("before").strings(lost.before).key("after").strings(lost.after);
    out.end_object();
  }
  out.end_array();
  if (plan.version != 0) out.number("version", plan.version);
}

Answer answer_to(const Context& context, const std::vector<Plan>& plans,
                 bool from_file, bool as_json) {
  Answer answer;
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    if (!from_file) {
      write(out, plans.front());
    } else {
      out.key("links").begin_array();
      for (const Plan& plan : plans) {
        out.begin_object().number("line",
                                  static_cast<std::int64_t>(plan.line.line));
        write(out, plan);
        out.end_object();
      }
      out.end_array();
    }
    out.end_object();
    return answer;
  }
  std::size_t done = 0;
  for (const Plan& plan : plans) {
    if (plan.said) {
      answer.text += fmt::format(
          "Nothing to do: {} is user \"{}\"'s, as an operator said.\n",
          name_of(plan), printable(plan.to.str()));
      continue;
    }
    ++done;
    answer.text += fmt::format("Done: user \"{}\" had {}, and has {}.\n",
                               printable(plan.to.str()), text_of(plan.before),
                               text_of(plan.after));
  }
  if (from_file) {
    answer.text += fmt::format("{} of {} links written.\n", done, plans.size());
  }
  return answer;
}

// All that is wrong, at once.
Answer refusal(const std::vector<Wrong>& wrong, bool from_file, bool as_json) {
  if (!from_file) throw Stop(wrong.front().how, wrong.front().what);
  Answer answer;
  // What cannot be at all comes before what is not there, and that before what
  // must not be.
  answer.how = Exit::refused;
  for (const Exit how : {Exit::found, Exit::usage}) {
    for (const Wrong& one : wrong) {
      if (one.how == how) answer.how = how;
    }
  }
  const std::string all =
      fmt::format("{} line{} wrong, nothing was written", wrong.size(),
                  wrong.size() == 1 ? " is" : "s are");
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object().text("error", all);
    out.number("exit", static_cast<int>(answer.how)).key("errors");
    out.begin_array();
    for (const Wrong& one : wrong) {
      out.begin_object()
          .number("line", static_cast<std::int64_t>(one.line))
          .text("error", one.what)
          .end_object();
    }
    out.end_array().end_object();
    return answer;
  }
  std::string text = all + ":\n";
  for (const Wrong& one : wrong) {
    text += fmt::format("line {}: {}\n", one.line, one.what);
  }
  text.pop_back();
  throw Stop(answer.how, text);
}

std::vector<Plan> plans_of(const Context& context,
                           const std::vector<LinkLine>& lines, bool move,
                           std::vector<Wrong>& wrong) {
  std::vector<std::string> asked;
  for (const LinkLine& line : lines) asked.push_back(line.what);
  const std::vector<Thing> things = find_things(context, asked);
  std::vector<Plan> plans;
  Progress progress("lines looked at", static_cast<std::int64_t>(lines.size()));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    progress.add(1);
    try {
      Plan plan = plan_of(context, lines[i], things[i]);
      if (plan.takes() && !move) {
        throw Stop(Exit::refused,
                   text_of(context, plan) +
                       "It is somebody's already: --move takes it from them.");
      }
      plans.push_back(std::move(plan));
    } catch (const Stop& stop) {
      if (stop.how() == Exit::cannot_tell) throw;
      wrong.push_back({lines[i].line, stop.how(), stop.what()});
    }
  }
  return plans;
}

std::vector<LinkLine> lines_of(const LinkOptions& options,
                               std::vector<Wrong>& wrong) {
  std::vector<LinkLine> lines;
  std::vector<LinkLineError> errors;
  if (options.csv.empty()) {
    lines.push_back({0, options.what, options.user, {}});
    check(lines.front(), errors);
  } else {
    lines = link_lines_in(text_of_file(options.csv), errors);
  }
  for (LinkLineError& error : errors) {
    wrong.push_back({error.line, Exit::usage, std::move(error.what)});
  }
  return lines;
}

void check_words(const LinkOptions& options) {
  const bool named = !options.what.empty() || !options.user.empty();
  if (options.csv.empty() && (options.what.empty() || options.user.empty())) {
    throw Stop(Exit::usage, "link takes WHAT and USER, or --csv FILE");
  }
  if (!options.csv.empty() && named) {
    throw Stop(Exit::usage, "--csv has WHAT and USER in its lines");
  }
}

}  // namespace

Answer link(const Context& context, const LinkOptions& options, bool as_json) {
  check_words(options);
  const bool from_file = !options.csv.empty();
  const OperatorsWord word = word_of(options);
  std::vector<Wrong> wrong;
  const std::vector<LinkLine> lines = lines_of(options, wrong);
  if (!from_file && !wrong.empty()) refusal(wrong, from_file, as_json);
  std::vector<Plan> plans = plans_of(context, lines, options.move, wrong);
  if (!wrong.empty()) {
    std::stable_sort(
        wrong.begin(), wrong.end(),
        [](const Wrong& a, const Wrong& b) { return a.line < b.line; });
    return refusal(wrong, from_file, as_json);
  }
  const std::string text = text_of(context, plans);
  if (!text.empty()) agree(text, options);
  {
    Progress progress("links", static_cast<std::int64_t>(plans.size()));
    for (Plan& plan : plans) {
      if (!plan.said) carry_out(context, plan, word);
      progress.add(1);
    }
  }
  for (Plan& plan : plans) {
    plan.after = plan.said ? plan.before : held_names(context, plan.to);
    for (auto& [user, lost] : plan.lost) lost.after = held_names(context, user);
  }
  return answer_to(context, plans, from_file, as_json);
}

}  // namespace entitle::cli
