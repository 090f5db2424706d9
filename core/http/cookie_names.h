// Which cookies a directive means by `cookie=...`: one name, alternatives
// (`sid|remember`), and beginnings of names (`appSession*`) for apps that cut
// one cookie into several.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/set_cookie.h"

namespace entitle {

class CookieNames {
 public:
  // Null: some name is empty, or not one that a cookie can have.
  static std::optional<CookieNames> parse(std::string_view text);

  bool matches(std::string_view name) const;
  // As it was written.
  const std::string& text() const { return text_; }
  // The one name it is; null: it may be several.
  const std::string* only() const {
    return names_.size() == 1 && !names_.front().beginning
               ? &names_.front().text
               : nullptr;
  }

  // What those that are there say, once the app's Set-Cookie headers are
  // obeyed; empty: none of them is there. Of a single name the bare values,
  // separated by `;`; else `name=value` each, in the order of the names, which
  // is not always the order in which a browser sends them.
  std::string value(const std::vector<CookiePair>& sent,
                    const std::vector<std::string>& set_cookies) const;

 private:
  struct Name {
    std::string text;
    bool beginning;
  };
  std::string text_;
  std::vector<Name> names_;
};

}  // namespace entitle
