// The version of entitle. It stands here and nowhere else: dev, CMake and
// nginx's build hook read this line.
#pragma once

namespace entitle {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace entitle
