#include "core/delivery/response.h"

#include "core/json/writer.h"

namespace entitle {
namespace {

int status_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::applied:
    case Outcome::duplicate:
    case Outcome::superseded:
    case Outcome::ignored:
      return 200;
    case Outcome::parked:
    case Outcome::unmatched:
    case Outcome::mode_mismatch:
    case Outcome::account_not_allowed:
      return 202;
    case Outcome::not_stored:
      break;
  }
  return 503;
}

}  // namespace

Response response_to(Outcome outcome, const std::vector<std::string>& unlocks,
                     const std::vector<Identifier>& carries,
                     std::string_view awaits) {
  int status = status_of(outcome);
  if (status == 503) return {status, error_body(name(outcome))};
  std::string body;
  json::Writer json(body);
  json.begin_object().boolean("received", true).text("outcome", name(outcome));
  if (status == 200 && outcome != Outcome::ignored) {
    json.key("unlocks").strings(unlocks);
  }
  if (outcome == Outcome::unmatched && !carries.empty()) {
    json.key("carries").strings(carries, [](const Identifier& identifier) {
      return std::string_view(identifier.str());
    });
  }
  if (!awaits.empty()) json.text("awaits", awaits);
  json.end_object();
  return {status, std::move(body)};
}

std::string error_body(std::string_view error) {
  std::string body;
  json::Writer(body).begin_object().text("error", error).end_object();
  return body;
}

}  // namespace entitle
