// A list of Stripe's, page by page, newest first. It is over when Stripe says
// so: a list that stops in the middle is an error, never an end.
// Source: https://docs.stripe.com/api/pagination
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/stripe/api.h"

namespace entitle::cli {

class StripeList {
 public:
  // `resource`: "/v1/subscriptions"; `query`: "status=all&", may be empty.
  // `after`: goes on behind this id; empty: from the beginning.
  StripeList(StripeApi& api, std::string resource, std::string query,
             std::string after = {});

  struct Page {
    StripeReply reply;
    std::vector<const json::Node*> members;  // views into the reply
    std::string last;                        // id of the last one
  };
  // Null: there is no more. Throws Stop.
  std::optional<Page> next();
  // Where it was to go on, there was nothing any more: it began anew.
  bool begun_anew() const { return begun_anew_; }

 private:
  std::string path() const;

  StripeApi& api_;
  std::string resource_;
  std::string query_;
  // The last page's ids: where it goes on. Should an object be gone by then,
  // the one before it does.
  std::vector<std::string> cursors_;
  bool begun_anew_ = false;
  bool over_ = false;
};

}  // namespace entitle::cli
