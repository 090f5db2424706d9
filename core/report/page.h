// The status as a page for people: in order of what somebody has to act on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/report/search.h"
#include "core/report/status.h"

namespace entitle {

// What was searched for, where, and what was found.
struct Searched {
  std::string text;
  std::size_t space = 0;               // of Status::spaces
  std::optional<SearchFound> found{};  // null: nothing was asked
  std::vector<FoundPurchase> purchases{};
};

std::string status_page(const Status& status, const Searched& searched = {});
// What its browser may do with it (Content-Security-Policy).
std::string page_policy();

}  // namespace entitle
