// Events for tests: signed by OpenSSL itself, so that a VerifiedPayload comes
// about the only way it can, and read like a webhook's body.
#pragma once

#include <jansson.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/json/tree.h"
#include "core/source/identifier.h"
#include "core/source/source.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle::test {

// The whole file; aborts the test program with a message when it is missing.
std::string read_file(const std::string& path);
// A file below fixtures/stripe/.
std::string fixture(const std::string& name);
// The names of all fixture events (not scenarios), sorted.
std::vector<std::string> fixture_names();
// The names of all scenario files, sorted.
std::vector<std::string> scenario_names();

ParsedEvent parse(std::string_view body,
                  std::size_t max_bytes = kMaxEventBytes);
// Aborts when `body` is no event.
Event event(std::string_view body);

std::string dump(const json_t* json);
std::string dump(const json::Node* node);  // compact, members as they came

FactsOptions default_options();
Facts facts(std::string_view body);  // by default_options()
Facts facts_of_fixture(const std::string& name);

// All sources of all places of the facts, merged.
Sources sources(const Facts& facts);

// What a record holds after these events came in this order.
Sources sources_of(const std::vector<std::string>& bodies);

// "a b c".
std::string joined(const std::vector<Identifier>& identifiers);
std::vector<std::string> texts(const std::vector<Identifier>& identifiers);

// As Redis would hold and give them back: encoded and decoded.
Sources stored(const Sources& sources);

// Every fact in one string, to compare and to print.
std::string describe(const Facts& facts);

}  // namespace entitle::test
