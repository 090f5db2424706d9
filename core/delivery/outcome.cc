#include "core/delivery/outcome.h"

namespace entitle {

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::applied:
      return "applied";
    case Outcome::duplicate:
      return "duplicate";
    case Outcome::superseded:
      return "superseded";
    case Outcome::ignored:
      return "ignored";
    case Outcome::parked:
      return "parked";
    case Outcome::unmatched:
      return "unmatched";
    case Outcome::mode_mismatch:
      return "mode_mismatch";
    case Outcome::account_not_allowed:
      return "account_not_allowed";
    case Outcome::not_stored:
      break;
  }
  return "not_stored";
}

}  // namespace entitle
