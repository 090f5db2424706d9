#include "core/redis/error.h"

#include <array>

namespace entitle {
namespace {

struct Row {
  std::string_view code;
  ErrorMeaning meaning;
};

constexpr std::array kRows = {
    Row{"READONLY", ErrorMeaning::elsewhere},
    Row{"LOADING", ErrorMeaning::elsewhere},
    Row{"MASTERDOWN", ErrorMeaning::elsewhere},
    Row{"MOVED", ErrorMeaning::redirected},
    Row{"ASK", ErrorMeaning::redirected},
    Row{"TRYAGAIN", ErrorMeaning::later},
    Row{"CLUSTERDOWN", ErrorMeaning::later},
    Row{"BUSY", ErrorMeaning::later},
    Row{"OOM", ErrorMeaning::later},
    Row{"MISCONF", ErrorMeaning::later},
    Row{"NOREPLICAS", ErrorMeaning::later},
    Row{"NOAUTH", ErrorMeaning::refused},
    Row{"WRONGPASS", ErrorMeaning::refused},
    Row{"NOPERM", ErrorMeaning::refused},
    Row{"NOPROTO", ErrorMeaning::refused},
};

}  // namespace

ErrorMeaning meaning_of(const Reply& reply) {
  if (!reply.is_error()) return ErrorMeaning::none;
  std::string_view text = reply.text;
  std::string_view code = text.substr(0, text.find(' '));
  for (const Row& row : kRows) {
    if (code == row.code) return row.meaning;
  }
  // The only one of its kind without a code of its own.
  if (text.starts_with("ERR max number of clients")) return ErrorMeaning::later;
  return ErrorMeaning::wrong;
}

}  // namespace entitle
