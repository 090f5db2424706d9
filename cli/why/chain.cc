#include "cli/why/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "cli/base/text.h"
#include "cli/why/session.h"
#include "core/delivery/grant.h"
#include "core/delivery/parts.h"
#include "core/delivery/unmatched.h"
#include "core/source/stripe_id.h"

namespace entitle::cli {
namespace {

using Kind = Subject::Kind;
using State = LinkState;

struct Maker {
  const Context& context;
  const Known& known;
  const Purchase* purchase;
  std::vector<Link> chain{};

  std::string about() const {
    return purchase != nullptr ? printable(purchase->source)
                               : printable(known.subject.asked);
  }
  std::string user() const {
    return '"' + printable(known.subject.user->str()) + '"';
  }
  std::string ago(UnixTime time) const {
    return text_of_span(context.now() - time) + " ago";
  }
  bool given() const {
    return purchase != nullptr && is_grant(purchase->source);
  }
  bool anything() const {
    return purchase != nullptr || known.subject.fate.has_value();
  }

  void whole(std::string_view name, std::string says) {
    chain.push_back({name, State::whole, std::move(says)});
  }
  void unknown(std::string_view name, std::string says) {
    chain.push_back({name, State::unknown, std::move(says)});
  }
  void broken(std::string_view name, std::string says, std::string sentence,
              std::string cure) {
    chain.push_back({name, State::broken, std::move(says), std::move(sentence),
                     std::move(cure)});
  }
};

// --- Stripe's side -----------------------------------------------------------

void add_paid(Maker& m) {
  if (m.purchase == nullptr) {
    m.unknown("paid",
              "nothing that was bought is known here; Stripe's "
              "dashboard says");
  } else if (m.purchase->unclear) {
    m.broken("paid", "Stripe says a word that nobody knows yet",
             fmt::format("Stripe says a word of {} that this version does not "
                         "know, so it opens nothing.",
                         m.about()),
             m.context.command("events") +
                 " names the event; a newer entitle may know the word");
  } else if (!m.purchase->effective && m.purchase->lapse == Lapse::not_paid) {
    const bool provisional =
        m.purchase->state == Projection::State::provisional;
    m.broken("paid",
             provisional ? "the checkout is paid, and of its subscription "
                           "nothing came yet"
                         : "it is not paid yet",
             provisional
                 ? fmt::format("The checkout {} is paid, and no event of its "
                               "subscription came.",
                               m.about())
                 : fmt::format("{} is not paid as far as Stripe has said.",
                               m.about()),
             provisional ? "select customer.subscription.created and "
                           "invoice.paid at Stripe's endpoint, and resend them"
                         : "wait for the payment, or look at it in Stripe's "
                           "dashboard");
  } else if (m.given()) {
    m.whole("paid", m.about() + ": an operator gave it");
  } else {
    m.whole("paid", fmt::format("{}: {}", m.about(), name(m.purchase->state)));
  }
}

bool refuses_since(const Known& known) {
  return known.refused && (!known.applied || *known.applied < *known.refused);
}

void add_delivered(Maker& m) {
  const Known& known = m.known;
  if (m.given()) {
    m.whole("delivered",
            "an operator said it last on " + text_of_time(m.purchase->newest));
  } else if (m.anything() && m.purchase != nullptr) {
    m.whole("delivered", "the newest that came of it was said " +
                             text_of_time(m.purchase->newest));
  } else if (m.anything()) {
    m.whole("delivered", "it came");
  } else if (!known.received) {
    m.broken("delivered", "no webhook ever came",
             fmt::format("No event of Stripe's ever came under {}.",
                         m.context.space()),
             "at Stripe, have an endpoint of this mode send to the location "
             "with entitle_webhook; error.log has \"webhook refused\" for "
             "what came and was not signed with the secret that is known");
  } else {
    m.unknown("delivered",
              fmt::format("nothing of it came; the last event came {}",
                          m.ago(*known.received)));
  }
}

void add_verified(Maker& m) {
  const Known& known = m.known;
  if (m.given()) {
    m.whole("verified", "an operator's word");
  } else if (m.anything()) {
    m.whole("verified", "signed with the secret that is known");
  } else if (refuses_since(known)) {
    const bool mode = known.refused_why == "mode_mismatch";
    m.broken("verified",
             fmt::format("the last was refused {}: {}", m.ago(*known.refused),
                         printable(known.refused_why)),
             mode ? fmt::format("Events of the other mode come to the location "
                                "of \"entitle_webhook {}\".",
                                name(m.context.mode()))
                  : "Events come that are not taken: " +
                        printable(known.refused_why) + '.',
             mode ? "at Stripe, send live events to the location with "
                    "entitle_webhook live, test events to the one with test, "
                    "each with its own secret"
                  : "name the account: entitle_webhook_account acct_...");
  } else {
    m.unknown("verified", "nothing of it came");
  }
}

void add_stored(Maker& m) {
  const Known& known = m.known;
  if (known.subject.fate) {
    const EventFate& fate = *known.subject.fate;
    m.whole("stored", fmt::format("{}, in {}", printable(fate.outcome),
                                  printable(fate.place)));
  } else if (m.given()) {
    m.whole("stored", "in the record");
  } else if (m.anything()) {
    m.whole("stored",
            "in " + (m.purchase->place.empty() ? m.context.space()
                                               : printable(m.purchase->place)));
  } else {
    m.unknown("stored", "nothing of it is here");
  }
}

// --- ours --------------------------------------------------------------------

std::string_view says_who(ClaimKind kind) {
  switch (kind) {
    case ClaimKind::email:
      return "by the e-mail";
    case ClaimKind::customer_metadata:
      return "by the customer's metadata";
    case ClaimKind::session_metadata:
      return "by the session's metadata";
    case ClaimKind::subscription_metadata:
      return "by the subscription's metadata";
    case ClaimKind::client_reference:
      return "by client_reference_id";
    case ClaimKind::operators:
    case ClaimKind::operators_of_purchase:
      return "by an operator";
    case ClaimKind::forward:
    case ClaimKind::part_of:
    case ClaimKind::other:
      break;
  }
  return "by a claim";
}

// Where it is kept: who was asked about is a user, mostly.
std::optional<Place> place_to_ask(const Maker& m) {
  if (m.known.place) return m.known.place;
  if (m.purchase == nullptr || m.purchase->place.empty()) return std::nullopt;
  return place_of(m.context, m.purchase->place);
}

// The claim that made it theirs, as far as the place still has it.
std::string by_what(const Maker& m) {
  if (m.given()) return "by an operator's grant";
  const std::optional<Place> asked = place_to_ask(m);
  if (!asked) return {};
  const Target owner = Target::of(*m.known.subject.user);
  const Place& place = *asked;
  if (m.purchase != nullptr) {
    auto naming = place.naming.find(m.purchase->source);
    if (naming != place.naming.end()) {
      for (const Claim& claim : naming->second) {
        if (claim.target == owner) return std::string(says_who(claim.kind));
      }
    }
  }
  for (const Claim& claim : place.user_claims()) {
    if (claim.target == owner) return std::string(says_who(claim.kind));
  }
  return {};
}

// Who asks by something of Stripe's may know better whose it is.
std::string if_wrong(const Maker& m) {
  const Subject& subject = m.known.subject;
  if (subject.kind == Kind::user || m.given()) return {};
  const std::string& what = !subject.source.empty() ? subject.source
                            : m.purchase != nullptr ? m.purchase->source
                                                    : subject.place;
  if (what.empty()) return {};
  return "; if that is wrong: " +
         m.context.command("link " + shell_word(what) + " USER --move");
}

void add_owner(Maker& m) {
  const Known& known = m.known;
  if (known.subject.user && !known.subject.known) {
    m.unknown("owner", "no event named this user");
    return;
  }
  if (known.subject.user) {
    const std::string by = by_what(m);
    m.whole("owner", fmt::format("user {}{}{}{}", m.user(),
                                 by.empty() ? "" : ", ", by, if_wrong(m)));
    return;
  }
  if (!known.place_readable) {
    m.broken("owner", "its place cannot be read",
             fmt::format("The place {} in Redis cannot be read.",
                         printable(known.subject.place)),
             "repair " + m.context.keys().place(known.subject.place) +
                 ", then resend the event from Stripe's dashboard");
    return;
  }
  if (known.subject.place.empty()) {
    m.unknown("owner", "nobody knows");
    return;
  }
  std::string email;
  if (known.place && known.place->email &&
      known.place->email->text != kNoEmail) {
    email = " <" + printable(known.place->email->text) + '>';
  }
  const std::string place = printable(known.subject.place);
  m.broken("owner", "parked: no event says whose it is",
           fmt::format("{}{} belongs to nobody: no event names a user.", place,
                       email),
           m.context.command("link " +
                             shell_word(known.subject.source.empty()
                                            ? known.subject.place
                                            : known.subject.source) +
                             " USER") +
               "; or, at Stripe, give it the metadata user_id=USER");
}

void add_record(Maker& m) {
  const Known& known = m.known;
  if (!known.subject.user) {
    m.unknown("record", "there is no user yet");
    return;
  }
  const std::string key = m.context.keys().record(*known.subject.user);
  if (!known.record_readable) {
    m.broken("record", "it cannot be read",
             fmt::format("The record of user {} cannot be read.", m.user()),
             fmt::format("repair {} in Redis, then resend the last events from "
                         "Stripe's dashboard",
                         shell_word(key)));
    return;
  }
  const bool waits = m.purchase != nullptr &&
                     std::find(known.waiting.begin(), known.waiting.end(),
                               m.purchase->source) != known.waiting.end() &&
                     !known.record->sources.contains(m.purchase->source);
  if (waits) {
    m.broken("record", "it waits in " + printable(known.subject.place),
             fmt::format("{} waits in {} and has not come into the record of "
                         "user {}: a delivery broke off, or the record is "
                         "full.",
                         m.about(), printable(known.subject.place), m.user()),
             "resend any event of it from Stripe's dashboard; error.log has "
             "\"is full\" where there is no room");
    return;
  }
  if (!known.record_exists) {
    m.unknown("record", "there is none");
    return;
  }
  const std::size_t sources = known.record->sources.size();
  m.whole("record",
          fmt::format("version {}, {} source{}", known.record->version, sources,
                      sources == 1 ? "" : "s"));
}

std::string best_identifier(const Purchase& purchase) {
  const auto best =
      std::min_element(purchase.identifiers.begin(), purchase.identifiers.end(),
                       [](const Identifier& a, const Identifier& b) {
                         return a.parts().type < b.parts().type;
                       });
  return printable(best->str());
}

// Whether an operator ignores it, by core's own rule.
bool is_waved_through(const Maker& m) {
  const auto& record = m.known.record;
  const bool recorded = record && record->sources.contains(m.purchase->source);
  if (!recorded && !m.known.place) return false;
  const DeliveryOptions options = m.context.delivery_options();
  const EventHead event;
  Delivery delivery{event, options, Transactions(options.jitter_seed),
                    {},    {},      {}};
  const SourceIds ignored = m.context.redis().hold(
      ignored_of(delivery, recorded ? record->sources : m.known.place->sources,
                 {m.purchase->source}, std::span(&options, 1)));
  return ignored.contains(m.purchase->source);
}

// The first of its names that is ignored. Empty: none.
std::string ignored_by(const Context& context, const Purchase& purchase) {
  std::vector<std::string> names{purchase.source};
  if (!purchase.place.empty()) names.push_back(purchase.place);
  const std::string_view account = StripeId(purchase.place).account();
  if (!account.empty()) names.emplace_back(account);
  for (const Identifier& identifier : purchase.identifiers) {
    names.push_back(identifier.str());
  }
  const std::string key = context.keys().ignored();
  std::vector<Command> commands;
  for (const std::string& name : names) {
    commands.push_back({"SISMEMBER", key, name});
  }
  const std::vector<Reply> replies =
      context.redis().ask(key, std::move(commands));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (replies[i].integer == 1) return names[i];
  }
  return {};
}

// By entitle_credit; it gives no entitlement.
bool puts_credits(const GrantMap& grants, const Purchase& purchase) {
  return std::any_of(
      purchase.identifiers.begin(), purchase.identifiers.end(),
      [&](const Identifier& identifier) { return grants.knows(identifier); });
}

void add_grant(Maker& m) {
  if (m.purchase == nullptr) {
    m.unknown("grant", "nothing was bought");
    return;
  }
  const Purchase& purchase = *m.purchase;
  if (!purchase.gives.empty()) {
    m.whole("grant", fmt::format("{} gives {}",
                                 text_of_identifiers(purchase.identifiers),
                                 listed(purchase.gives)));
  } else if (m.context.grants() == nullptr) {
    m.unknown("grant", "no configuration was read: --config FILE");
  } else if (puts_credits(*m.context.grants(), purchase)) {
    m.whole("grant", fmt::format("{} puts credits on an account",
                                 text_of_identifiers(purchase.identifiers)));
  } else if (is_waved_through(m)) {
    const std::string name = ignored_by(m.context, purchase);
    m.broken("grant", "it is ignored by name: " + printable(name),
             fmt::format("{} opens nothing, and an operator ignores {}.",
                         m.about(), printable(name)),
             "nothing, if it is none of this site's; else name it in an "
             "entitle_grant, and " +
                 m.context.command("ignore --remove " + shell_word(name)));
  } else if (purchase.identifiers.empty()) {
    m.broken("grant", "it carries nothing that a grant could name",
             fmt::format("{} carries neither a price nor a payment link nor "
                         "metadata that an entitle_grant could name.",
                         m.about()),
             "have entitle_stripe_request ask Stripe for what it leaves out, "
             "or give the checkout metadata, and resend its event");
  } else {
    m.broken(
        "grant",
        "no entitle_grant names " + text_of_identifiers(purchase.identifiers),
        fmt::format("No entitle_grant names what {} carries: {}.", m.about(),
                    text_of_identifiers(purchase.identifiers)),
        fmt::format(
            "add \"entitle_grant NAME {};\" to nginx's configuration "
            "and reload; or, if it is none of this site's: {}",
            best_identifier(purchase),
            m.context.command("ignore " + shell_word(purchase.source))));
  }
}

std::string user_name(const Maker& m) {
  return m.known.subject.user ? m.known.subject.user->str() : "USER";
}

void add_time(Maker& m) {
  if (m.purchase == nullptr) {
    m.unknown("time", "nothing was bought");
    return;
  }
  const Purchase& purchase = *m.purchase;
  const std::string when =
      purchase.ended > UnixTime{} && purchase.ended <= m.context.now()
          ? ", on " + text_of_time(purchase.ended)
          : std::string();
  switch (purchase.lapse) {
    case Lapse::ended:
      m.broken("time", "it is over" + when,
               fmt::format("{} has ended{}.", m.about(), when),
               m.given() ? m.context.command("grant " +
                                             shell_word(user_name(m)) + " NAME")
                         : "nothing is broken: the user has to buy again, or "
                           "an operator renews it at Stripe");
      return;
    case Lapse::past_due_over:
      m.broken("time", "the payment failed, and its grace is over" + when,
               fmt::format("The last payment of {} failed, and "
                           "entitle_past_due_grace is over{}.",
                           m.about(), when),
               "the user pays the open invoice, or changes the card in "
               "Stripe's customer portal");
      return;
    case Lapse::collection_paused:
      m.broken("time", "its collection is paused",
               fmt::format("Collection of {} is paused at Stripe, and "
                           "entitle_pause_collection is revoke.",
                           m.about()),
               "resume collection of the subscription in Stripe's dashboard");
      return;
    default:
      break;
  }
  if (purchase.effective) {
    m.whole("time", purchase.until == kForever
                        ? "no end is known"
                        : "until " + text_of_time(purchase.until));
  } else {
    m.unknown("time", "it does not run");
  }
}

void add_money_back(Maker& m) {
  const bool refunded =
      m.purchase != nullptr && m.purchase->lapse == Lapse::refunded;
  const bool disputed =
      m.purchase != nullptr && m.purchase->lapse == Lapse::disputed;
  if (refunded) {
    m.broken("refund", "all of it was given back",
             fmt::format("The payment of {} was refunded in full.", m.about()),
             "nothing is broken: the user has to buy again; entitle_refund "
             "keep would let them keep it");
  } else if (m.purchase != nullptr) {
    m.whole("refund", "none in full");
  } else {
    m.unknown("refund", "nothing was bought");
  }
  if (disputed) {
    m.broken("dispute", "it is open, or lost",
             fmt::format("The payment of {} is disputed.", m.about()),
             "answer the dispute in Stripe's dashboard; a won one opens it "
             "again by itself");
  } else if (m.purchase != nullptr) {
    m.whole("dispute", "none that is open or lost");
  } else {
    m.unknown("dispute", "nothing was bought");
  }
}

// What is kept of sessions is in the browser, unless its cookies are there:
// Redis knows what they are compared with.
void add_session(Maker& m) {
  const Known& known = m.known;
  if (known.cookies) {
    m.chain.push_back(link_of_session(m.context, known, *known.cookies));
    return;
  }
  if (!known.record || !known.record_exists) {
    m.unknown("session", "there is no record to compare it with");
    return;
  }
  std::string says = fmt::format(
      "the browser has it; one of another version than {} is refreshed at the "
      "next request",
      known.record->version);
  if (known.record->not_before) {
    says += fmt::format(", one from before {} has to log in again",
                        text_of_time(*known.record->not_before));
  }
  m.unknown("session", std::move(says));
}

}  // namespace

std::string_view name(LinkState state) {
  switch (state) {
    case State::whole:
      return "whole";
    case State::broken:
      return "broken";
    case State::unknown:
      break;
  }
  return "unknown";
}

std::vector<Link> chain_of(const Context& context, const Known& known,
                           const Purchase* purchase) {
  Maker m{context, known, purchase};
  add_paid(m);
  add_delivered(m);
  add_verified(m);
  add_stored(m);
  add_owner(m);
  add_record(m);
  add_grant(m);
  add_time(m);
  add_money_back(m);
  add_session(m);
  return std::move(m.chain);
}

const Link* first_broken(const std::vector<Link>& chain) {
  for (const Link& link : chain) {
    if (link.state == State::broken) return &link;
  }
  return nullptr;
}

}  // namespace entitle::cli
