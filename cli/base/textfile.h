// Files for Prometheus' textfile collector, which reads them whole or not at
// all.
#pragma once

#include <string>

namespace entitle::cli {

// The two lines before a gauge's samples.
std::string gauge_heading(const char* metric, const char* help);

// Throws Stop where it cannot be written.
void write_textfile(const std::string& path, const std::string& text);

}  // namespace entitle::cli
