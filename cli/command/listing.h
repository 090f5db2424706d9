// What `parked` and `unmatched` have in common: members of an index with what
// each holds.
#pragma once

#include <string>
#include <vector>

#include "cli/kept/context.h"
#include "cli/kept/purchase.h"
#include "core/json/writer.h"

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

std::string text_of_entries(const std::vector<Entry>& entries, UnixTime now);
void write(json::Writer& out, const Entry& entry, UnixTime now);

}  // namespace entitle::cli
