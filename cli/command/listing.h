// What `parked` and `unmatched` have in common: members of an index with what
// each holds.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command/command.h"
#include "cli/kept/context.h"
#include "cli/kept/lookup.h"
#include "cli/kept/purchase.h"

namespace entitle::cli {

// One of them, as it is printed.
struct Entry {
  std::string what;   // cus_1, or u:42|cs_1
  UnixTime since{};   // first sight
  std::string email;  // of the customer; may be empty
  std::string note;   // what else there is to say; may be empty
  std::vector<Purchase> purchases;
  std::string command;  // what to do about it
};

// The index `key`, as it is printed: what is in it, each made an Entry.
struct Listing {
  std::string_view name;     // what its JSON calls it
  std::string_view nothing;  // "Nothing is <name> under <space>: ..."
  std::string_view some;     // "3 ..., under <space>"
  std::function<Entry(const Context&, const Listed&)> entry;
};
Answer list(const Context& context, const std::string& key,
            const Listing& listing, const ListOptions& options, bool as_json);

}  // namespace entitle::cli
