// What each source comes to now, in the words of the commands: whether it is
// paid for, what it is known by, what grants make of it, and why it opens
// nothing where it does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "core/access/access.h"
#include "core/access/projection.h"
#include "core/json/writer.h"
#include "core/source/source.h"

namespace entitle::cli {

struct Purchase {
  std::string source;
  std::string place;
  bool paid = false;       // or tried, or given
  bool effective = false;  // now, by state and time; grants aside
  UnixTime until{};        // when effective
  UnixTime ended{};        // when it lapsed by time: then; else the epoch
  Lapse lapse = Lapse::none;
  Projection::State state = Projection::State::not_paid;
  bool unclear = false;  // Stripe says a word of it that is not known
  bool awaited = false;  // it is paid, and what becomes of that is not said
  UnixTime newest{};     // the newest that was said of it
  std::vector<Identifier> identifiers;
  std::vector<std::string> gives;  // entitlements, by grants

  bool opens_nothing() const { return effective && gives.empty(); }
};

// By source id.
std::vector<Purchase> purchases_of(const Sources& sources,
                                   const Context& context);

std::string_view name(Projection::State state);
std::string_view name(Lapse lapse);

// "price_1 and prod_2", or that it carries nothing.
std::string text_of_identifiers(const std::vector<Identifier>& identifiers);

// As an object: {"source":…,"place":…,"state":…,"effective":…,…}.
void write(json::Writer& out, const Purchase& purchase);

}  // namespace entitle::cli
