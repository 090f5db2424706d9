// A session of any bytes in Redis, a cookie, a key and a pointer of any bytes:
// nothing crashes, an error never comes with a user, an id keeps its alphabet.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/identity/app_session.h"
#include "fuzz/property.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string error;
  static const entitle::AppSessionRules kRules{
      *entitle::JsonPointer::parse("/a/0/id", error),
      *entitle::JsonPointer::parse("/v", error)};
  entitle::AppSessionVerdict verdict = read_app_session(kRules, input);
  PROPERTY(verdict.error == entitle::AppSessionError::none || !verdict.user);
  // The first line as the pointer into the rest.
  std::size_t line = input.find('\n');
  if (auto pointer = entitle::JsonPointer::parse(input.substr(0, line), error);
      pointer && line != input.npos) {
    entitle::read_app_session({*pointer, {}}, input.substr(line + 1));
  }
  if (auto id = entitle::session_id(input)) {
    PROPERTY(id->size() >= 16);
    PROPERTY(id->find_first_of(":% {}\r\n") == id->npos);
  }
  if (auto key = entitle::SessionKey::parse(input, error)) {
    PROPERTY(!key->source().empty());
    PROPERTY(key->key("id").size() > 2);
  }
  return 0;
}
