#include "cli/stripe/key.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "cli/base/stop.h"
#include "core/base/ascii.h"

namespace entitle::cli {
namespace {

constexpr std::size_t kMaxBytes = 512;
constexpr const char* kVariable = "STRIPE_API_KEY";

[[noreturn]] void refuse(std::string why) {
  throw Stop(Exit::usage, std::move(why));
}

std::string trimmed(std::string text) {
  constexpr const char* blanks = " \t\r\n";
  text.erase(0, std::min(text.find_first_not_of(blanks), text.size()));
  text.erase(text.find_last_not_of(blanks) + 1);
  return text;
}

std::string read_key_file(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) {
    refuse(fmt::format("cannot read the key's file \"{}\"", path));
  }
  if ((about.st_mode & S_IRWXO) != 0) {
    refuse(fmt::format("others can read the key in \"{0}\": chmod o= \"{0}\"",
                       path));
  }
  std::ifstream in(path);
  std::string text(kMaxBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(
      static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (text.empty()) refuse(fmt::format("there is no key in \"{}\"", path));
  return trimmed(std::move(text));
}

std::optional<std::string> credential() {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) return std::nullopt;
  std::string path = std::string(folder) + "/stripe_key";
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return std::nullopt;
  return path;
}

}  // namespace

StripeKey::StripeKey(std::string text, std::string from)
    : secret_(std::move(text)), from_(std::move(from)) {
  struct Kind {
    std::string_view begin;
    Mode mode;
    bool unrestricted;
  };
  constexpr Kind kinds[] = {{"rk_live_", Mode::live, false},
                            {"rk_test_", Mode::test, false},
                            {"sk_live_", Mode::live, true},
                            {"sk_test_", Mode::test, true}};
  for (const Kind& kind : kinds) {
    if (!secret_.starts_with(kind.begin)) continue;
    const std::string_view rest =
        std::string_view(secret_).substr(kind.begin.size());
    const bool plain = std::all_of(rest.begin(), rest.end(), [](char c) {
      return is_alphanumeric(c) || c == '_';
    });
    if (rest.empty() || !plain) break;
    mode_ = kind.mode;
    unrestricted_ = kind.unrestricted;
    return;
  }
  refuse(
      fmt::format("{} has no key of Stripe's: it begins with rk_live_, "
                  "rk_test_, sk_live_ or sk_test_",
                  from_));
}

StripeKey StripeKey::find(const std::string& file) {
  if (!file.empty()) return {read_key_file(file), '"' + file + '"'};
  if (std::optional<std::string> path = credential()) {
    return {read_key_file(*path), "the credential stripe_key"};
  }
  const char* value = std::getenv(kVariable);
  if (value != nullptr && *value != '\0') return {trimmed(value), kVariable};
  refuse(
      "this needs a restricted key of Stripe's: --stripe-key-file FILE, the "
      "credential stripe_key of a systemd service, or STRIPE_API_KEY in the "
      "environment; docs/entitlectl.md says which permissions it has to have");
}

}  // namespace entitle::cli
