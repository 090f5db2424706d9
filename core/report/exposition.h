// Prometheus' text format, version 0.0.4: a family is begun by its name, its
// samples follow.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "core/report/counters.h"

namespace entitle {

class Exposition {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  explicit Exposition(std::string& out) : out_(out) {}  // appended to
  Exposition(const Exposition&) = delete;
  Exposition& operator=(const Exposition&) = delete;

  Exposition& gauge(std::string_view name, std::string_view help) {
    return family(name, "gauge", help);
  }
  Exposition& counter(std::string_view name, std::string_view help) {
    return family(name, "counter", help);
  }
  Exposition& histogram(std::string_view name, std::string_view help) {
    return family(name, "histogram", help);
  }

  // Of the family that was begun last.
  Exposition& sample(Labels labels, std::int64_t value);
  Exposition& sample(Labels labels, std::uint64_t value);
  Exposition& sample(Labels labels, std::string_view number);  // as it is
  template <std::size_t n>
  Exposition& times(Labels labels, const std::array<std::int64_t, n>& most,
                    const Times<std::uint64_t, n>& times) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < n; i++) {
      count += times.count[i];
      line("_bucket", labels, seconds(most[i]), std::to_string(count));
    }
    count += times.count[n];
    line("_bucket", labels, "+Inf", std::to_string(count));
    line("_sum", labels, {}, seconds(static_cast<std::int64_t>(times.sum)));
    line("_count", labels, {}, std::to_string(count));
    return *this;
  }

 private:
  static std::string seconds(std::int64_t ms);
  Exposition& family(std::string_view name, std::string_view type,
                     std::string_view help);
  // `le`: empty: none.
  void line(std::string_view suffix, Labels labels, std::string_view le,
            std::string_view value);

  std::string& out_;
  std::string name_;
};

// All that is counted.
void write_totals(Exposition& out, const Totals& totals);

}  // namespace entitle
