// The table of event types that say something about access. Anything not in it
// is ignored.
//
// Adding a type: a row in event_types.cc and a function in the facts_*.cc of
// its object, made of the parts in facts_parts.h.
#pragma once

#include <string_view>

#include "core/stripe/facts.h"
#include "core/stripe/facts_parts.h"

namespace entitle {

using FactsFunction = void (*)(const Reading& reading, Facts& facts);

// Null: the type is ignored.
FactsFunction facts_function(std::string_view type);

// --- the functions, by object ----------------------------------------------

void checkout_session_facts(const Reading&, Facts&);
void subscription_created_facts(const Reading&, Facts&);
void subscription_updated_facts(const Reading&, Facts&);
void subscription_deleted_facts(const Reading&, Facts&);
void subscription_notice_facts(const Reading&, Facts&);
void invoice_paid_facts(const Reading&, Facts&);
void invoice_not_finalized_facts(const Reading&, Facts&);
void invoice_payment_facts(const Reading&, Facts&);
void payment_intent_facts(const Reading&, Facts&);
void charge_refunded_facts(const Reading&, Facts&);
void refund_facts(const Reading&, Facts&);
void dispute_facts(const Reading&, Facts&);
void customer_facts(const Reading&, Facts&);
void customer_deleted_facts(const Reading&, Facts&);
void entitlement_summary_facts(const Reading&, Facts&);

}  // namespace entitle
