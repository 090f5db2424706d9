#include "core/stripe/invoice_line.h"

#include "core/stripe/object.h"

namespace entitle {
namespace {

const json::Node* details(const json::Node* line, std::string_view kind) {
  return json::member(json::member(line, "parent"), kind);
}

const json::Node* item_details(const json::Node* line) {
  return details(line, "subscription_item_details");
}

const json::Node* invoice_item_details(const json::Node* line) {
  return details(line, "invoice_item_details");
}

bool is_subscription_line(const json::Node* line) {
  std::string_view kind = json::string(json::member(line, "parent"), "type");
  if (!kind.empty()) {
    // Without the details nobody says that it is no proration.
    return kind == "subscription_item_details" &&
           json::is_object(item_details(line));
  }
  kind = json::string(line, "type");
  if (!kind.empty()) return kind == "subscription";
  return !stripe::id(line, "subscription").empty() ||
         json::is_object(item_details(line));
}

bool is_recurring(const json::Node* price) {
  return json::string(price, "type") == "recurring" ||
         json::is_object(json::member(price, "recurring"));
}

bool is_credit(const json::Node* line) {
  return json::integer(line, "amount").value_or(0) < 0;
}

// Of a price that is not metered the line says how many were bought.
bool is_held(const json::Node* line) {
  const json::Node* price = price_of(line);
  std::string_view usage =
      json::string(json::member(price, "recurring"), "usage_type");
  if (usage.empty()) usage = json::string(price, "usage_type");
  return usage != "licensed" || json::integer(line, "quantity").value_or(1) > 0;
}

}  // namespace

bool is_proration(const json::Node* line) {
  for (const json::Node* says :
       {line, item_details(line), invoice_item_details(line)}) {
    if (json::boolean(says, "proration").value_or(false)) return true;
  }
  return false;
}

bool shows_plan(const json::Node* line) {
  return is_subscription_line(line) && !is_proration(line) && !is_credit(line);
}

bool is_one_time(const json::Node* line) {
  std::string_view kind = json::string(json::member(line, "parent"), "type");
  bool waited = kind.empty() ? json::string(line, "type") == "invoiceitem"
                             : kind == "invoice_item_details" &&
                                   json::is_object(invoice_item_details(line));
  return waited && !is_proration(line) && !is_recurring(price_of(line)) &&
         !is_credit(line);
}

std::string_view subscription_of_line(const json::Node* line) {
  for (const json::Node* says :
       {line, item_details(line), invoice_item_details(line)}) {
    std::string_view id = stripe::id(says, "subscription");
    if (!id.empty()) return id;
  }
  return {};
}

const json::Node* price_of(const json::Node* line) {
  const json::Node* price = json::member(line, "price");
  return json::is_object(price) ? price : json::member(line, "plan");
}

const json::Node* price_details(const json::Node* line) {
  return json::member(json::member(line, "pricing"), "price_details");
}

void add_line(const json::Node* line, IdentifierList& list) {
  if (!is_held(line)) return;
  list.add_price(price_of(line));
  list.add_price(json::member(price_details(line), "price"));
  list.add_id(stripe::id(price_details(line), "product"));
}

}  // namespace entitle
