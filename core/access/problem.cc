#include "core/access/problem.h"

#include "core/base/utf8.h"
#include "core/json/writer.h"

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

}  // namespace

int status_of(Decision decision) { return words_of(decision).status; }

std::string problem_json(const Ruling& ruling) {
  const Words words = words_of(ruling.decision);
  std::string text;
  json::Writer problem(text);
  problem.begin_object()
      .text("type", "about:blank")
      .text("title", words.title)
      .number("status", words.status)
      .text("detail", words.detail)
      .text("decision", name(ruling.decision))
      .text("reason", name(ruling.reason));
  if (ruling.decision == Decision::pay) {
    problem.key("missing").begin_array();
    // A name out of a variable may hold bytes that are no UTF-8: it is left out
    // rather than breaking the answer.
    for (const std::string& missing : ruling.missing) {
      if (is_utf8(missing)) problem.string(missing);
    }
    problem.end_array();
  }
  problem.end_object();
  return text;
}

}  // namespace entitle
