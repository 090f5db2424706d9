#include "core/stripe/asking.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/base/ascii.h"
#include "core/stripe/object.h"
#include "core/stripe/refusal.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxBeginningBytes = 60;

// The words people have for it, and the permission that a restricted key needs.
struct Row {
  std::string_view name, permission;
};
constexpr std::array<Row, 4> kRows = {{
    {"line items", "rak_checkout_session_read"},
    {"subscription items", "rak_subscription_read"},
    {"invoice lines", "rak_invoice_read"},
    {"active entitlements", "rak_entitlement_read"},
}};
const Row& row(Listed what) { return kRows[static_cast<std::size_t>(what)]; }

bool has_more(const json::Node* object, std::string_view list) {
  return json::boolean(json::member(object, list), "has_more").value_or(false);
}

// Of an id in a query.
std::string escaped(std::string_view id) {
  std::string text;
  for (char c : id) {
    bool plain = is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
    if (plain) {
      text += c;
    } else {
      constexpr std::string_view digits = "0123456789ABCDEF";
      auto byte = static_cast<unsigned char>(c);
      text += '%';
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
  }
  return text;
}

// Busy, or two requests at once about one object, or something that Stripe
// itself asks: another time it may answer.
bool is_passing(unsigned status) {
  return status == 408 || status == 409 || status == 424 || status == 425 ||
         status == 429 || status >= 500;
}

// What to say of a list that Stripe would not give.
struct Refused {
  Listed what;
  unsigned status;
  std::string_view message, code;
  std::string path;
};

std::string lacking(const std::vector<std::string>& permissions) {
  std::string text = permissions.size() == 1
                         ? ": the key lacks the permission "
                         : ": the key lacks the permissions ";
  for (std::size_t i = 0; i < permissions.size(); ++i) {
    if (i > 0) text += i + 1 == permissions.size() ? " and " : ", ";
    text += permissions[i];
  }
  return text;
}

std::string refusal(const Refused& refused) {
  std::string why = "Stripe refused the " +
                    std::string(row(refused.what).name) + " with status " +
                    std::to_string(refused.status);
  if (refused.status == 401) why += ": it does not know the key";
  if (refused.status == 403) {
    std::vector<std::string> named = lacking_permissions(refused.message);
    if (!named.empty()) return why + lacking(named);
  }
  if (!refused.message.empty()) why += ": " + quoted_words(refused.message);
  if (!refused.code.empty()) why += " (" + quoted_words(refused.code) + ")";
  why += ", asked for " + refused.path;
  if (refused.status == 403) {
    why += ", which takes the permission ";
    why += row(refused.what).permission;
  }
  return why;
}

struct Refusal {
  bool passes;  // some limits of Stripe's are answered 400
  std::string why;
};

// Stripe's errors have one shape, whatever they are about.
std::optional<Refusal> refused_by_stripe(Refused refused,
                                         std::string_view body) {
  json::Error error;
  std::optional<json::Document> document = json::parse(body, kMaxDepth, error);
  if (!document) return std::nullopt;
  const json::Node* said = json::member(document->root(), "error");
  if (json::string(said, "type").empty()) return std::nullopt;
  refused.message = json::string(said, "message");
  refused.code = json::string(said, "code");
  return Refusal{refused.code == "rate_limit", refusal(refused)};
}

// Of nginx's own words: who to look at.
std::string said_by_nginx(unsigned status) {
  std::string why = "nginx itself answered with status " +
                    std::to_string(status) + ", not Stripe: ";
  if (status == 502)
    return why + "it got nothing of use from Stripe, as it says above";
  if (status == 504) {
    return why +
           "Stripe took longer than \"proxy_connect_timeout\" or "
           "\"proxy_read_timeout\" of the location";
  }
  return why +
         "look at the location of \"entitle_stripe_request\" and its "
         "server for \"return\", \"if\", \"rewrite\", \"limit_req\" and "
         "\"limit_conn\", and for the \"proxy_pass\"; it is asked by "
         "http, without headers of the webhook's";
}

// Of the words of whoever stands where Stripe should.
std::string said_by_others(unsigned status, std::string_view body) {
  std::string why =
      "what answered with status " + std::to_string(status) + " is not Stripe";
  std::size_t at = body.find_first_not_of(" \t\r\n");
  if (at == std::string_view::npos) {
    why += ": the answer is empty";
  } else {
    why += ": the answer begins " +
           quoted_words(body.substr(at, kMaxBeginningBytes));
  }
  return why +
         "; look at the \"proxy_pass\" of the location and at what is "
         "between it and Stripe";
}

const char* said_of(StripeAnswer::Flaw flaw) {
  switch (flaw) {
    case StripeAnswer::Flaw::late:
      return "Stripe did not answer in time";
    case StripeAnswer::Flaw::broke_off:
      return "Stripe's answer broke off";
    case StripeAnswer::Flaw::encoded:
      return "Stripe's answer is compressed, which nobody asked for: look for "
             "\"Accept-Encoding\" in the location";
    case StripeAnswer::Flaw::too_long:
      return "Stripe's answer is too large (over 4 MiB)";
    case StripeAnswer::Flaw::none:
      break;
  }
  return nullptr;
}

// It would stand in a path.
bool is_plain(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return is_alphanumeric(c) || c == '_';
  });
}

// What takes access away, and for good or until another event says so: no item
// matters, and nothing that ends waits for Stripe.
bool takes_away(const Event& event, const json::Node* subscription) {
  constexpr std::string_view statuses[] = {"canceled", "unpaid", "paused",
                                           "incomplete_expired"};
  std::string_view status = json::string(subscription, "status");
  return event.head.type == "customer.subscription.deleted" ||
         stripe::time(subscription, "ended_at") ||
         std::find(std::begin(statuses), std::end(statuses), status) !=
             std::end(statuses);
}

}  // namespace

