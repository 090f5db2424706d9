#include "core/access/packed_record.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>

extern "C" {
#include <cmocka.h>
}

#include "core/access/projection.h"
#include "core/access/standing.h"
#include "core/base/types.h"
#include "core/source/identifier.h"
#include "lua-free-tests/access/random_standing.h"

namespace {

using entitle::Identifier;
using entitle::kForever;
using entitle::kMaxPackedBytes;
using entitle::pack;
using entitle::PackedIdentifier;
using entitle::PackedReader;
using entitle::PackedSource;
using entitle::Projection;
using entitle::Standing;
using entitle::unix_time;
using entitle::UnixTime;
using entitle::unpack;

Projection subscription(std::string_view price, std::string_view product,
                        std::string_view lookup_key) {
  Projection projection;
  projection.state = Projection::State::active;
  projection.end = unix_time(1785000000);
  for (std::string_view text : {price, product, lookup_key}) {
    projection.identifiers.push_back(*Identifier::parse(text));
  }
  return projection;
}

// Two plans, as Stripe makes them: 30, 19 and 22 bytes.
Standing two_subscriptions() {
  Standing standing;
  standing.version = 1767225600123;
  standing.projections.push_back(subscription("price_1MowQVLkdIwHu7ixraBm864M",
                                              "prod_NWjs8kKbJWmuuc",
                                              "lookup_key=pro_monthly"));
  standing.projections.push_back(subscription("price_1OaBcDLkdIwHu7ixYtRe531Q",
                                              "prod_PqRs7lLcKXnvvd",
                                              "lookup_key=sup_monthly"));
  return standing;
}

// What a packed record keeps of a standing.
Standing kept(Standing standing) {
  auto clamped = [](UnixTime time) {
    return std::clamp(time, UnixTime{}, unix_time((std::int64_t{1} << 40) - 1));
  };
  std::erase_if(standing.projections, [](const Projection& projection) {
    return projection.identifiers.empty();
  });
  for (Projection& projection : standing.projections) {
    projection.source.clear();
    if (projection.end != kForever) projection.end = clamped(projection.end);
    if (projection.cancelled != kForever) {
      projection.cancelled = clamped(projection.cancelled);
    }
    projection.since = clamped(projection.since);
  }
  if (standing.not_before) standing.not_before = clamped(*standing.not_before);
  return standing;
}

void assert_equal(const Standing& left, const Standing& right) {
  assert_true(left.version == right.version);
  assert_true(left.not_before == right.not_before);
  assert_true(left.projections == right.projections);
}

void two_subscriptions_fit_a_small_slot(void**) {
  Standing standing = two_subscriptions();
  assert_int_equal(pack(standing).size(), 137);
  standing.not_before = unix_time(1767000000);
  standing.projections[0].since = unix_time(1);
  standing.projections[1].since = unix_time(1);
  assert_true(pack(standing).size() <= 160);
}

void any_standing_comes_back(void**) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    Standing standing = entitle::test::random_standing(random);
    std::optional<Standing> back = unpack(pack(standing));
    assert_true(back.has_value());
    assert_equal(*back, kept(standing));
  }
}

void no_record_packs_too(void**) {
  std::string packed = pack(Standing{});
  assert_int_equal(packed.size(), 11);
  assert_equal(*unpack(packed), Standing{});
}

void times_out_of_range_are_clamped(void**) {
  Standing standing = two_subscriptions();
  standing.projections[0].end = unix_time(-5);
  standing.projections[0].since = unix_time(INT64_MIN);
  standing.projections[0].cancelled = unix_time(INT64_MAX - 1);
  standing.projections[1].end = unix_time(INT64_MAX - 1);
  standing.not_before = kForever;
  assert_equal(*unpack(pack(standing)), kept(standing));
}

void a_connected_account_is_written_once_a_source(void**) {
  Standing standing = two_subscriptions();
  std::size_t plain = pack(standing).size();
  for (Projection& projection : standing.projections) {
    for (Identifier& identifier : projection.identifiers) {
      identifier =
          *Identifier::parse("acct_1032D82eZvKYlo2C/" + identifier.str());
    }
  }
  std::string packed = pack(standing);
  assert_int_equal(packed.size(), plain + 2 * (1 + 16));
  assert_equal(*unpack(packed), standing);
}

