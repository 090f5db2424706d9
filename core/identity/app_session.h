// The app's own server-side session in Redis, read and never written: from the
// cookie's value to the key, and from the key's value to the user.
//
// Read: JSON (connect-redis; Django and others with a JSON serializer), JSON
// in a JSON string, and JSON in one PHP-serialised string (Laravel with
// `serialization` json: its Redis cache store wraps what it is given as
// `s:<length>:"...";`). Anything else that is known is named and refused;
// nothing is guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "core/json/pointer.h"

namespace entitle {

// The session id in a cookie's value: percent-decoded, and taken out of
// express' `s:<id>.<mac>`. The MAC is not checked (its secret is the app's),
// so an id must be what only its owner can know: at least 16 bytes. Null:
// anything else than 16 to 256 of A-Z a-z 0-9 - _ . ~ + / = , or a `s:` without
// a MAC of 43 base64 characters. No `:`, so an id never leaves its prefix.
std::optional<std::string> session_id(std::string_view cookie_value);

// `sess:cookie=connect.sid`, `sess:$cookie_sid`, `sess:${sid}:web`: a literal
// before the place of the id, and one after it where there are braces.
class SessionKey {
 public:
  enum class From { cookie, variable };

  // Null and `error` set (what is allowed): no place for the id, nothing
  // before it (a client could then name any key of the database), more than
  // one place, or control bytes.
  static std::optional<SessionKey> parse(std::string_view text,
                                         std::string& error);

  From from() const { return from_; }
  const std::string& source() const { return source_; }  // its name, without $
  std::string key(std::string_view id) const {
    return prefix_ + std::string(id) + suffix_;
  }

 private:
  SessionKey() = default;
  From from_ = From::cookie;
  std::string prefix_;
  std::string source_;
  std::string suffix_;
};

struct AppSessionRules {
  JsonPointer user;
  std::optional<JsonPointer> version;
};

inline constexpr std::size_t kMaxAppSession = 64 * 1024;

enum class AppSessionError {
  none,            // a user, or a guest where `user` is null
  too_long,        // over 64 KiB
  not_json,        // nor anything known
  php_serialized,  // session.serialize_handler or serialize()
  python_pickled,
  ruby_marshaled,
  no_user_text,  // at the pointer is something else than a user id
  bad_version,   // at the version's pointer is no whole number
};
std::string_view name(AppSessionError error);

struct AppSessionVerdict {
  std::optional<User> user;
  std::optional<std::int64_t> version;  // absent or null: none
  AppSessionError error = AppSessionError::none;
};

// `value` is what is in Redis, or more than kMaxAppSession of it. Guest: the
// pointer names nothing, null, false, or something empty.
AppSessionVerdict read_app_session(const AppSessionRules& rules,
                                   std::string_view value);

// The user a JSON value names, by the same rule; for whatever document.
AppSessionVerdict user_in_json(const AppSessionRules& rules,
                               const json_t* document);

}  // namespace entitle
