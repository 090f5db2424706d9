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

constexpr char kNoCredits[] = "The account has too few credits for this.";

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

// Inside quotes, too.
std::string html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace

int status_of(Decision decision) { return words_of(decision).status; }

std::string problem_json(const Ruling& ruling) {
  Words words = words_of(ruling.decision);
  if (ruling.credits) words.detail = kNoCredits;
  std::string text;
  json::Writer problem(text);
  problem.begin_object()
      .text("type", "about:blank")
      .text("title", words.title)
      .number("status", words.status)
      .text("detail", words.detail)
      .text("decision", name(ruling.decision))
      .text("reason", name(ruling.reason));
  if (ruling.credits) {
    const CreditShortage& credits = *ruling.credits;
    problem.key("credits")
        .begin_object()
        .text("name", credits.name)
        .number("cost", credits.cost)
        .number("left", credits.left);
    if (credits.comes_back) {
      problem.number("comes_back", to_unix(*credits.comes_back));
    }
    problem.end_object();
  } else if (ruling.decision == Decision::pay) {
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

std::string problem_page(const Ruling& ruling, std::string_view login_url) {
  Words words = words_of(ruling.decision);
  if (ruling.credits) words.detail = kNoCredits;
  const std::string title = words.title;
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" +
      title + "</title>\n<h1>" + title + "</h1>\n<p>" + words.detail +
      "</p>\n<p>What you sent was not taken.</p>\n";
  if (ruling.decision == Decision::login && !login_url.empty()) {
    page += "<p><a href=\"" + html(login_url) + "\">Log in</a></p>\n";
  }
  return page;
}

}  // namespace entitle
