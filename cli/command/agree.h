// What all commands that write have in common: who says it, and that whoever is
// at the terminal, or --yes, agrees to the plan.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/delivery/operators_word.h"

namespace entitle::cli {

struct WriteOptions {
  bool yes = false;    // without being asked
  std::string by;      // who says so; empty: whoever runs it
  std::string reason;  // why; may be empty
};

// What is wrong with words that are to stand in a line of the log; null:
// nothing.
std::optional<std::string> wrong_with_words(std::string_view what,
                                            const std::string& text);

// What is wrong with a user who is to be given something; null: nothing. A
// browser's id that was copied in part is nobody's.
std::optional<std::string> wrong_with_user(const std::string& text);

// Who says it, and why, for the log.
OperatorsWord word_of(const WriteOptions& options);

// Shows the plan (lines, each with its end) and asks, at a terminal. Elsewhere
// --yes has to have said it. Throws Stop: nothing is to be written.
void agree(const std::string& plan, const WriteOptions& options);

}  // namespace entitle::cli
