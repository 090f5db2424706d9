// Whatever a file holds, reading it ends, and words that were read, written
// again in quotes, are read the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cli/conf/statement.h"
#include "fuzz/property.h"

namespace {

using entitle::cli::Statement;
using entitle::cli::StatementReader;

// Each backslash and quote escaped: what nginx takes back as it was.
std::string quoted(const std::string& word) {
  std::string out = "\"";
  for (char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  StatementReader reader(input);
  for (std::size_t i = 0;; ++i) {
    PROPERTY(i <= size);  // each statement takes a byte at least
    const Statement statement = reader.next();
    PROPERTY((statement.end == Statement::End::broken) ==
             !reader.error().empty());
    if (statement.end == Statement::End::file ||
        statement.end == Statement::End::broken) {
      break;
    }
    if (statement.end == Statement::End::closed) {
      PROPERTY(statement.words.empty());
      continue;
    }
    PROPERTY(!statement.words.empty() && statement.line >= 1);
    std::string again;
    for (const std::string& word : statement.words) again += quoted(word) + ' ';
    again += ';';
    StatementReader second(again);
    PROPERTY(second.next().words == statement.words);
    if (statement.end == Statement::End::opened &&
        statement.words.front().ends_with("_by_lua_block")) {
      reader.skip_lua();
    }
  }
  return 0;
}
