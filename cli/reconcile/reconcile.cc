#include "cli/reconcile/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/kept/lookup.h"
#include "cli/kept/purchase.h"
#include "cli/reconcile/kept.h"
#include "cli/stripe/list.h"
#include "cli/stripe/reading.h"
#include "core/base/percent.h"
#include "core/delivery/delivery.h"
#include "core/source/stripe_id.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

constexpr std::chrono::hours kScanTime{24 * 7};
constexpr std::size_t kMostUnknown = 100'000;
constexpr std::size_t kProbes = 5;

template <class Kind>
std::size_t at(Kind kind) {
  return static_cast<std::size_t>(kind);
}

bool is_subscription(std::string_view source) {
  return source.starts_with("sub_");
}

// Where Stripe has it, of our own account; empty: it cannot be asked for by its
// id alone.
std::string path_of(const std::string& source) {
  constexpr std::pair<std::string_view, std::string_view> lists[] = {
      {"sub_", "/v1/subscriptions/"},
      {"cs_", "/v1/checkout/sessions/"},
      {"in_", "/v1/invoices/"}};
  for (const auto& [begin, list] : lists) {
    if (source.starts_with(begin)) return std::string(list) + source;
  }
  return {};
}

class Walk {
 public:
  Walk(const Context& context, StripeApi& stripe, const WalkOptions& options,
       const Watching& watching)
      : context_(context),
        stripe_(stripe),
        options_(options),
        watching_(watching),
        reading_(context),
        cursor_(options.from.value_or(Cursor{})),
        tally_(options.tally) {
    const std::string key = context.keys().ignored();
    for (const Reply& name :
         context.redis().ask(key, Command{"SMEMBERS", key}).elements) {
      ignored_.insert(name.text);
    }
  }

  Walked go() {
    Walked walked;
    try {
      check_account();
      refunds();
      disputes();
      subscriptions();
      sessions();
      invoices();
      records();
    } catch (const Stop& stop) {
      if (stop.how() != Exit::cannot_tell) throw;
      walked.why = stop.what();
      walked.cursor = cursor_;
    }
    walked.tally = std::move(tally_);
    walked.begun_anew = std::move(begun_anew_);
    return walked;
  }

 private:
  // --- one page
  // ---------------------------------------------------------------

  // Some are compared at one time, of one page of Stripe's or less.
  void look_at(Stage stage, std::vector<Told> page) {
    std::set<std::string> places;
    for (const Told& told : page) {
      if (!told.facts.places.empty()) {
        places.insert(told.facts.places.back().place);
      }
    }
    const std::map<std::string, Kept> kept = read_kept(context_, places);
    for (Told& told : page) {
      tally_.looked[at(stage)]++;
      if (told.facts.places.empty()) continue;
      look_at(told, kept.at(told.facts.places.back().place));
    }
  }

  void look_at(Told& told, const Kept& kept) {
    if (!kept.readable) {
      tally_.unreadable++;
      return;
    }
    date_past_due(told, kept.sources);
    const std::vector<Finding> findings =
        compare(context_, told, kept, given_back_, ignored_);
    const bool heals = std::any_of(
        findings.begin(), findings.end(),
        [](const Finding& finding) { return can_be_healed(finding.drift); });
    const bool healed = heals && options_.heal;
    for (const Finding& finding : findings) count(finding, healed);
    for (const Claim& claim : told.facts.places.back().claims) {
      // What it names is not kept yet where nothing is written.
      if (unowned_.contains(claim.source) && claim.target.user()) {
        forget_unowned(claim.source);
      }
    }
    if (healed) keep(std::move(told));
  }

  void count(const Finding& finding, bool healed) {
    // Two lists may tell of one thing.
    const std::string what =
        std::string(name(finding.drift)) + ' ' + finding.source;
    if (!counted_.insert(std::hash<std::string>()(what)).second) return;
    if (finding.drift == Drift::unowned) unowned_.insert(finding.source);
    const bool is_named_now =
        finding.drift == Drift::moved && finding.says.ends_with("nobody's");
    if (is_named_now && forget_unowned(finding.source)) return;
    tally_.found[at(finding.drift)]++;
    if (healed && can_be_healed(finding.drift)) {
      tally_.healed[at(finding.drift)]++;
    }
    if (tally_.findings.size() < options_.most) {
      tally_.findings.push_back(finding);
    }
  }

