// The commands: each is one file with what it does and what it prints; their
// words on the command line are main.cc's.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/base/stop.h"
#include "cli/command/agree.h"
#include "cli/kept/context.h"
#include "core/json/writer.h"

namespace entitle::cli {

// What a command says, and how it ends. Text ends in a line feed; JSON is one
// object without any.
struct Answer {
  Exit how = Exit::fine;
  std::string text;
};

// What they take besides. docs/entitlectl.md says what each means.
struct WhyOptions {
  std::string subject;  // a user, a Stripe id, an event or an e-mail
  std::string url;      // empty: none
  std::string cookies;  // a file with the browser's; empty: none
};
struct LinkOptions : WriteOptions {
  std::string what;   // cus_, sub_, cs_, pi_, in_
  std::string user;   // whose it is
  std::string csv;    // a file with both, line by line; empty: none
  bool move = false;  // also where it is somebody's
};
struct GrantOptions : WriteOptions {
  std::string user;
  std::string name;   // of the entitlement
  std::string for_;   // a time: 30d. One of the three is said
  std::string until;  // a date
  bool forever = false;
};
struct RevokeOptions : WriteOptions {
  std::string user;
  std::string name;
};
struct ExportOptions {
  std::string file = "-";
};
struct RestoreOptions : WriteOptions {
  std::string file;
};
struct ListOptions {
  std::size_t most = 100;  // how many are shown
};
struct IgnoreOptions {
  std::vector<std::string> names;
  bool remove = false;
};
struct EventsOptions {
  std::string user;  // empty: everybody's
  std::size_t most = 20;
};

// Whether somebody is in, and which link of the chain is broken.
Answer why(const Context& context, const WhyOptions& options, bool as_json);
// Says whose something is, before all that events say.
Answer link(const Context& context, const LinkOptions& options, bool as_json);
// Gives somebody what nobody paid for, and takes that back.
Answer grant(const Context& context, const GrantOptions& options, bool as_json);
Answer revoke(const Context& context, const RevokeOptions& options,
              bool as_json);
// All that is kept, as lines of JSON; and back.
Answer export_all(const Context& context, const ExportOptions& options,
                  bool as_json);
Answer restore(const Context& context, const RestoreOptions& options,
               bool as_json);
// What somebody paid for and belongs to nobody.
Answer parked(const Context& context, const ListOptions& options, bool as_json);
// What somebody paid for and no grant knows.
Answer unmatched(const Context& context, const ListOptions& options,
                 bool as_json);
// What an operator waves through: adds to it, or takes off, and lists it.
Answer ignore(const Context& context, const IgnoreOptions& options,
              bool as_json);
// What came last, of one user or of all.
Answer events(const Context& context, const EventsOptions& options,
              bool as_json);

// "prefix":…,"mode":…: the first members of every answer in JSON.
void write_space(json::Writer& out, const Context& context);

}  // namespace entitle::cli
