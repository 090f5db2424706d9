#include "core/stripe/asking.h"

#include <array>

#include "core/base/ascii.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxPermissionBytes = 64;

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

// Ids stand in a path and a query.
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

// Busy, or two requests at once about one object: another time it may answer.
bool is_passing(unsigned status) {
  return status == 0 || status == 408 || status == 409 || status == 425 ||
         status == 429 || status >= 500;
}

// Some limits of Stripe's are answered 400, as npm's SDK knows.
bool is_rate_limit(unsigned status, std::string_view body) {
  if (status != 400) return false;
  json::Error error;
  std::optional<json::Document> document = json::parse(body, kMaxDepth, error);
  return document && json::string(json::member(document->root(), "error"),
                                  "code") == "rate_limit";
}

// Stripe names the permission that a restricted key lacks:
// "... Having the 'rak_checkout_session_read' permission would allow ...".
// Empty: it does not. The rest of its words has a part of the key in them.
std::string_view permission_in(std::string_view body) {
  std::size_t at = body.find("rak_");
  if (at == std::string_view::npos) return {};
  std::string_view name = body.substr(at, kMaxPermissionBytes);
  std::size_t end = 0;
  while (end < name.size() &&
         (is_alphanumeric(name[end]) || name[end] == '_')) {
    ++end;
  }
  return name.substr(0, end);
}

std::string refusal(Listed what, unsigned status, std::string_view body) {
  std::string why = "Stripe refused the " + std::string(row(what).name) +
                    " with status " + std::to_string(status);
  if (status == 401) return why + ": it does not know the key";
  if (status != 403) return why;
  std::string_view named = permission_in(body);
  why += ": the key lacks the permission ";
  return why.append(named.empty() ? row(what).permission : named);
}

}  // namespace

StripeQuestion::StripeQuestion(Listed what, std::string resource,
                               std::string query)
    : resource_(std::move(resource)), query_(std::move(query)) {
  list_.what = what;
}

std::optional<StripeQuestion> StripeQuestion::about(const Event& event,
                                                    const Facts& facts,
                                                    bool opens_nothing) {
  const json::Node* object = event.object;
  if (facts.places.empty()) return std::nullopt;
  std::string_view kind = json::string(object, "object");
  std::string id = escaped(stripe::id(object, "id"));
  if (kind == "checkout.session" && opens_nothing && facts.is_payment &&
      !id.empty()) {
    return StripeQuestion(Listed::line_items,
                          "/v1/checkout/sessions/" + id + "/line_items", "");
  }
  if (kind == "subscription" && has_more(object, "items") && !id.empty()) {
    return StripeQuestion(Listed::items, "/v1/subscription_items",
                          "subscription=" + id + "&");
  }
  if (kind == "invoice" && has_more(object, "lines") && !id.empty()) {
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

StripeQuestion::Next StripeQuestion::page(json::Document document) {
  const json::Node* root = document.root();
  const json::Node* data = json::member(root, "data");
  std::optional<bool> more = json::boolean(root, "has_more");
  if (!json::is_array(data) || !more) {
    return fail(Next::retry, "Stripe's answer is no list");
  }
  std::string_view last;
  for (const json::Node* member : json::Children(data)) {
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

StripeQuestion::Next StripeQuestion::take(unsigned status,
                                          std::string_view body) {
  if (is_passing(status) || is_rate_limit(status, body)) {
    return fail(Next::retry, status == 0 ? "Stripe did not answer in time"
                                         : "Stripe answered with status " +
                                               std::to_string(status));
  }
  if (status != 200) {
    return fail(Next::refuse, refusal(list_.what, status, body));
  }
  json::Error error;
  std::optional<json::Document> document = json::parse(body, kMaxDepth, error);
  if (!document) {
    return fail(Next::retry, "Stripe's answer is not JSON, or broke off");
  }
  return page(*std::move(document));
}

}  // namespace entitle
