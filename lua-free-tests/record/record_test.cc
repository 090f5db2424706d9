#include "core/record/record.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "core/delivery/writes.h"
#include "core/record/fields.h"
#include "core/source/source.h"
#include "lua-free-tests/support/deliveries.h"

extern "C" {
#include <cmocka.h>
}

namespace {

using namespace entitle;
using namespace entitle::test;

Reply hash(const std::vector<std::string>& fields) {
  Reply reply;
  reply.type = Reply::Type::array;
  for (const std::string& text : fields) {
    reply.elements.push_back({Reply::Type::string, 0, text, {}});
  }
  return reply;
}

void absent_record_is_empty(void**) {
  std::optional<Record> record = Record::decode(hash({}));
  assert_true(record.has_value());
  assert_false(record->exists);
  assert_int_equal(record->version, 0);
  assert_false(record->not_before.has_value());
}

void record_reads_its_own_fields_and_no_others(void**) {
  Source source;
  source.place = "cus_1";
  source.deleted = {"evt_1", unix_time(5)};
  std::optional<Record> record = Record::decode(
      hash({"version", "12", "not_before", "100", "updated", "200",
            "place:cus_1", "3 live", "place:cs_9", "2 gone", "source:cus_1",
            source.encode(), "the app's", "own"}));
  assert_true(record.has_value());
  assert_true(record->exists);
  assert_int_equal(record->version, 12);
  assert_true(record->not_before == unix_time(100));
  assert_true(record->updated == unix_time(200));
  assert_true(record->places.at("cus_1") == (PlaceMark{3, true}));
  assert_true(record->places.at("cs_9") == (PlaceMark{2, false}));
  assert_true(record->sources.at("cus_1") == source);
}

void damaged_record_is_unreadable(void**) {
  const std::vector<std::vector<std::string>> damages = {
      {"version", "twelve"},
      {"version", "-1"},
      {"version", "1x"},
      {"version", ""},
      {"version", "99999999999999999999"},
      {"not_before", "soon"},
      {"updated", " 1"},
      {"place:cus_1", "live"},
      {"place:cus_1", "1 alive"},
      {"place:cus_1", "-1 live"},
      {"place_floor", "low"},
      {"source:cs_1", "{"},
      {"source:cs_1", ""},
      {"version"},
  };
  for (const auto& damage : damages) {
    assert_false(Record::decode(hash(damage)).has_value());
  }
  Reply error{Reply::Type::error, 0, "WRONGTYPE Operation against", {}};
  assert_false(Record::decode(error).has_value());
  assert_false(Record::decode(Reply()).has_value());
  Reply integers = hash({"version", "1"});
  integers.elements[1].type = Reply::Type::integer;
  assert_false(Record::decode(integers).has_value());
}

void place_mark_reads_what_it_writes(void**) {
  for (PlaceMark mark : {PlaceMark{0, false}, PlaceMark{41, true}}) {
    assert_true(PlaceMark::decode(mark.encode()) == mark);
  }
  assert_string_equal((PlaceMark{3, true}).encode().c_str(), "3 live");
  // A later version may say more.
  std::optional<PlaceMark> later = PlaceMark::decode("3 gone since 7");
  assert_int_equal(later->epoch, 3);
  assert_false(later->live);
  assert_string_equal(later->encode().c_str(), "3 gone since 7");
}

const Command* find(const std::vector<Command>& commands,
                    std::string_view word) {
  for (const Command& command : commands) {
    if (command[0] == word) return &command;
  }
  return nullptr;
}

void only_what_differs_is_written(void**) {
  Record before;
  before.exists = true;
  before.version = 5;
  before.format = kFormat;
  before.sources = purchase("evt_1", "cus_1", "cs_1").facts.places[0].sources;
  before.sources.merge(
      purchase("evt_2", "cus_1", "cs_2").facts.places[0].sources);
  Record after = before;
  after.sources.erase("cs_1");
  EventHead event;
  RecordWrite write = write_record(options(), user("alice"), before, after,
                                   {event, "cus_1", ""});
  assert_int_equal(write.commands.size(), 2);
  const Command* set = find(write.commands, "HSET");
  assert_int_equal(set->size(), 4);
  assert_string_equal(set->at(2).c_str(), "updated");
  const Command* removed = find(write.commands, "HDEL");
  assert_int_equal(removed->size(), 3);
  assert_string_equal(removed->at(2).c_str(), "source:cs_1");
}

void version_is_left_alone_while_the_same_is_effective(void**) {
  Record before;
  before.exists = true;
  before.version = 5;
  before.sources = purchase("evt_1", "cus_1", "cs_1").facts.places[0].sources;
  Record after = before;
  EventHead event;
  RecordCause cause{event, "cus_1", ""};
  RecordWrite same =
      write_record(options(), user("alice"), before, after, cause);
  assert_int_equal(same.version, 5);
  assert_null(find(same.commands, "HINCRBY"));

  after.sources.clear();
  RecordWrite less =
      write_record(options(), user("alice"), before, after, cause);
  assert_int_equal(less.version, 6);
  assert_non_null(find(less.commands, "HINCRBY"));
}

void new_record_starts_at_the_time_in_milliseconds(void**) {
  EventHead event;
  RecordWrite write = write_record(options(), user("alice"), Record(), Record(),
                                   {event, "cus_1", ""});
  assert_int_equal(write.version, kNow * 1000);
  const Command* set = find(write.commands, "HSET");
  assert_string_equal(set->back().c_str(), std::to_string(kNow * 1000).c_str());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(absent_record_is_empty),
      cmocka_unit_test(record_reads_its_own_fields_and_no_others),
      cmocka_unit_test(damaged_record_is_unreadable),
      cmocka_unit_test(place_mark_reads_what_it_writes),
      cmocka_unit_test(only_what_differs_is_written),
      cmocka_unit_test(version_is_left_alone_while_the_same_is_effective),
      cmocka_unit_test(new_record_starts_at_the_time_in_milliseconds),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
