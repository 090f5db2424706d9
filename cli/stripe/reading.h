// How this site reads what Stripe says: whom `entitle_user_from` believes, and
// by which keys references are signed.
#pragma once

#include <optional>

#include "cli/kept/context.h"
#include "cli/stripe/api.h"
#include "core/stripe/asking.h"
#include "core/stripe/client_reference.h"
#include "core/stripe/facts.h"

namespace entitle::cli {

class StripeReading {
 public:
  // Of the server that takes the webhooks; without a configuration, the
  // defaults. Throws Stop where its keys cannot be read.
  explicit StripeReading(const Context& context);
  StripeReading(const StripeReading&) = delete;
  StripeReading& operator=(const StripeReading&) = delete;

  const FactsOptions& options() const { return options_; }

 private:
  std::optional<ClientReference> reference_;
  FactsOptions options_;
};

// Asks until the question has what it wants. False: Stripe will not tell.
// Throws Stop.
bool ask(StripeApi& stripe, StripeQuestion& question);

}  // namespace entitle::cli
