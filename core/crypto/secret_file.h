// The content of files that hold secrets, one a line. Spaces, tabs and a CR
// around a line, empty lines, lines that begin with `#`, and a UTF-8 byte
// order mark are skipped; what remains must be right, or the whole file is
// refused: a secret that silently never matches is worse than a failed start.
//
// Errors are a sentence for the operator, "line 3: ...": what is allowed, and
// never any part of the secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entitle {

// entitle_session_key_file: a shorter key is refused.
inline constexpr std::size_t kMinKeyBytes = 32;

// entitle_webhook_secret_file: `whsec_...`, used as it stands (Stripe's key is
// the whole string). At least one. Null: `error` is set.
std::optional<std::vector<std::string>> parse_webhook_secrets(
    std::string_view content, std::string& error);

// entitle_session_key_file: at least 32 bytes a line, as hex, base64 or
// base64url; the bytes are returned. A line of hex digits alone is hex.
// At least one. Null: `error` is set.
std::optional<std::vector<std::string>> parse_session_keys(
    std::string_view content, std::string& error);

}  // namespace entitle