void many_identifiers_take_a_longer_count(void**) {
  Standing standing;
  for (int count : {127, 128, 300}) {
    Projection projection;
    for (int i = 0; i < count; ++i) {
      projection.identifiers.push_back(
          *Identifier::parse("price_" + std::to_string(i)));
    }
    standing.projections.push_back(projection);
  }
  assert_equal(*unpack(pack(standing)), standing);
}

void what_is_too_big_is_not_packed(void**) {
  Standing standing;
  Projection projection;
  projection.identifiers.push_back(
      *Identifier::parse("price_" + std::string(240, 'x')));
  while (standing.projections.size() < kMaxPackedBytes / 243) {
    standing.projections.push_back(projection);
  }
  while (!pack(standing).empty()) {
    assert_true(pack(standing).size() <= kMaxPackedBytes);
    standing.projections.push_back(projection);
    assert_true(standing.projections.size() < 100);
  }
}

void a_cut_record_is_refused(void**) {
  Standing standing = two_subscriptions();
  standing.not_before = unix_time(7);
  std::string packed = pack(standing);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a byte too many.
    assert_false(unpack(packed.substr(0, size)).has_value());
  }
  assert_true(unpack(packed).has_value());
  assert_false(unpack(packed + '\0').has_value());
}

void another_layout_is_refused(void**) {
  std::string packed = pack(two_subscriptions());
  packed[0] = 1;
  assert_false(unpack(packed).has_value());
  packed[0] = 2;
  assert_false(unpack(packed).has_value());
  packed[0] = 3;
  assert_true(unpack(packed).has_value());
  packed[1] = 4;
  assert_false(unpack(packed).has_value());
}

void the_same_account_as_none_is_refused(void**) {
  Standing standing = two_subscriptions();
  std::string packed = pack(standing);
  std::size_t head = packed.find("\x0eNWjs8kKbJWmuuc") - 1;
  assert_true(head < packed.size());
  packed[head] |= 0x20;
  assert_false(unpack(packed).has_value());

  // Neither does an account reach into the next source.
  std::string account = "acct_1/";
  Identifier& last = standing.projections[0].identifiers[2];
  last = *Identifier::parse(account + last.str());
  packed = pack(standing);
  assert_equal(*unpack(packed), standing);
  head = packed.find("1OaBcDLkdIwHu7ixYtRe531Q") - 2;
  packed[head] |= 0x20;
  assert_false(unpack(packed).has_value());
}

void read_through(std::string_view packed) {
  PackedReader reader(packed);
  PackedSource source;
  std::size_t steps = 0;
  while (reader.next(source)) {
    PackedIdentifier identifier;
    // Some sources are left half read.
    while (++steps % 7 != 0 && reader.next(identifier)) {
      identifier.str();
    }
  }
  unpack(packed);
}

void garbage_is_survived(void**) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 40000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (!bytes.empty() && random() % 4 != 0) bytes[0] = 3;
    if (bytes.size() > 1 && random() % 4 != 0) bytes[1] &= 1;
    read_through(bytes);
  }
}

void flipped_bits_are_survived(void**) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20000; ++i) {
    std::string packed = pack(entitle::test::random_standing(random));
    for (std::size_t flips = 1 + random() % 3; flips > 0; --flips) {
      packed[random() % packed.size()] ^=
          static_cast<char>(1u << (random() % 8));
    }
    read_through(packed);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(two_subscriptions_fit_a_small_slot),
      cmocka_unit_test(any_standing_comes_back),
      cmocka_unit_test(no_record_packs_too),
      cmocka_unit_test(times_out_of_range_are_clamped),
      cmocka_unit_test(a_connected_account_is_written_once_a_source),
      cmocka_unit_test(many_identifiers_take_a_longer_count),
      cmocka_unit_test(what_is_too_big_is_not_packed),
      cmocka_unit_test(a_cut_record_is_refused),
      cmocka_unit_test(another_layout_is_refused),
      cmocka_unit_test(the_same_account_as_none_is_refused),
      cmocka_unit_test(garbage_is_survived),
      cmocka_unit_test(flipped_bits_are_survived),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
