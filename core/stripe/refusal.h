// What Stripe says where it refuses an API key something: read out of its words
// for people, since nothing else says it.
// Source: https://docs.stripe.com/api/errors
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace entitle {

// The permissions that a restricted key lacks, as Stripe's message names them:
// "... Having the 'rak_checkout_session_read' permission would allow ...". At
// most a few; none: it names none.
std::vector<std::string> lacking_permissions(std::string_view message);

// Stripe's own words, for the log: bounded, on one line, in quotes, and without
// what they repeat of the key.
std::string quoted_words(std::string_view message);

}  // namespace entitle
