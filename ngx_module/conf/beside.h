// Where another module's directive stands, for messages: nginx does not say.
#pragma once

#include <functional>

#include "ngx_module/settings.h"

namespace entitle::ngx {

struct Directive {
    std::vector<std::string> words;
    std::size_t line;   // of its end, as nginx counts
    std::size_t block;  // which it stands in

    std::string_view
    name() const {
        return words.empty() ? std::string_view() : words.front();
    }
};

// ", "NAME" in FILE:LINE" of the first that is so in the block of a directive
// of ours, or in an `if` of that; or nothing where it cannot be found (it may
// stand in a file that is included).
std::string found_beside(const Where& ours,
                         const std::function<bool(const Directive&)>& is);

}  // namespace entitle::ngx