  // What nothing named until a later list did was never anybody's fault.
  bool forget_unowned(const std::string& source) {
    std::int64_t& unowned = tally_.found[at(Drift::unowned)];
    const bool seen = unowned_.erase(source) > 0;
    if (!seen && (!options_.from || unowned == 0)) return false;
    --unowned;
    std::erase_if(tally_.findings, [&](const Finding& finding) {
      return finding.drift == Drift::unowned && finding.source == source;
    });
    return true;
  }

  void keep(Told told) {
    DeliveryOptions options = context_.delivery_options();
    options.one_server = context_.redis().one_server();
    const DeliveryResult result = context_.redis().hold(
        deliver(std::move(told.facts), std::move(told.head), options));
    if (result.outcome == Outcome::not_stored) {
      throw Stop(Exit::cannot_tell,
                 fmt::format("{} cannot be stored: {}", told.id, result.error));
    }
  }

  // --- lists
  // ------------------------------------------------------------------

  std::string query(std::string words) const {
    if (!options_.customer.empty()) {
      words += "customer=" + url_encoded(options_.customer) + '&';
    }
    if (options_.since) {
      words += fmt::format("created[gte]={}&", to_unix(*options_.since));
    }
    return words;
  }

  bool is_done(Stage stage) const {
    return options_.from && stage < options_.from->stage;
  }

  void page_is_done(Stage stage, const std::string& last) {
    // What was given back is wanted again by whoever goes on.
    if (stage >= Stage::subscriptions) cursor_ = {stage, last};
    if (options_.heal && options_.customer.empty() && !options_.since) {
      keep_progress(context_, cursor_, tally_, options_.started);
    }
    watching_(stage, tally_);
  }

  // `tell`: what one member says.
  using Tell = std::function<Told(const json::Node*, UnixTime)>;

  void list(Stage stage, const std::string& resource, std::string words,
            const Tell& tell) {
    const bool resumed = options_.from && options_.from->stage == stage;
    StripeList list(stripe_, resource, query(std::move(words)),
                    resumed ? options_.from->after : std::string());
    while (auto page = list.next()) {
      if (list.begun_anew()) begun_anew_.insert(stage);
      std::vector<Told> all;
      for (const json::Node* member : page->members) {
        check_mode(member);
        all.push_back(tell(member, page->reply.date));
      }
      look_at(stage, std::move(all));
      page_is_done(stage, page->last);
    }
  }

  void check_mode(const json::Node* member) const {
    const std::optional<bool> live = json::boolean(member, "livemode");
    if (live && *live != (context_.mode() == Mode::live)) {
      throw Stop(Exit::refused,
                 fmt::format("Stripe tells of {} objects, and this is {}",
                             *live ? "live" : "test", context_.space()));
    }
  }

  void take_given_back(const Told& told) {
    if (told.facts.places.empty()) return;
    for (const auto& [id, source] : told.facts.places.back().sources) {
      if (!source.refunds.empty() || !source.disputes.empty()) {
        given_back_[id].merge(source);
      }
    }
  }

  // --- the stages
  // -------------------------------------------------------------

  // The charge says how much of it went back. Of one customer only its charges
  // can be listed.
  void refunds() {
    const bool one = !options_.customer.empty();
    const auto tell = [&](const json::Node* member, UnixTime date) {
      const json::Node* charge = one ? member : json::member(member, "charge");
      Told told_all{};
      const bool any = json::boolean(charge, "refunded").value_or(false) ||
                       json::integer(charge, "amount_refunded").value_or(0) > 0;
      if (!json::is_object(charge) || (one && !any)) return told_all;
      told_all = told("charge.refunded", charge, date, reading_.options());
      take_given_back(told_all);
      return told_all;
    };
    list(Stage::refunds, one ? "/v1/charges" : "/v1/refunds",
         one ? "" : "expand[]=data.charge&", tell);
  }

  void disputes() {
    if (!options_.customer.empty()) return disputes_of_customer();
    list(Stage::disputes, "/v1/disputes", "expand[]=data.charge&",
         [&](const json::Node* member, UnixTime date) {
           return dispute(member, date);
         });
  }

  Told dispute(const json::Node* object, UnixTime date) {
    Told told_all =
        told("charge.dispute.updated", object, date, reading_.options());
    take_given_back(told_all);
    return told_all;
  }

