#include "core/access/problem.h"

#include <jansson.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

namespace entitle {
namespace {

struct Words {
  int status;
  const char* title;
  const char* detail;
};

Words words_of(Decision decision) {
  switch (decision) {
    case Decision::login:
      return {401, "Unauthorized", "This needs a valid session: log in."};
    case Decision::pay:
      return {402, "Payment Required",
              "The account does not have what this needs."};
    case Decision::error:
      return {503, "Service Unavailable",
              "Access cannot be checked at the moment. Try again later."};
    case Decision::allow:
    case Decision::allow_stale:
    case Decision::allow_unverified:
      break;
  }
  return {200, "OK", "Access is granted."};
}

// Names from the configuration may hold bytes that are no UTF-8 (a variable's
// value): such a name is left out rather than breaking the answer.
json_t* names(const std::vector<std::string>& list) {
  json_t* array = json_array();
  for (const std::string& name : list) {
    json_array_append_new(array, json_stringn(name.data(), name.size()));
  }
  return array;
}

json_t* word(std::string_view text) {
  return json_stringn(text.data(), text.size());
}

struct Decref {
  void operator()(json_t* json) const { json_decref(json); }
};
struct Free {
  void operator()(char* text) const { std::free(text); }
};

}  // namespace

int status_of(Decision decision) { return words_of(decision).status; }

std::string problem_json(const Ruling& ruling) {
  const Words words = words_of(ruling.decision);
  std::unique_ptr<json_t, Decref> problem(json_object());
  json_t* root = problem.get();
  json_object_set_new(root, "type", json_string("about:blank"));
  json_object_set_new(root, "title", json_string(words.title));
  json_object_set_new(root, "status", json_integer(words.status));
  json_object_set_new(root, "detail", json_string(words.detail));
  json_object_set_new(root, "decision", word(name(ruling.decision)));
  json_object_set_new(root, "reason", word(name(ruling.reason)));
  if (ruling.decision == Decision::pay) {
    json_object_set_new(root, "missing", names(ruling.missing));
  }
  const std::unique_ptr<char, Free> text(json_dumps(root, JSON_COMPACT));
  if (text == nullptr) throw std::bad_alloc();
  return text.get();
}

}  // namespace entitle
