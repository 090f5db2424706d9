#include "ngx_module/conf/beside.h"

#include <algorithm>
#include <fstream>

namespace entitle::ngx {
namespace {

struct Block {
    std::size_t outer;
    bool is_if;
};

struct File {
    std::vector<Directive> directives;
    std::vector<Block> blocks{{0, false}};
};

// As far as this takes: words and blocks. Quotes and comments are nginx's.
File
read(const std::string& text) {
    File file;
    std::size_t block = 0, line = 1;
    std::vector<std::string> words;
    std::string word;
    char quote = 0;
    const auto word_ends = [&] {
        if (!word.empty()) {
            words.push_back(std::exchange(word, {}));
        }
    };
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        line += c == '\n' ? 1 : 0;
        if (c == '\\' && i + 1 < text.size()) {
            word += text[++i];
        } else if (quote != 0) {
            if (c == quote) {
                quote = 0;
            } else {
                word += c;
            }
        } else if ((c == '"' || c == '\'') && word.empty()) {
            quote = c;
        } else if (c == '#' && word.empty()) {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (c == '{' && word.ends_with('$')) {
            const std::size_t end =
                std::min(text.find('}', i), text.size() - 1);
            word += text.substr(i, end - i + 1);  // ${name}
            i = end;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            word_ends();
        } else if (c == ';' || c == '{') {
            word_ends();
            const bool is_if = !words.empty() && words.front() == "if";
            file.directives.push_back({std::exchange(words, {}), line, block});
            if (c == '{') {
                file.blocks.push_back({block, is_if});
                block = file.blocks.size() - 1;
            }
        } else if (c == '}') {
            block = file.blocks[block].outer;
        } else {
            word += c;
        }
    }
    return file;
}

}  // namespace

std::string
found_beside(const Where& ours,
             const std::function<bool(const Directive&)>& is) {
    const std::string name(view(ours.file));
    std::ifstream in(name);
    const File file = read({std::istreambuf_iterator<char>(in), {}});
    const auto here =
        std::find_if(file.directives.begin(), file.directives.end(),
                     [&](const Directive& directive) {
                         return directive.line == ours.line &&
                                directive.name().starts_with("entitle");
                     });
    if (here == file.directives.end()) {
        return {};
    }
    for (const Directive& directive : file.directives) {
        const Block& block = file.blocks[directive.block];
        const bool beside = directive.block == here->block ||
                            (block.is_if && block.outer == here->block);
        if (beside && is(directive)) {
            return ", \"" + std::string(directive.name()) + "\" in " + name +
                   ":" + std::to_string(directive.line);
        }
    }
    return {};
}

}  // namespace entitle::ngx