  void disputes_of_customer() {
    StripeList charges(stripe_, "/v1/charges", query(""));
    while (auto page = charges.next()) {
      for (const json::Node* charge : page->members) {
        if (!json::boolean(charge, "disputed").value_or(false)) continue;
        StripeList list(stripe_, "/v1/disputes",
                        fmt::format("charge={}&expand[]=data.charge&",
                                    stripe::id(charge, "id")));
        while (auto some = list.next()) {
          std::vector<Told> all;
          for (const json::Node* one : some->members) {
            all.push_back(dispute(one, some->reply.date));
          }
          look_at(Stage::disputes, std::move(all));
        }
      }
    }
  }

  void subscriptions() {
    const bool whole = options_.customer.empty() && !options_.since;
    if (whole && !options_.import) see_what_is_done();
    if (is_done(Stage::subscriptions)) return;
    list(Stage::subscriptions, "/v1/subscriptions",
         "status=all&expand[]=data.customer&",
         [&](const json::Node* member, UnixTime date) {
           see(stripe::id(member, "id"));
           return with_more(
               told_of_subscription(member, date, reading_.options()), member,
               [&](const FactsOptions& options) {
                 return told_of_subscription(member, date, options);
               });
         });
  }

  // Whoever goes on has not seen what another had.
  void see_what_is_done() {
    if (!options_.from || options_.from->stage < Stage::subscriptions) return;
    const std::string& until = options_.from->after;
    const bool all = is_done(Stage::subscriptions);
    if (!all && until.empty()) return;
    StripeList list(stripe_, "/v1/subscriptions", "status=all&");
    while (auto page = list.next()) {
      for (const json::Node* member : page->members) {
        const std::string_view id = stripe::id(member, "id");
        see(id);
        if (!all && id == until) return;
      }
    }
  }

  void see(std::string_view id) {
    seen_.insert(std::hash<std::string_view>()(id));
  }

  void sessions() {
    if (is_done(Stage::sessions)) return;
    list(Stage::sessions, "/v1/checkout/sessions", "status=complete&",
         [&](const json::Node* member, UnixTime date) {
           const auto tell = [&](const FactsOptions& options) {
             return told("checkout.session.completed", member, date, options);
           };
           return with_more(tell(reading_.options()), member, tell);
         });
  }

  // A subscription says itself until when it is paid for.
  void invoices() {
    if (is_done(Stage::invoices)) return;
    list(Stage::invoices, "/v1/invoices", "status=paid&",
         [&](const json::Node* member, UnixTime date) {
           const auto tell = [&](const FactsOptions& options) {
             Told all = told("invoice.paid", member, date, options);
             if (all.facts.places.empty()) return all;
             const Sources& sources = all.facts.places.back().sources;
             const bool buys = std::any_of(
                 sources.begin(), sources.end(), [](const auto& source) {
                   return !is_subscription(source.first);
                 });
             if (!buys) all.facts = {};
             return all;
           };
           return with_more(tell(reading_.options()), member, tell);
         });
  }

  // Asks for what the object leaves out, as the webhook would.
  template <class Again>
  Told with_more(Told first, const json::Node* object, const Again& again) {
    if (first.facts.places.empty()) return first;
    std::optional<StripeQuestion> question = question_about(
        first, object, first.facts.is_payment && opens_nothing(first));
    if (!question || is_kept_whole(first)) return first;
    if (!ask(stripe_, *question)) return first;
    FactsOptions options = reading_.options();
    options.asked = &question->list();
    return again(options);
  }

  bool opens_nothing(const Told& told) const {
    if (context_.grants() == nullptr) return false;
    return std::none_of(told.facts.identifiers.begin(),
                        told.facts.identifiers.end(),
                        [&](const Identifier& identifier) {
                          return context_.grants()->knows(identifier);
                        });
  }

  // A session's lines do not change: what is kept of them need not be asked for
  // again.
  bool is_kept_whole(const Told& told) {
    if (!told.facts.is_payment) return false;
    const PlaceFacts& own = told.facts.places.back();
    const Kept kept = read_kept(context_, {own.place}).at(own.place);
    const auto purchases = purchases_of(kept.sources, context_);
    return std::any_of(
        purchases.begin(), purchases.end(), [&](const Purchase& purchase) {
          return purchase.source == told.id && !purchase.gives.empty();
        });
  }

