// JSON as a flat tree of views, and reading it without ever being surprised: an
// absent member, a null and a value of another type are all "not said". An
// event is parsed whole to use a few fields of it, so parsing costs one pass
// over one copy, with no allocation per value.
//
// What is accepted, refused and meant is what jansson accepts, refuses and
// means with JSON_REJECT_DUPLICATES; tests and a fuzzer compare the two. But a
// string that no text can be (U+0000, half a surrogate pair, written as
// escapes) is "not said", too, where jansson refuses all; and a NUL byte after
// a number is refused, which jansson overlooks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace entitle::json {

enum class Type : std::uint8_t {
  null,
  boolean,
  integer,
  real,
  string,
  array,
  object,
};

// A value and, within an object, its key. Children follow their parent in
// memory, so a node is only ever used by pointer, where it lies.
class Node {
 public:
  Type type() const { return type_; }
  std::string_view key() const { return {key_, key_size_}; }
  // A string's bytes, or a number as it is written.
  std::string_view text() const { return {text_, text_size_}; }
  std::int64_t integer() const { return integer_; }  // of an integer
  bool boolean() const { return integer_ != 0; }     // of a boolean
  std::size_t size() const { return children_; }     // of an array or object

 private:
  friend class Parser;
  friend class Children;

  const char* key_ = nullptr;
  const char* text_ = nullptr;
  std::uint32_t key_size_ = 0;
  std::uint32_t text_size_ = 0;
  std::int64_t integer_ = 0;
  std::uint32_t span_ = 1;  // nodes from here to the next sibling
  std::uint32_t children_ = 0;
  Type type_ = Type::null;
};

// The elements of an array or the values of an object, in order; nothing for
// any other node and for null.
class Children {
 public:
  class Iterator {
   public:
    using value_type = const Node*;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(const Node* node) : node_(node) {}
    const Node* operator*() const { return node_; }
    Iterator& operator++() {
      node_ += span(node_);
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Node* node_ = nullptr;
  };

  explicit Children(const Node* node);
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(last_); }

 private:
  static std::uint32_t span(const Node* node) { return node->span_; }
  const Node* first_ = nullptr;
  const Node* last_ = nullptr;
};

// Owns a copy of the text its nodes view, so that it outlives the request.
class Document {
 public:
  const Node* root() const { return nodes_.empty() ? nullptr : nodes_.data(); }

 private:
  friend class Parser;
  std::vector<Node> nodes_;       // in the order of the text
  std::unique_ptr<char[]> text_;  // escapes are undone in place
};

struct Error {
  const char* reason = "";
  std::size_t at = 0;  // byte
};

// One object or array and nothing after it, UTF-8, no member twice, no number
// that does not fit, not nested deeper than `max_depth`.
std::optional<Document> parse(std::string_view text, std::size_t max_depth,
                              Error& error);

// --- reading: every function takes a null node -------------------------------

bool is_object(const Node* node);
bool is_array(const Node* node);
bool is_string(const Node* node);
bool is_null(const Node* node);  // a null that was said

const Node* member(const Node* object, std::string_view key);

// Empty when not said.
std::string_view string(const Node* object, std::string_view key);

std::optional<std::int64_t> integer(const Node* object, std::string_view key);
std::optional<bool> boolean(const Node* object, std::string_view key);

}  // namespace entitle::json
