#include "core/redis/node_rules.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <unordered_set>

#include "lua-free-tests/redis/node_model.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::test::NodeModel;
using Choices = NodeModel::Choices;
using Mode = NodeModel::Mode;

// So many steps are tried in every order. With 6 there are 90,000 states, which
// takes half a minute without optimization.
constexpr int kDepth = 5;

// Where a search begins: what happened before, by name.
struct Begin {
  const char* name;
  std::vector<std::string> steps;
};

const std::vector<std::string> kDownOnce = {"read", "opened",     "time",
                                            "time", "time-out",   "turn",
                                            "time", "node timer", "opened"};

std::vector<std::string> operator+(std::vector<std::string> all,
                                   const std::vector<std::string>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Unknown names end the test: a prefix must lead where it says.
bool follow(NodeModel& model, const std::vector<std::string>& names,
            Choices& choices) {
  for (const std::string& name : names) {
    std::vector<NodeModel::Step> steps = model.possible();
    auto step = std::find_if(steps.begin(), steps.end(),
                             [&](const auto& s) { return name == s.name; });
    if (step == steps.end()) {
      print_error("no \"%s\"; possible:", name.c_str());
      for (const auto& s : steps) print_error(" %s", s.name);
      print_error("\n");
      return false;
    }
    choices.push_back(static_cast<int>(step - steps.begin()));
    model.happen(*step);
  }
  return true;
}

void run(NodeModel& model, const Choices& choices) {
  for (int choice : choices) {
    model.happen(model.possible()[static_cast<std::size_t>(choice)]);
  }
}

std::string in_words(Mode mode, const Choices& choices) {
  NodeModel model(mode);
  std::string words;
  for (int choice : choices) {
    auto step = model.possible()[static_cast<std::size_t>(choice)];
    words += std::string(step.name) + ", ";
    model.happen(step);
  }
  return words;
}

// Empty: nothing that follows these choices is at fault.
std::string verdict(Mode mode, const Choices& choices) {
  using Next = NodeModel::Next;
  const std::pair<Next, const char*> all[] = {
      {Next::well, "all is well"},
      {Next::well_but_old_ones, "what was open stays silent"},
      {Next::nothing, "nothing ever comes"}};
  for (const auto& [next, name] : all) {
    NodeModel model(mode);
    run(model, choices);
    const std::string what = model.ends(next);
    if (!what.empty()) {
      return what + " (then " + name + ") after: " + in_words(mode, choices);
    }
  }
  return "";
}

// Every order of what can happen, until so many steps after the beginning.
long explore(Mode mode, const Begin& begin, int depth) {
  std::unordered_set<std::string> seen;
  std::vector<Choices> front;
  {
    NodeModel model(mode);
    Choices choices;
    assert_true(follow(model, begin.steps, choices));
    front.push_back(choices);
  }
  for (int step = 0; step <= depth; ++step) {
    std::vector<Choices> next;
    for (const Choices& choices : front) {
      std::string what = verdict(mode, choices);
      if (!what.empty()) fail_msg("%s", what.c_str());
      if (step == depth) continue;
      NodeModel counted(mode);
      run(counted, choices);
      const auto count = static_cast<int>(counted.possible().size());
      for (int choice = 0; choice < count; ++choice) {
        Choices longer = choices;
        longer.push_back(choice);
        NodeModel model(mode);
        run(model, longer);
        if (seen.insert(model.fingerprint()).second) {
          next.push_back(std::move(longer));
        }
      }
    }
    front = std::move(next);
  }
  return static_cast<long>(seen.size());
}

const std::vector<Begin> kBegins = {
    {"fresh", {}},
    {"served",
     {"read", "opened", "reply", "turn", "acquire", "opened", "turn", "write"}},
    {"down once", kDownOnce},
    {"down once, then a write",
     kDownOnce + std::vector<std::string>{"acquire", "opened", "turn", "read",
                                          "write"}},
};

void every_order_of_events_ends_and_recovers(void**) {
  long states = 0;
  for (const Begin& begin : kBegins) {
    states += explore(Mode::fixed, begin, kDepth);
    std::printf("# after \"%s\": %ld states so far\n", begin.name, states);
  }
}

void so_it_does_where_the_server_is_searched_for(void**) {
  long states = explore(Mode::searched, {"fresh", {}}, kDepth);
  std::printf("# searched: %ld states\n", states);
}

// Longer ones than can all be tried.
void long_histories_end_and_recover(void**) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 1500; ++round) {
    const Mode mode = round % 2 == 0 ? Mode::fixed : Mode::searched;
    NodeModel model(mode);
    Choices choices;
    for (int step = 0; step < 80; ++step) {
      std::vector<NodeModel::Step> steps = model.possible();
      // What is due and the turn come more often than chance would have it.
      const auto most = random() % 3 == 0 ? 1 : steps.size();
      const auto choice = static_cast<std::size_t>(random() % most);
      choices.push_back(static_cast<int>(choice));
      model.happen(steps[choice]);
      const std::string what = model.fault();
      if (!what.empty()) {
        fail_msg("%s after: %s", what.c_str(), in_words(mode, choices).c_str());
      }
    }
    const std::string what = verdict(mode, choices);
    if (!what.empty()) fail_msg("%s", what.c_str());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_order_of_events_ends_and_recovers),
      cmocka_unit_test(so_it_does_where_the_server_is_searched_for),
      cmocka_unit_test(long_histories_end_and_recover),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
