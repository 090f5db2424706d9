#include "core/crypto/secret_file.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/base64url.h"
#include "core/base/hex.h"

namespace entitle {
namespace {

std::string_view trim(std::string_view line) {
  constexpr std::string_view blank = " \t\r";
  std::size_t first = line.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(blank) - first + 1);
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return hex_value(c) >= 0; });
}

// The secret a line stands for. Null: `error` says what a line must be.
using ReadLine = std::optional<std::string> (*)(std::string_view line,
                                                std::string& error);

std::optional<std::vector<std::string>> read_lines(std::string_view content,
                                                   ReadLine read,
                                                   std::string_view what,
                                                   std::string& error) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (content.starts_with(byte_order_mark)) {
    content.remove_prefix(byte_order_mark.size());
  }

  std::vector<std::string> secrets;
  for (std::size_t number = 1; !content.empty(); number++) {
    std::size_t end = std::min(content.find('\n'), content.size());
    std::string_view line = trim(content.substr(0, end));
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line.empty() || line.starts_with('#')) continue;

    std::optional<std::string> secret = read(line, error);
    if (!secret) {
      error = "line " + std::to_string(number) + ": " + error;
      return std::nullopt;
    }
    secrets.push_back(*std::move(secret));
  }
  if (secrets.empty()) {
    error = "no " + std::string(what) + " in it, one a line is needed";
    return std::nullopt;
  }
  return secrets;
}

std::optional<std::string> read_webhook_secret(std::string_view line,
                                               std::string& error) {
  constexpr std::string_view prefix = "whsec_";
  if (!line.starts_with(prefix)) {
    error = "a webhook secret begins with \"whsec_\"";
    return std::nullopt;
  }
  if (line.size() == prefix.size()) {
    error = "nothing follows \"whsec_\"";
    return std::nullopt;
  }
  if (!all_visible(line)) {
    error =
        "a webhook secret is \"whsec_\" and printable ASCII without white "
        "space";
    return std::nullopt;
  }
  return std::string(line);
}

std::string from_hex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 2 <= digits.size(); i += 2) {
    bytes +=
        static_cast<char>(hex_value(digits[i]) << 4 | hex_value(digits[i + 1]));
  }
  return bytes;
}

std::optional<std::string> read_session_key(std::string_view line,
                                            std::string& error) {
  bool hex = is_hex(line);
  std::optional<std::string> key;
  if (!hex) {
    key = base64_decode_any(line);
  } else if (line.size() % 2 == 0) {
    key = from_hex(line);
  }
  if (!key) {
    error = hex ? "an odd number of hex digits"
                : "a key is hex, base64 or base64url without white space";
    return std::nullopt;
  }
  if (key->size() < kMinKeyBytes) {
    error = "a key of " + std::to_string(key->size()) + " bytes, at least " +
            std::to_string(kMinKeyBytes) + " are needed (openssl rand -hex 32)";
    return std::nullopt;
  }
  return key;
}

}  // namespace

std::optional<std::vector<std::string>> parse_webhook_secrets(
    std::string_view content, std::string& error) {
  return read_lines(content, read_webhook_secret, "webhook secret", error);
}

std::optional<std::vector<std::string>> parse_session_keys(
    std::string_view content, std::string& error) {
  return read_lines(content, read_session_key, "session key", error);
}

}  // namespace entitle
