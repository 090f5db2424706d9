// entitlectl grant and revoke: what an operator gives somebody, and takes back.
#include "core/delivery/grant.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/base/text.h"
#include "cli/command/agree.h"
#include "cli/command/command.h"
#include "cli/command/until.h"
#include "cli/conf/names.h"
#include "cli/conf/settings.h"
#include "cli/kept/held.h"
#include "cli/kept/lookup.h"
#include "cli/kept/purchase.h"

namespace entitle::cli {
namespace {

User user_of(const std::string& text) {
  const std::optional<User> user = User::from(text);
  if (user) return *user;
  throw Stop(Exit::usage, "a user has 1 to 255 bytes, no control bytes");
}

// A name that nothing requires and nothing gives is a slip of the keyboard, as
// far as there is a configuration to tell.
void check_name(const Context& context, const std::string& name) {
  if (!is_entitlement_name(name) || name.size() > 255) {
    throw Stop(Exit::usage,
               "an entitlement's name has 1 to 255 bytes, no commas and no "
               "control bytes");
  }
  if (context.grants() == nullptr) return;
  const std::set<std::string> known =
      known_names(context.servers(), *context.grants());
  if (is_known_name(known, name)) return;
  std::vector<std::string> names;
  for (const std::string& one : known) names.push_back(printable(one));
  throw Stop(Exit::usage,
             fmt::format("no entitle_grant and no entitle_require of {} has "
                         "\"{}\"; there {}",
                         context.site().from, printable(name),
                         names.empty()       ? "is none"
                         : names.size() == 1 ? "is " + names.front()
                                             : "are " + listed(names)));
}

// What gives just this name under this configuration: its namesake, unless a
// line says that that gives something else.
Identifier identifier_of(const Context& context, const std::string& name) {
  const GrantMap& grants = grants_of(context);
  const auto gives_just_that = [&](const Identifier& identifier) {
    const auto names = grants.entitlements_of(identifier);
    return names.size() == 1 && names.front() == name;
  };
  const AccountId own;
  for (const auto& namesake :
       {Identifier::metadata(own, name), Identifier::feature(own, name)}) {
    if (namesake && gives_just_that(*namesake)) return *namesake;
  }
  for (const Identifier& identifier : grants.identifiers()) {
    if (gives_just_that(identifier)) return identifier;
  }
  throw Stop(Exit::refused,
             fmt::format("nothing gives {} alone: entitle_grant lines say that "
                         "metadata={} and feature={} give something else",
                         printable(name), printable(name), printable(name)));
}

UnixTime until_of(const GrantOptions& options, UnixTime now) {
  if (options.forever) return kForever;
  UnixTime until;
  if (!options.for_.empty()) {
    until = now + std::chrono::ceil<Seconds>(time_of(options.for_));
  } else {
    until = cli::until_of(options.until);
  }
  if (until <= now) {
    throw Stop(Exit::usage,
               fmt::format("{} is over already", text_of_time(until)));
  }
  if (!is_time(to_unix(until))) {
    throw Stop(Exit::usage, "that is too far away: --forever");
  }
  return until;
}

std::string text_of_end(UnixTime until) {
  return until == kForever ? "for ever" : "until " + text_of_time(until);
}

// What gives this name now.
std::vector<Purchase> giving(const Record& record, const Context& context,
                             const std::string& name) {
  std::vector<Purchase> all = purchases_of(record.sources, context);
  std::erase_if(all, [&](const Purchase& one) {
    return !one.effective || std::find(one.gives.begin(), one.gives.end(),
                                       name) == one.gives.end();
  });
  return all;
}

Record record_to_change(const Context& context, const User& user) {
  std::optional<Record> record = record_of(context, user);
  if (record) return *std::move(record);
  throw Stop(Exit::cannot_tell, fmt::format("the record of user \"{}\" cannot "
                                            "be read",
                                            printable(user.str())));
}

std::string text_of(const std::vector<Purchase>& giving) {
  std::string text;
  for (const Purchase& one : giving) {
    text += fmt::format("    {} ({}) {}\n", printable(one.source),
                        cli::name(one.state), text_of_end(one.until));
  }
  return text;
}

void write(json::Writer& out, const std::vector<Purchase>& giving) {
  out.key("giving").begin_array();
  for (const Purchase& one : giving) cli::write(out, one);
  out.end_array();
}

// What both say, once it is written.
struct Done {
  const User& user;
  const std::string& name;
  const GrantResult& result;
  std::optional<UnixTime> until{};  // of the grant
  std::vector<std::string> before{}, after{};
  std::vector<Purchase> giving{};
};

std::string json_of(const Context& context, const Done& done) {
  const auto harmless = [](const std::string& text) { return printable(text); };
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.text("user", printable(done.user.str()))
      .text("name", printable(done.name))
      .key("sources")
      .strings(done.result.sources, harmless);
  if (done.until && *done.until != kForever) {
    out.number("until", to_unix(*done.until));
  }
  out.number("version", done.result.version);
  out.key("before").strings(done.before).key("after").strings(done.after);
  write(out, done.giving);
  out.end_object();
  return text;
}

void check_stored(const GrantResult& result) {
  if (result.stored) return;
  throw Stop(Exit::cannot_tell,
             "not stored: " + (result.error.empty() ? "the record cannot be "
                                                      "read"
                                                    : result.error));
}

void take_state(const Context& context, Done& done) {
  const Record record = record_to_change(context, done.user);
  done.giving = giving(record, context, done.name);
  done.after = held_names(context, done.user);
}

// The grant that gives it at least as long already. Null: there is none.
const std::string* same_grant(const Record& record, const Identifier& what,
                              UnixTime until, UnixTime now) {
  for (const auto& [id, source] : record.sources) {
    if (!is_grant_in_force(id, source, now)) continue;
    const std::vector<Identifier>& known = source.granted->identifiers;
    const bool same =
        std::find(known.begin(), known.end(), what) != known.end();
    if (same && source.granted->until >= until) return &id;
  }
  return nullptr;
}

}  // namespace

Answer grant(const Context& context, const GrantOptions& options,
             bool as_json) {
  if (const auto wrong = wrong_with_user(options.user)) {
    throw Stop(Exit::usage, *wrong);
  }
  const User user = user_of(options.user);
  check_name(context, options.name);
  const OperatorsWord word = word_of(options);
  const UnixTime until = until_of(options, context.now());
  const Identifier what = identifier_of(context, options.name);
  const Record record = record_to_change(context, user);

  GrantResult result;
  Done done{user, options.name, result, until};
  done.before = held_names(context, user);
  const std::string* same = same_grant(record, what, until, context.now());
  if (same == nullptr) {
    agree(fmt::format("Under {}, user \"{}\"{} is given {} {}.\n",
                      context.space(), printable(user.str()),
                      record.exists ? "" : ", of whom nothing is known,",
                      printable(options.name), text_of_end(until)),
          options);
    result = context.redis().hold(
        grant_to_user(user, {what}, until, word, context.delivery_options()));
    check_stored(result);
  } else {
    result.version = record.version;
  }
  take_state(context, done);
  Answer answer;
  if (as_json) {
    answer.text = json_of(context, done);
    return answer;
  }
  answer.text =
      same != nullptr
          ? fmt::format("Nothing to do: {} gives it at least that long.\n",
                        printable(*same))
          : fmt::format("Done: user \"{}\" has {} {}, version {}.\n",
                        printable(user.str()), printable(options.name),
                        text_of_end(until), result.version);
  if (done.giving.size() > 1) {
    answer.text += "What gives it now:\n" + text_of(done.giving);
  }
  return answer;
}

Answer revoke(const Context& context, const RevokeOptions& options,
              bool as_json) {
  const User user = user_of(options.user);
  check_name(context, options.name);
  const OperatorsWord word = word_of(options);
  const Record record = record_to_change(context, user);
  if (!record.exists) {
    throw Stop(Exit::found,
               fmt::format("nothing is known of user \"{}\" under {}; {}",
                           printable(user.str()), context.space(),
                           context.command("why " + shell_word(user.str()))));
  }
  std::vector<std::string> grants;
  std::vector<Purchase> paid;
  for (Purchase& one : giving(record, context, options.name)) {
    if (is_grant(one.source)) {
      grants.push_back(one.source);
    } else {
      paid.push_back(std::move(one));
    }
  }
  const std::string name = printable(options.name);
  if (grants.empty() && !paid.empty()) {
    throw Stop(Exit::refused,
               fmt::format("user \"{}\" has {} by what is paid for, and by no "
                           "grant:\n{}Cancel or refund it in Stripe.",
                           printable(user.str()), name, text_of(paid)));
  }
  GrantResult result;
  result.version = record.version;
  Done done{user, options.name, result};
  done.before = held_names(context, user);
  if (!grants.empty()) {
    agree(
        fmt::format("Under {}, user \"{}\" loses {} by {}.\n", context.space(),
                    printable(user.str()), name, listed(grants)),
        options);
    result = context.redis().hold(
        revoke_grants(user, grants, word, context.delivery_options()));
    check_stored(result);
  }
  take_state(context, done);
  Answer answer;
  if (as_json) {
    answer.text = json_of(context, done);
    return answer;
  }
  if (grants.empty()) {
    answer.text =
        fmt::format("Nothing to do: user \"{}\" has no grant of {}.\n",
                    printable(user.str()), name);
    return answer;
  }
  answer.text = fmt::format("Done: {} ended, version {}.\n",
                            listed(result.sources), result.version);
  answer.text += done.giving.empty()
                     ? fmt::format("User \"{}\" has {} no more.\n",
                                   printable(user.str()), name)
                     : "It is paid for, too; cancel or refund that in Stripe. "
                       "What gives it still:\n" +
                           text_of(done.giving);
  return answer;
}

}  // namespace entitle::cli