  // --- what only Redis knows
  // --------------------------------------------------

  struct Unknown {
    std::string source;
    std::string place;
  };

  void records() {
    const bool whole = options_.customer.empty() && !options_.since;
    if (!whole || options_.import) return;
    std::vector<Unknown> unknown;
    each_open([&](const std::string& id, const Source& source) {
      if (!is_subscription(id)) return true;
      const bool seen = seen_.contains(std::hash<std::string_view>()(id));
      if (!seen) unknown.push_back({id, source.place});
      return unknown.size() < kMostUnknown;
    });
    for (const Unknown& one : unknown) look_for(one);
    watching_(Stage::records, tally_);
  }

  // Those of our own account that open something, in all records.
  template <class See>
  void each_open(const See& see_one) {
    const std::string pattern =
        literal_pattern(context_.space() + ":{u:") + "*}";
    each_key(context_, pattern, kScanTime,
             [&](Connection& node, const std::vector<std::string>& keys) {
               std::vector<Command> commands;
               for (const std::string& key : keys) {
                 commands.push_back({"HGETALL", key});
               }
               bool go_on = true;
               for (const Reply& reply : node.ask(commands)) {
                 const std::optional<Record> record = Record::decode(reply);
                 tally_.looked[at(Stage::records)]++;
                 if (!record) {
                   tally_.unreadable++;
                 } else if (go_on) {
                   go_on = each_effective(*record, see_one);
                 }
               }
               return go_on;
             });
  }

  template <class See>
  bool each_effective(const Record& record, const See& see_one) const {
    const bool any = std::any_of(
        record.sources.begin(), record.sources.end(),
        [](const auto& source) { return !path_of(source.first).empty(); });
    if (!any) return true;
    for (const Purchase& purchase : purchases_of(record.sources, context_)) {
      if (!purchase.effective || path_of(purchase.source).empty()) continue;
      const auto source = record.sources.find(purchase.source);
      if (!see_one(purchase.source, source->second)) return false;
    }
    return true;
  }

  // Nothing is ended because a list lacks it: the object is asked for.
  void look_for(const Unknown& unknown) {
    const std::optional<StripeReply> reply = stripe_.find(
        "/v1/subscriptions/" + unknown.source + "?expand[]=customer");
    std::vector<Told> one;
    if (reply) {
      const json::Node* object = reply->document.root();
      check_mode(object);
      one.push_back(
          told_of_subscription(object, reply->date, reading_.options()));
    } else {
      one.push_back(told_that_it_is_gone(unknown.source, unknown.place,
                                         stripe_.last_date()));
    }
    look_at(Stage::subscriptions, std::move(one));
  }

  // A key of another account would have everything here be extra, and all of
  // that account's be missing.
  void check_account() {
    if (options_.from) return;
    std::vector<std::string> some;
    each_open([&](const std::string& id, const Source&) {
      some.push_back(id);
      return some.size() < kProbes;
    });
    tally_.looked[at(Stage::records)] = 0;
    tally_.unreadable = 0;
    if (some.size() < kProbes) return;
    for (const std::string& id : some) {
      if (stripe_.find(path_of(id))) return;
    }
    throw Stop(Exit::refused,
               fmt::format("Stripe knows none of {}, which are open in {}: the "
                           "key seems to be of another account or sandbox",
                           listed(some), context_.space()));
  }

  const Context& context_;
  StripeApi& stripe_;
  const WalkOptions& options_;
  const Watching& watching_;
  const StripeReading reading_;
  std::set<std::string> ignored_;
  Sources given_back_;
  std::unordered_set<std::size_t> seen_;     // hashes of subscriptions' ids
  std::unordered_set<std::size_t> counted_;  // hashes of what was found
  std::set<std::string> unowned_;
  std::set<Stage> begun_anew_;
  Cursor cursor_;
  Tally tally_;
};

}  // namespace

Walked walk(const Context& context, StripeApi& stripe,
            const WalkOptions& options, const Watching& watching) {
  if (stripe.key().mode() != context.mode()) {
    throw Stop(Exit::refused,
               fmt::format("the key from {} is of mode {}, and this is {}",
                           stripe.key().from(), name(stripe.key().mode()),
                           context.space()));
  }
  return Walk(context, stripe, options, watching).go();
}

}  // namespace entitle::cli
