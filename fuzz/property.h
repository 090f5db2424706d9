// What a fuzzer checks: unlike assert() it holds in every build type.
#pragma once

#include <cstdio>
#include <cstdlib>

#define PROPERTY(condition)                                                  \
  do {                                                                       \
    if (!(condition)) {                                                      \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
                   #condition);                                              \
      std::abort();                                                          \
    }                                                                        \
  } while (0)
