// What an event leaves out and Stripe can be asked for
// (entitle_stripe_request): the line items of a payment, which no webhook has,
// and the rest of lists that say `has_more`. Here: what to ask, and how to read
// the answers; whoever asks is elsewhere. Source:
// https://docs.stripe.com/api/pagination, https://docs.stripe.com/api/errors
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json/tree.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {

// A list of Stripe's that an event has none or a part of.
enum class Listed { line_items, items, lines, entitlements };

// The list as Stripe gave it.
struct StripeList {
  Listed what = Listed::line_items;
  std::vector<json::Document> pages;
  bool complete = false;  // else only its beginning
};

// What came of a question. Whoever answers it need not be Stripe.
struct StripeAnswer {
  enum class By {
    nginx,   // itself, in its own words: a `return`, a limit, a file
    server,  // that the location asked
    cache,   // the same, long ago
  };
  enum class Flaw { none, late, broke_off, encoded, too_long };

  unsigned status = 0;    // 0: there is none
  std::string_view body;  // what there is of it
  By by = By::nginx;
  Flaw flaw = Flaw::none;
};

class StripeQuestion {
 public:
  static constexpr std::size_t kMostPages = 3;
  static constexpr std::size_t kMostBytes = std::size_t{4} << 20;  // a page

  // `opens_nothing`: no grant knows any of `facts.identifiers`. Null: the event
  // says all that matters.
  static std::optional<StripeQuestion> about(const Event& event,
                                             const Facts& facts,
                                             bool opens_nothing);

  // What to GET next: "/v1/checkout/sessions/cs_1/line_items?limit=100".
  std::string path() const;

  enum class Next {
    ask,     // for the next page
    use,     // what it has
    retry,   // the whole event, later: Stripe is slow, busy or failed
    refuse,  // Stripe will not tell (more): the event stands by what there is
  };
  // Only a list that is whole is used, and only what Stripe itself refuses is
  // refused: whatever else comes, nobody has said anything yet.
  Next take(const StripeAnswer& answer);
  // The same of an answer that is known to be Stripe's, and 200.
  Next take(json::Document page) { return this->page(std::move(page)); }

  StripeList& list() { return list_; }
  const StripeList& list() const { return list_; }
  // Why not to be used: for the log. Nothing of a key's.
  const std::string& why() const { return why_; }

 private:
  StripeQuestion(Listed what, std::string resource, std::string query);
  static std::optional<StripeQuestion> about_subscription(const Event& event);
  Next read(const StripeAnswer& answer);
  Next page(json::Document document);
  Next fail(Next next, std::string why);
  bool is_others(const json::Node* member) const;

  StripeList list_;
  std::string resource_;  // "/v1/..."
  std::string query_;     // "subscription=sub_1&" or empty
  std::string of_;        // the subscription of these items
  std::string after_;     // the last id of the last page
  std::string why_;
};

}  // namespace entitle
