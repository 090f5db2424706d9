// The status as a page for people: in order of what somebody has to act on.
#pragma once

#include <string>

#include "core/report/status.h"

namespace entitle {

std::string status_page(const Status& status);
// What its browser may do with it (Content-Security-Policy).
std::string page_policy();

}  // namespace entitle
