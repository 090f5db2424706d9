#include "ngx_module/conf/pattern.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace entitle::ngx {
namespace {

// Outside of all parentheses.
bool
has_alternatives(std::string_view pattern) {
    int depth = 0;
    for (std::size_t i = 0; i < pattern.size(); i++) {
        const char c = pattern[i];
        i += c == '\\' ? 1 : 0;
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

// --- texts that it matches
// ----------------------------------------------------

using Texts = std::vector<std::string>;

class Sampler {
  public:
    explicit Sampler(std::string_view pattern) : rest_(pattern) {}

    Texts
    alternatives() {
        Texts all = sequence();
        while (take('|')) {
            for (std::string& text : sequence()) {
                add(all, std::move(text));
            }
        }
        return all;
    }

  private:
    static constexpr std::size_t kMost = 16;

    static void
    add(Texts& texts, std::string text) {
        if (texts.size() < kMost) {
            texts.push_back(std::move(text));
        }
    }

    bool
    take(char c) {
        const bool here = rest_.starts_with(c);
        rest_.remove_prefix(here ? 1 : 0);
        return here;
    }

    Texts
    sequence() {
        Texts made = {""};
        while (!rest_.empty() && rest_[0] != '|' && rest_[0] != ')') {
            Texts longer;
            const Texts next = repeated();
            for (const std::string& before : made) {
                for (const std::string& after : next) {
                    add(longer, before + after);
                }
            }
            made = std::move(longer);
        }
        return made;
    }

    // Once, whatever follows says.
    Texts
    repeated() {
        Texts piece = atom();
        if (take('{')) {
            rest_.remove_prefix(std::min(rest_.find('}'), rest_.size() - 1) +
                                1);
        } else if (take('*') || take('?')) {
            add(piece, "");
        } else {
            take('+');
        }
        take('?');  // not greedy
        take('+');
        return piece;
    }

    Texts
    atom() {
        const char c = rest_[0];
        rest_.remove_prefix(1);
        switch (c) {
            case '(':
                return group();
            case '[':
                return {one_of()};
            case '\\':
                return {escaped()};
            case '.':
                return {"x"};
            case '^':
            case '$':
                return {""};
            default:
                return {std::string(1, c)};
        }
    }

    Texts
    group() {
        bool looks_around = false;
        if (take('?')) {
            looks_around = rest_.starts_with('=') || rest_.starts_with('!') ||
                           rest_.starts_with("<=") || rest_.starts_with("<!");
            // (?:...), (?<name>...), (?i), (?i:...)
            const std::size_t end = rest_.find_first_of(":>)=!");
            rest_.remove_prefix(std::min(end, rest_.size()));
            if (!rest_.starts_with(')')) {
                rest_.remove_prefix(rest_.empty() ? 0 : 1);
            }
        }
        Texts inner = alternatives();
        take(')');
        return looks_around ? Texts{""} : inner;
    }

    std::string
    one_of() {
        const bool others = take('^');
        std::string first;
        do {
            if (rest_.empty()) {
                break;
            }
            const char c = rest_[0];
            rest_.remove_prefix(1);
            const std::string member =
                c == '\\' ? escaped() : std::string(1, c);
            first = first.empty() ? member : first;
        } while (!rest_.starts_with(']'));
        take(']');
        return others ? "x" : first;
    }

    std::string
    escaped() {
        if (rest_.empty()) {
            return {};
        }
        const char c = rest_[0];
        rest_.remove_prefix(1);
        switch (c) {
            case 'd':
                return "1";
            case 'w':
            case 'S':
            case 'D':
                return "x";
            default:
                return is_alphanumeric(c) ? std::string() : std::string(1, c);
        }
    }

    std::string_view rest_;
};

}  // namespace

std::optional<std::string>
literal_beginning(std::string_view pattern) {
    constexpr std::string_view special = ".[]$()|?*+{}^";
    if (!pattern.starts_with('^') || has_alternatives(pattern)) {
        return std::nullopt;
    }
    std::string literal;
    for (std::size_t i = 1; i < pattern.size(); i++) {
        const bool escaped = pattern[i] == '\\' && i + 1 < pattern.size() &&
                             !is_alphanumeric(pattern[i + 1]);
        if (!escaped &&
            (pattern[i] == '\\' || special.find(pattern[i]) != special.npos)) {
            constexpr std::string_view makes_optional = "?*{";
            if (makes_optional.find(pattern[i]) != makes_optional.npos &&
                !literal.empty()) {
                literal.pop_back();
            }
            break;
        }
        i += escaped ? 1 : 0;
        literal += pattern[i];
    }
    return lower_case(literal);
}

std::vector<std::string>
samples_of(std::string_view pattern) {
    return Sampler(pattern).alternatives();
}

}  // namespace entitle::ngx
