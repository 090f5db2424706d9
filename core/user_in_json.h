// `entitle_reauth_user json=/pointer`: the user in the app's JSON answer.
#pragma once

#include <optional>
#include <string_view>

#include "core/types.h"

namespace entitle {

struct UserInJson {
  enum class Kind {
    user,
    guest,   // absent, null, false or empty
    broken,  // no JSON, or something there that can be nobody's id
  } kind = Kind::broken;
  std::optional<User> user;
};

// `pointer` as RFC 6901 has it. Integers become decimal text; fractions,
// `true`, objects, arrays and texts that are no User are broken.
UserInJson user_in_json(std::string_view json, std::string_view pointer);

// Whether `pointer` is one at all: empty, or beginning with `/` and with `~`
// only before 0 or 1.
bool is_json_pointer(std::string_view pointer);

}  // namespace entitle
