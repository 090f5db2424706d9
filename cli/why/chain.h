// The way from a payment to an open door, link by link: which of them hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/kept/context.h"
#include "cli/kept/purchase.h"
#include "cli/kept/subject.h"

namespace entitle::cli {

enum class LinkState { whole, broken, unknown };
std::string_view name(LinkState state);

struct Link {
  std::string_view name;
  LinkState state = LinkState::unknown;
  std::string says;
  // Of a broken one: what is wrong as a sentence, and what mends it.
  std::string sentence = {};
  std::string cure = {};
};

// What is known of a subject, all read at one time.
struct Known {
  Subject subject;
  bool record_exists = false;
  bool record_readable = true;
  std::optional<Record> record;
  std::optional<Place> place;  // where it is kept, if that is there
  bool place_readable = true;
  std::vector<Purchase> purchases;   // of the record, and what waits
  std::vector<std::string> waiting;  // sources that wait in the place
  std::vector<LogLine> log;          // newest first
  // Of the hash `webhook`.
  std::optional<UnixTime> received, applied, refused;
  std::string refused_why;
  // What the browser shows; null: nobody knows.
  std::optional<std::string> cookies;
};
Known read_known(const Context& context, Subject subject);

// The purchase that the chain is about: the one that was asked for; else one
// that gives any of `wanted` (all: empty); else the one somebody can do most
// about. Null: there is none.
const Purchase* purchase_to_explain(const Known& known,
                                    const std::vector<std::string>& wanted);

// paid, delivered, verified, stored, owner, record, grant, time, refund,
// dispute, session.
std::vector<Link> chain_of(const Context& context, const Known& known,
                           const Purchase* purchase);

// Null: none is broken.
const Link* first_broken(const std::vector<Link>& chain);

}  // namespace entitle::cli
