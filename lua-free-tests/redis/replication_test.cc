#include "core/redis/replication.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

namespace {

using entitle::mono_time;
using entitle::MonoTime;
using entitle::parse_replication;
using entitle::PrimaryMarks;
using entitle::Replication;

constexpr std::string_view kPrimary =
    "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"
    "slave0:ip=127.0.0.1,port=1,state=online,offset=70,lag=0\r\n"
    "master_replid:e487\r\nmaster_replid2:0000\r\n"
    "master_repl_offset:84\r\nsecond_repl_offset:-1\r\n";
constexpr std::string_view kReplica =
    "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\n"
    "master_link_status:up\r\nslave_read_repl_offset:84\r\n"
    "slave_repl_offset:70\r\nmaster_replid:e487\r\n"
    "master_repl_offset:84\r\n";

Replication primary(std::string_view history, std::int64_t offset) {
  return {true, false, std::string(history), offset};
}

Replication replica(std::string_view history, std::int64_t offset) {
  return {false, true, std::string(history), offset};
}

void a_primary_says_where_its_history_is_at(void**) {
  const auto said = parse_replication(kPrimary);
  assert_true(said.has_value());
  assert_true(said->primary);
  assert_true(said->history == "e487");
  assert_int_equal(said->offset, 84);
}

void a_replica_says_what_it_has_applied(void**) {
  const auto said = parse_replication(kReplica);
  assert_true(said.has_value());
  assert_false(said->primary);
  assert_true(said->linked);
  assert_true(said->history == "e487");
  assert_int_equal(said->offset, 70);
}

void a_replica_without_a_link_is_not_linked(void**) {
  std::string info(kReplica);
  info.replace(info.find("status:up"), 9, "status:down");
  assert_false(parse_replication(info)->linked);
}

void anything_else_is_nothing(void**) {
  assert_false(parse_replication("").has_value());
  assert_false(parse_replication("# Replication\r\n").has_value());
  assert_false(parse_replication("role:sentinel\r\nmaster_replid:a\r\n"
                                 "slave_repl_offset:1\r\n")
                   .has_value());
  assert_false(parse_replication("role:master\r\nmaster_replid:a\r\n"
                                 "master_repl_offset:1x\r\n")
                   .has_value());
  assert_false(
      parse_replication("role:master\r\nmaster_repl_offset:1\r\n").has_value());
}

void who_has_as_much_is_read_for_as_long_as_that_was_said(void**) {
  PrimaryMarks marks;
  marks.note(primary("a", 10), mono_time(100));
  assert_true(marks.readable_until(replica("a", 10), mono_time(0)) ==
              mono_time(100));
  assert_true(marks.readable_until(replica("a", 11), mono_time(0)) ==
              mono_time(100));
  assert_false(marks.readable_until(replica("a", 9), mono_time(0)).has_value());
}

void who_is_behind_is_read_as_long_as_what_it_has_was_new(void**) {
  PrimaryMarks marks;
  marks.note(primary("a", 10), mono_time(100));
  marks.note(primary("a", 20), mono_time(130));
  marks.note(primary("a", 30), mono_time(160));
  assert_true(marks.readable_until(replica("a", 25), mono_time(0)) ==
              mono_time(130));
  assert_true(marks.readable_until(replica("a", 30), mono_time(0)) ==
              mono_time(160));
  assert_true(marks.readable_until(replica("a", 19), mono_time(99)) ==
              mono_time(100));
  assert_false(
      marks.readable_until(replica("a", 19), mono_time(100)).has_value());
}

void another_history_is_not_read(void**) {
  PrimaryMarks marks;
  marks.note(primary("a", 10), mono_time(100));
  assert_false(
      marks.readable_until(replica("b", 99), mono_time(0)).has_value());
}

void neither_a_primary_nor_a_replica_without_a_link_is_read(void**) {
  PrimaryMarks marks;
  marks.note(primary("a", 10), mono_time(100));
  assert_false(
      marks.readable_until(primary("a", 10), mono_time(0)).has_value());
  Replication cut = replica("a", 10);
  cut.linked = false;
  assert_false(marks.readable_until(cut, mono_time(0)).has_value());
}

void what_a_replica_says_of_itself_marks_nothing(void**) {
  PrimaryMarks marks;
  marks.note(replica("a", 10), mono_time(100));
  assert_false(
      marks.readable_until(replica("a", 10), mono_time(0)).has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_primary_says_where_its_history_is_at),
      cmocka_unit_test(a_replica_says_what_it_has_applied),
      cmocka_unit_test(a_replica_without_a_link_is_not_linked),
      cmocka_unit_test(anything_else_is_nothing),
      cmocka_unit_test(who_has_as_much_is_read_for_as_long_as_that_was_said),
      cmocka_unit_test(who_is_behind_is_read_as_long_as_what_it_has_was_new),
      cmocka_unit_test(another_history_is_not_read),
      cmocka_unit_test(neither_a_primary_nor_a_replica_without_a_link_is_read),
      cmocka_unit_test(what_a_replica_says_of_itself_marks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
