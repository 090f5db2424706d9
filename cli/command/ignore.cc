// entitlectl ignore: what an operator waves through, since it belongs to
// somebody else's products in the same Stripe account.
#include <fmt/format.h>

#include <algorithm>

#include "cli/base/text.h"
#include "cli/command/command.h"
#include "core/source/identifier.h"
#include "core/source/stripe_id.h"

namespace entitle::cli {
namespace {

// An identifier as entitle_grant has them, a customer, a source, an account.
bool can_be_ignored(const std::string& name) {
  if (Identifier::parse(name)) return true;
  const StripeId id(name);
  const bool kind = id.id().find('_') != std::string_view::npos;
  return kind && is_object_id(id.id()) &&
         (id.account().empty() || AccountId::parse(id.account()).has_value());
}

std::vector<std::string> all_ignored(const Context& context) {
  const std::string key = context.keys().ignored();
  std::vector<std::string> names;
  for (const Reply& name :
       context.redis().ask(key, Command{"SMEMBERS", key}).elements) {
    names.push_back(name.text);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void change(const Context& context, const IgnoreOptions& options) {
  for (const std::string& name : options.names) {
    if (can_be_ignored(name)) continue;
    throw Stop(Exit::usage,
               fmt::format("\"{}\" is no identifier (price_..., prod_..., "
                           "metadata.KEY=VALUE, ...), no Stripe id and no "
                           "account",
                           printable(name)));
  }
  const std::string key = context.keys().ignored();
  Command command{options.remove ? "SREM" : "SADD", key};
  command.insert(command.end(), options.names.begin(), options.names.end());
  const Reply reply = context.redis().ask(key, std::move(command));
  if (reply.is_error()) throw Stop(Exit::cannot_tell, reply.text);
}

}  // namespace

Answer ignore(const Context& context, const IgnoreOptions& options,
              bool as_json) {
  if (!options.names.empty()) {
    change(context, options);
  } else if (options.remove) {
    throw Stop(Exit::usage, "--remove needs a NAME");
  }
  const std::vector<std::string> names = all_ignored(context);
  Answer answer;
  if (as_json) {
    json::Writer out(answer.text);
    out.begin_object();
    write_space(out, context);
    out.key("ignored")
        .strings(names, [](const std::string& n) { return printable(n); })
        .end_object();
    return answer;
  }
  if (names.empty()) {
    answer.text =
        fmt::format("Nothing is ignored under {}.\n", context.space());
    return answer;
  }
  answer.text = fmt::format("Ignored under {}:\n", context.space());
  for (const std::string& name : names) {
    answer.text += "    " + printable(name) + '\n';
  }
  if (!options.names.empty() && !options.remove) {
    answer.text += "What is listed already leaves the lists within minutes.\n";
  }
  return answer;
}

}  // namespace entitle::cli