StripeQuestion::StripeQuestion(Listed what, std::string resource,
                               std::string query)
    : resource_(std::move(resource)), query_(std::move(query)) {
  list_.what = what;
}

std::optional<StripeQuestion> StripeQuestion::about_subscription(
    const Event& event) {
  std::string_view id = stripe::id(event.object, "id");
  if (id.empty() || !has_more(event.object, "items") ||
      takes_away(event, event.object)) {
    return std::nullopt;
  }
  StripeQuestion question(Listed::items, "/v1/subscription_items",
                          "subscription=" + escaped(id) + "&");
  question.of_ = id;
  return question;
}

std::optional<StripeQuestion> StripeQuestion::about(const Event& event,
                                                    const Facts& facts,
                                                    bool opens_nothing) {
  const json::Node* object = event.object;
  if (facts.places.empty()) return std::nullopt;
  std::string_view kind = json::string(object, "object");
  std::string id(stripe::id(object, "id"));
  if (kind == "checkout.session" && opens_nothing && facts.is_payment &&
      is_plain(id)) {
    return StripeQuestion(Listed::line_items,
                          "/v1/checkout/sessions/" + id + "/line_items", "");
  }
  if (kind == "subscription") return about_subscription(event);
  if (kind == "invoice" && has_more(object, "lines") && is_plain(id)) {
    return StripeQuestion(Listed::lines, "/v1/invoices/" + id + "/lines", "");
  }
  if (kind == "entitlements.active_entitlement_summary" &&
      has_more(object, "entitlements")) {
    std::string customer = escaped(stripe::id(object, "customer"));
    if (customer.empty()) return std::nullopt;
    return StripeQuestion(Listed::entitlements,
                          "/v1/entitlements/active_entitlements",
                          "customer=" + customer + "&");
  }
  return std::nullopt;
}

std::string StripeQuestion::path() const {
  std::string path = resource_ + "?" + query_ + "limit=100";
  if (!after_.empty()) path += "&starting_after=" + escaped(after_);
  return path;
}

StripeQuestion::Next StripeQuestion::fail(Next next, std::string why) {
  why_ = std::move(why);
  return next;
}

// An answer that somebody kept, or mistook, may be about another's.
bool StripeQuestion::is_others(const json::Node* member) const {
  std::string_view of = stripe::id(member, "subscription");
  return !of_.empty() && !of.empty() && of != of_;
}

StripeQuestion::Next StripeQuestion::page(json::Document document) {
  const json::Node* root = document.root();
  const json::Node* data = json::member(root, "data");
  std::optional<bool> more = json::boolean(root, "has_more");
  if (json::string(root, "object") != "list" || !json::is_array(data) ||
      !more) {
    return fail(Next::retry,
                "the answer is JSON, but no list of Stripe's: look at the "
                "location of \"entitle_stripe_request\" and its "
                "\"proxy_pass\"");
  }
  std::string_view last;
  for (const json::Node* member : json::Children(data)) {
    if (is_others(member)) {
      return fail(Next::retry,
                  "Stripe's answer is about another subscription, maybe from "
                  "a cache");
    }
    last = stripe::id(member, "id");
  }
  if (*more && (last.empty() || last == after_)) {
    return fail(Next::retry, "Stripe's list goes on without an id");
  }
  after_ = last;
  list_.complete = !*more;
  list_.pages.push_back(std::move(document));
  bool enough = list_.complete || list_.pages.size() == kMostPages;
  return enough ? Next::use : Next::ask;
}

StripeQuestion::Next StripeQuestion::read(const StripeAnswer& answer) {
  json::Error error;
  std::optional<json::Document> document =
      json::parse(answer.body, kMaxDepth, error);
  if (document) return page(*std::move(document));
  return fail(Next::retry, answer.by == StripeAnswer::By::nginx
                               ? said_by_nginx(answer.status)
                               : said_by_others(answer.status, answer.body));
}

StripeQuestion::Next StripeQuestion::take(const StripeAnswer& answer) {
  using By = StripeAnswer::By;
  if (answer.flaw == StripeAnswer::Flaw::late) {
    return fail(Next::retry, said_of(answer.flaw));
  }
  if (answer.status == 0) {
    return fail(Next::retry, "Stripe could not be asked, as nginx says above");
  }
  if (answer.by == By::cache) {
    return fail(Next::retry,
                "the answer came from a cache, and may be out of date: say "
                "\"proxy_cache off\" in the location of "
                "\"entitle_stripe_request\"");
  }
  if (answer.by == By::nginx && answer.status != 200) {
    return fail(Next::retry, said_by_nginx(answer.status));
  }
  if (is_passing(answer.status)) {
    return fail(Next::retry,
                "Stripe answered with status " + std::to_string(answer.status));
  }
  if (answer.flaw != StripeAnswer::Flaw::none) {
    return fail(Next::retry, said_of(answer.flaw));
  }
  if (answer.status == 200) return read(answer);
  if (answer.status >= 400) {
    auto refused = refused_by_stripe(
        {list_.what, answer.status, {}, {}, path()}, answer.body);
    if (refused) {
      return fail(refused->passes ? Next::retry : Next::refuse,
                  std::move(refused->why));
    }
  }
  return fail(Next::retry, said_by_others(answer.status, answer.body));
}

}  // namespace entitle
