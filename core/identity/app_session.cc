#include "core/identity/app_session.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"
#include "core/base/decimal.h"
#include "core/base/percent.h"
#include "core/json/document.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMinId = 16;
constexpr std::size_t kMaxId = 256;
constexpr std::size_t kMacLength = 43;  // HMAC-SHA256 in base64, no padding

bool is_word(char c) { return is_alphanumeric(c) || c == '_'; }

bool is_id_byte(char c) {
  return is_word(c) ||
         std::string_view("-.~+/=").find(c) != std::string_view::npos;
}

bool is_base64_byte(char c) {
  return is_alphanumeric(c) || c == '+' || c == '/';
}

bool all(std::string_view text, bool (*is)(char)) {
  return std::all_of(text.begin(), text.end(), is);
}

// `<id>.<mac>`: the MAC has no dot, the id may.
std::optional<std::string_view> without_mac(std::string_view text) {
  std::size_t dot = text.rfind('.');
  if (dot == text.npos) return std::nullopt;
  std::string_view mac = text.substr(dot + 1);
  if (mac.size() != kMacLength || !all(mac, is_base64_byte)) {
    return std::nullopt;
  }
  return text.substr(0, dot);
}

struct Variable {
  std::string_view name, suffix;
};

// `$name...` or `${name}...`.
std::optional<Variable> leading_variable(std::string_view text) {
  text.remove_prefix(1);
  bool braces = text.starts_with('{');
  if (braces) text.remove_prefix(1);
  auto end = std::find_if_not(text.begin(), text.end(), is_word);
  std::size_t length = static_cast<std::size_t>(end - text.begin());
  Variable variable{text.substr(0, length), text.substr(length)};
  if (braces) {
    if (!variable.suffix.starts_with('}')) return std::nullopt;
    variable.suffix.remove_prefix(1);
  }
  return variable;
}

// The bytes of `s:<length>:"<bytes>";` when that is the whole text.
std::optional<std::string_view> php_string(std::string_view text) {
  if (!text.starts_with("s:")) return std::nullopt;
  text.remove_prefix(2);
  auto length = parse_decimal<std::size_t>(take_digits(text));
  if (!text.starts_with(":\"") || !text.ends_with("\";") || text.size() < 4 ||
      length != text.size() - 4) {
    return std::nullopt;
  }
  return text.substr(2, *length);
}

// What PHP's serialize() makes of a value: `a:2:{`, `s:5:"`, `i:1;`, `N;` ...
bool starts_as_php_value(std::string_view text) {
  if (text.starts_with("N;")) return true;
  return text.size() >= 3 && text[1] == ':' &&
         std::string_view("abdisOCE").find(text[0]) != std::string_view::npos &&
         std::string_view("0123456789-.").find(text[2]) !=
             std::string_view::npos;
}

// serialize(), or session_encode(): `<name>|<value>...`.
bool is_php(std::string_view text) {
  if (starts_as_php_value(text)) return true;
  std::size_t bar = text.find('|');
  return bar != text.npos && bar > 0 &&
         all(text.substr(0, bar),
             [](char c) { return is_word(c) || c == '-' || c == '.'; }) &&
         starts_as_php_value(text.substr(bar + 1));
}

// Protocols 2 to 5 start with their number; 0 and 1 with what a dict is there.
bool is_pickle(std::string_view text) {
  return (text.size() >= 2 && text[0] == '\x80' && text[1] >= 2 &&
          text[1] <= 5) ||
         text.starts_with("(dp") || text.starts_with("}q");
}

AppSessionError known_format(std::string_view text) {
  if (is_php(text)) return AppSessionError::php_serialized;
  if (is_pickle(text)) return AppSessionError::python_pickled;
  if (text.starts_with("\x04\x08")) return AppSessionError::ruby_marshaled;
  return AppSessionError::not_json;
}

bool is_object_or_array(const json_t* value) {
  return json_is_object(value) || json_is_array(value);
}

