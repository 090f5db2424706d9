// One line of an invoice: what it sells, and for what it is: of a plan, once,
// or of a time that is over. The old shape and the one of 2025-03-31.basil are
// both looked for, per field.
// Source: https://docs.stripe.com/api/invoice-line-item/object
#pragma once

#include <string_view>

#include "core/json/tree.h"
#include "core/stripe/facts_parts.h"

namespace entitle {

// In whichever shape Stripe sends it: of an item of the subscription, or of one
// that waited for the next invoice.
bool is_proration(const json::Node* line);

// A line of the plan itself. A proration is about the past: its price may be
// the one just left.
bool shows_plan(const json::Node* line);

// What a subscription's invoice sells besides: a course, a set-up fee. Only
// what says that it is no proration.
bool is_one_time(const json::Node* line);

// Empty: it names none.
std::string_view subscription_of_line(const json::Node* line);

// The price or plan; where there is `price_details`, ids alone.
const json::Node* price_of(const json::Node* line);
// Since 2025-03-31.basil: ids, and no lookup key.
const json::Node* price_details(const json::Node* line);

// What the line is known by, unless there are none of it.
void add_line(const json::Node* line, IdentifierList& list);

}  // namespace entitle