// The document in `value`, at most one wrapping deep.
JsonDocument document_in(std::string_view value) {
  if (auto wrapped = php_string(value)) value = *wrapped;
  JsonDocument document = parse_json(value, kMaxDepth);
  if (auto text = string_of(document.get())) {
    document = parse_json(*text, kMaxDepth);
  }
  if (!is_object_or_array(document.get())) return nullptr;
  return document;
}

bool is_nobody(const json_t* value) {
  if (!value || json_is_null(value) || json_is_false(value)) return true;
  if (json_is_string(value)) return json_string_length(value) == 0;
  return is_object_or_array(value) && json_object_size(value) == 0 &&
         json_array_size(value) == 0;
}

}  // namespace

std::optional<std::string> session_id(std::string_view cookie_value) {
  auto decoded = percent_decode(cookie_value);
  if (!decoded) return std::nullopt;
  std::optional<std::string_view> id = *decoded;
  if (id->starts_with("s:")) id = without_mac(id->substr(2));
  if (!id || id->size() < kMinId || id->size() > kMaxId ||
      !all(*id, is_id_byte)) {
    return std::nullopt;
  }
  return std::string(*id);
}

std::optional<SessionKey> SessionKey::parse(std::string_view text,
                                            std::string& error) {
  constexpr std::string_view kCookie = "cookie=";
  std::size_t cookie = text.find(kCookie);
  std::size_t place = std::min(text.find('$'), cookie);
  if (place == text.npos) {
    error = "a session key has the id's place: cookie=NAME at its end, or $var";
    return std::nullopt;
  }
  if (place == 0) {
    error = "a session key has a prefix before the id's place";
    return std::nullopt;
  }
  if (has_control_bytes(text)) {
    error = "a session key has no control bytes";
    return std::nullopt;
  }
  SessionKey made;
  made.prefix_ = text.substr(0, place);
  text.remove_prefix(place);
  bool named;
  if (place == cookie) {
    made.source_ = text.substr(kCookie.size());
    named = made.source_.find_first_of("$=;, ") == std::string::npos;
  } else {
    made.from_ = From::variable;
    auto variable = leading_variable(text);
    named = variable && variable->suffix.find('$') == std::string::npos &&
            variable->suffix.find(kCookie) == std::string::npos;
    if (named) {
      made.source_ = variable->name;
      made.suffix_ = variable->suffix;
    }
  }
  if (!named || made.source_.empty()) {
    error = "a session key has one named place for the id";
    return std::nullopt;
  }
  return made;
}

std::string_view name(AppSessionError error) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "none",           "too_long",       "not_json",     "php_serialized",
      "python_pickled", "ruby_marshaled", "no_user_text", "bad_version"};
  return kNames[static_cast<std::size_t>(error)];
}

AppSessionVerdict user_in_json(const AppSessionRules& rules,
                               const json_t* document) {
  AppSessionVerdict verdict;
  const json_t* value = rules.user.find(document);
  if (is_nobody(value)) return verdict;
  auto text = text_of(value);
  auto user = text ? User::from(*text) : std::nullopt;
  if (!user) {
    verdict.error = AppSessionError::no_user_text;
    return verdict;
  }
  const json_t* version =
      rules.version ? rules.version->find(document) : nullptr;
  if (version && !json_is_null(version)) {
    verdict.version = count_of(version);
    if (!verdict.version) {
      verdict.error = AppSessionError::bad_version;
      return verdict;
    }
  }
  verdict.user = std::move(user);
  return verdict;
}

AppSessionVerdict read_app_session(const AppSessionRules& rules,
                                   std::string_view value) {
  if (value.size() > kMaxAppSession) return {{}, {}, AppSessionError::too_long};
  JsonDocument document = document_in(value);
  if (!document) return {{}, {}, known_format(value)};
  return user_in_json(rules, document.get());
}

}  // namespace entitle
