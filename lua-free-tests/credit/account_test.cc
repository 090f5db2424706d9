// How much is on an account, by what the contract says: a pack per paid session
// or invoice line times its quantity, an allotment per paid period; what was
// given back counts no more; other lines count for everybody at once.
#include "core/credit/account.h"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "lua-free-tests/support/stripe_event.h"

using namespace entitle;

namespace {

constexpr std::int64_t kDay = 86400, kStart = 1'767'225'600;
constexpr std::int64_t kNext = kStart + 30 * kDay;

std::string event(const std::string& id, std::int64_t created,
                  const std::string& type, const std::string& object) {
  return R"({"id":")" + id +
         R"(","object":"event","livemode":false,"created":)" +
         std::to_string(created) + R"(,"type":")" + type +
         R"(","data":{"object":)" + object + "}}";
}

struct Line {
  std::string price;
  int quantity = 1;
};

std::string price(const std::string& id) {
  return R"({"id":"price_)" + id + R"(","product":"prod_)" + id + R"("})";
}

// A pack that was bought at the till.
std::string session(const std::string& event_id, const std::string& id,
                    const std::string& payment, const std::vector<Line>& lines,
                    const std::string& status = "paid") {
  std::string data;
  for (const Line& line : lines) {
    data += (data.empty() ? "" : ",") + std::string(R"({"quantity":)") +
            std::to_string(line.quantity) + R"(,"price":)" + price(line.price) +
            "}";
  }
  return event(event_id, kStart, "checkout.session.completed",
               R"({"id":")" + id +
                   R"(","object":"checkout.session","mode":"payment",)"
                   R"("customer":"cus_1","client_reference_id":"ada",)"
                   R"("payment_status":")" +
                   status + R"(","payment_intent":")" + payment +
                   R"(","line_items":{"object":"list","has_more":false,)"
                   R"("data":[)" +
                   data + "]}}");
}

std::string subscription(const std::string& event_id, std::int64_t created,
                         const std::string& type, const std::string& status,
                         std::int64_t from, std::int64_t until,
                         const std::vector<Line>& lines,
                         const std::string& metadata = "{}") {
  std::string data;
  for (const Line& line : lines) {
    data += (data.empty() ? "" : ",") + std::string(R"({"id":"si_)") +
            line.price + R"(","quantity":)" + std::to_string(line.quantity) +
            R"(,"current_period_start":)" + std::to_string(from) +
            R"(,"current_period_end":)" + std::to_string(until) +
            R"(,"price":)" + price(line.price) + "}";
  }
  return event(event_id, created, "customer.subscription." + type,
               R"({"id":"sub_1","object":"subscription","customer":"cus_1",)"
               R"("status":")" +
                   status + R"(","metadata":)" + metadata +
                   R"(,"items":{"object":"list","has_more":false,"data":[)" +
                   data + "]}}");
}

// Of a subscription, or of none: then its lines are sold once.
std::string invoice(const std::string& event_id, std::int64_t created,
                    const std::string& id, bool of_subscription,
                    std::int64_t from, std::int64_t until,
                    const std::vector<Line>& lines,
                    const std::string& payment = "pi_i") {
  std::string data;
  for (const Line& line : lines) {
    const std::string details =
        of_subscription
            ? R"("parent":{"type":"subscription_item_details",)"
              R"("subscription_item_details":{"subscription":"sub_1",)"
              R"("proration":false}})"
            : R"("parent":{"type":"invoice_item_details",)"
              R"("invoice_item_details":{"proration":false}})";
    data += (data.empty() ? "" : ",") + std::string(R"({"amount":100,)") +
            details + R"(,"quantity":)" + std::to_string(line.quantity) +
            R"(,"period":{"start":)" + std::to_string(from) + R"(,"end":)" +
            std::to_string(until) +
            R"(},"pricing":{"price_details":{"price":")" + "price_" +
            line.price + R"(","product":"prod_)" + line.price + R"("}}})";
  }
  const std::string parent =
      of_subscription ? R"("parent":{"subscription_details":{"subscription":)"
                        R"("sub_1","metadata":{}}},)"
                      : "";
  return event(event_id, created, "invoice.paid",
               R"({"id":")" + id +
                   R"(","object":"invoice","customer":"cus_1",)" + parent +
                   R"("payment_intent":")" + payment +
                   R"(","status":"paid","total":100,"amount_paid":100,)"
                   R"("created":)" +
                   std::to_string(created) +
                   R"(,"lines":{"object":"list","has_more":false,"data":[)" +
                   data + "]}}");
}

std::string refunded(const std::string& event_id, const std::string& payment) {
  return event(event_id, kStart + 100, "charge.refunded",
               R"({"id":"ch_)" + payment +
                   R"(","object":"charge","customer":"cus_1",)"
                   R"("payment_intent":")" +
                   payment +
                   R"(","amount":100,"amount_refunded":100,"refunded":true})");
}

std::string disputed(const std::string& event_id, const std::string& payment,
                     const std::string& status) {
  return event(
      event_id, kStart + (status == "won" ? 300 : 200),
      status == "won" ? "charge.dispute.closed" : "charge.dispute.created",
      R"({"id":"du_1","object":"dispute","charge":"ch_x",)"
      R"("payment_intent":")" +
          payment + R"(","status":")" + status + R"("})");
}

CreditLines lines(std::initializer_list<const char*> once,
                  std::initializer_list<const char*> period = {}) {
  CreditMap map;
  for (const char* text : once) {
    auto line = parse_credit(text);
    assert_true(line && map.add("api", line->first, line->second, false));
  }
  for (const char* text : period) {
    auto line = parse_credit(text);
    assert_true(line && map.add("api", line->first, line->second, true));
  }
  return *map.find("api");
}

CreditAccount account(const std::vector<std::string>& bodies,
                      const CreditLines& by, std::int64_t now = kStart + 1000,
                      const Policy& policy = {}) {
  const Sources sources = test::stored(test::sources_of(bodies));
  return credit_account(sources, by, policy, unix_time(now));
}

const CreditLines& pack() {
  static const CreditLines by = lines({"price_pack=1000"});
  return by;
}

void a_paid_session_puts_its_pack_times_the_quantity(void**) {
  CreditAccount one =
      account({session("evt_1", "cs_1", "pi_1", {{"pack"}})}, pack());
  assert_int_equal(one.put(), 1000);
  assert_int_equal(one.pots.size(), 1);
  assert_false(one.pots[0].is_of_period());
  assert_int_equal(
      account({session("evt_1", "cs_1", "pi_1", {{"pack", 3}})}, pack()).put(),
      3000);
  assert_int_equal(account({session("evt_1", "cs_1", "pi_1",
                                    {{"pack", 3}, {"big"}, {"no"}})},
                           lines({"price_pack=1000", "prod_big=50000"}))
                       .put(),
                   53000);
}

void each_session_counts_once(void**) {
  const std::string first = session("evt_1", "cs_1", "pi_1", {{"pack", 2}});
  assert_int_equal(account({first, first}, pack()).put(), 2000);
  assert_int_equal(
      account({first, session("evt_2", "cs_1", "pi_1", {{"pack", 2}})}, pack())
          .put(),
      2000);
  assert_int_equal(
      account({first, session("evt_2", "cs_2", "pi_2", {{"pack"}})}, pack())
          .put(),
      3000);
}

void what_is_not_paid_puts_nothing(void**) {
  assert_int_equal(
      account({session("evt_1", "cs_1", "pi_1", {{"pack"}}, "unpaid")}, pack())
          .put(),
      0);
}

void price_and_product_of_one_line_count_once(void**) {
  assert_int_equal(account({session("evt_1", "cs_1", "pi_1", {{"pack", 2}})},
                           lines({"price_pack=1000", "prod_pack=700"}))
                       .put(),
                   2000);
  assert_int_equal(account({session("evt_1", "cs_1", "pi_1", {{"pack"}})},
                           lines({"price_pack=1000", "prod_pack=700"}))
                       .put(),
                   1000);
}

void refunded_and_disputed_packs_count_no_more(void**) {
  const std::string one = session("evt_1", "cs_1", "pi_1", {{"pack"}});
  const std::string two = session("evt_2", "cs_2", "pi_2", {{"pack", 2}});
  assert_int_equal(account({one, two, refunded("evt_3", "pi_1")}, pack()).put(),
                   2000);
  assert_int_equal(account({refunded("evt_3", "pi_1"), one}, pack()).put(), 0);
  const std::string open = disputed("evt_4", "pi_2", "needs_response");
  assert_int_equal(account({one, two, open}, pack()).put(), 1000);
  assert_int_equal(
      account({one, two, open, disputed("evt_5", "pi_2", "won")}, pack()).put(),
      3000);
  Policy keeps;
  keeps.refund_revokes = false;
  assert_int_equal(
      account({one, refunded("evt_3", "pi_1")}, pack(), kStart + 1000, keeps)
          .put(),
      1000);
}

void a_one_off_invoice_puts_each_line_times_its_quantity(void**) {
  assert_int_equal(account({invoice("evt_1", kStart, "in_1", false, kStart,
                                    kStart, {{"pack", 4}, {"no", 9}})},
                           pack())
                       .put(),
                   4000);
}

void other_lines_count_for_what_was_bought_before(void**) {
  const std::vector<std::string> bought = {
      session("evt_1", "cs_1", "pi_1", {{"pack", 2}})};
  assert_int_equal(account(bought, pack()).put(), 2000);
  assert_int_equal(account(bought, lines({"price_pack=5"})).put(), 10);
  assert_int_equal(account(bought, lines({"price_other=5"})).put(), 0);
}

// --- periods -----------------------------------------------------------------

const CreditLines& monthly() {
  static const CreditLines by = lines({}, {"price_pro=500"});
  return by;
}

std::string running(const std::string& id, std::int64_t created,
                    std::int64_t from, const std::string& status = "active",
                    int quantity = 1) {
  return subscription(id, created, "updated", status, from, from + 30 * kDay,
                      {{"pro", quantity}});
}

void a_period_puts_its_allotment_once(void**) {
  const CreditAccount now =
      account({running("evt_1", kStart, kStart)}, monthly());
  assert_int_equal(now.pots.size(), 1);
  assert_int_equal(now.pots[0].put, 500);
  assert_int_equal(to_unix(now.pots[0].from), kStart);
  assert_int_equal(to_unix(now.pots[0].ends), kNext);
  assert_int_equal(to_unix(*now.comes_back()), kNext);
  const CreditAccount with_invoice = account(
      {running("evt_1", kStart, kStart),
       invoice("evt_2", kStart, "in_1", true, kStart, kNext, {{"pro"}})},
      monthly());
  assert_true(with_invoice == now);
}

void an_invoice_alone_says_the_period(void**) {
  const CreditAccount by_invoice = account(
      {invoice("evt_2", kStart, "in_1", true, kStart, kNext, {{"pro", 3}})},
      monthly());
  assert_int_equal(by_invoice.put(), 1500);
  assert_int_equal(to_unix(by_invoice.pots[0].from), kStart);
}

void the_next_period_is_another_pot(void**) {
  const std::vector<std::string> both = {running("evt_1", kStart, kStart),
                                         running("evt_2", kNext, kNext)};
  const CreditAccount next = account(both, monthly(), kNext + 5);
  assert_int_equal(next.pots.size(), 1);
  assert_int_equal(to_unix(next.pots[0].from), kNext);
  assert_int_equal(next.put(), 500);
  // A clock that is behind takes from the old one still.
  const CreditAccount before = account(both, monthly(), kNext - 5);
  assert_int_equal(to_unix(before.pots[0].from), kStart);
  assert_int_equal(to_unix(before.same_until), kNext);
}

void more_seats_put_more_at_once(void**) {
  assert_int_equal(account({running("evt_1", kStart, kStart),
                            running("evt_2", kStart + 50, kStart, "active", 4)},
                           monthly())
                       .put(),
                   2000);
}

void a_period_that_is_not_paid_puts_nothing(void**) {
  const std::string paid =
      invoice("evt_2", kStart, "in_1", true, kStart, kNext, {{"pro"}});
  const std::string due = running("evt_3", kNext + 3600, kNext, "past_due");
  const CreditAccount left = account(
      {running("evt_1", kStart, kStart), paid, due}, monthly(), kNext + 7200);
  assert_int_equal(left.pots.size(), 1);
  assert_int_equal(to_unix(left.pots[0].from), kStart);  // what is left of it
  assert_int_equal(
      account({running("evt_1", kStart, kStart), due}, monthly(), kNext + 7200)
          .put(),
      0);
  assert_int_equal(account({running("evt_1", kStart, kStart),
                            subscription("evt_3", kNext, "deleted", "canceled",
                                         kStart, kNext, {{"pro"}})},
                           monthly(), kNext + 1)
                       .put(),
                   0);
}

void a_plan_that_was_left_puts_nothing(void**) {
  const CreditLines by = lines({}, {"price_pro=500", "price_max=9000"});
  assert_int_equal(account({running("evt_1", kStart, kStart),
                            subscription("evt_2", kStart + 60, "updated",
                                         "active", kStart, kNext, {{"max"}})},
                           by)
                       .put(),
                   9000);
}

void metadata_of_a_subscription_puts_once(void**) {
  assert_int_equal(
      account({subscription("evt_1", kStart, "created", "active", kStart, kNext,
                            {{"pro", 7}}, R"({"tier":"gold"})")},
              lines({}, {"metadata.tier=gold=40"}))
          .put(),
      40);
}

void what_is_over_first_is_taken_first(void**) {
  const CreditAccount both =
      account({session("evt_1", "cs_1", "pi_1", {{"pack"}}),
               running("evt_2", kStart, kStart)},
              lines({"price_pack=1000"}, {"price_pro=500"}));
  assert_int_equal(both.pots.size(), 2);
  assert_true(both.pots[0].is_of_period());
  assert_int_equal(both.put(), 1500);
}

void a_subscription_is_of_periods_also_without_the_word(void**) {
  const CreditAccount one =
      account({running("evt_1", kStart, kStart)}, lines({"price_pro=500"}));
  assert_int_equal(one.put(), 500);
  assert_true(one.pots[0].is_of_period());
  // And a purchase is of none, whatever is said of periods.
  assert_int_equal(
      account({session("evt_1", "cs_1", "pi_1", {{"pro"}})}, monthly()).put(),
      0);
}

// --- any order ---------------------------------------------------------------

// A life with all of it; the oracle has the sums, by hand.
void any_order_and_repetition_comes_to_the_same(void**) {
  const std::vector<std::string> life = {
      session("evt_01", "cs_1", "pi_1", {{"pack", 2}, {"big"}}),
      session("evt_02", "cs_2", "pi_2", {{"pack"}}),
      session("evt_03", "cs_3", "pi_3", {{"pack", 5}}, "unpaid"),
      refunded("evt_04", "pi_2"),
      invoice("evt_05", kStart, "in_9", false, kStart, kStart, {{"pack", 3}},
              "pi_9"),
      subscription("evt_06", kStart, "created", "active", kStart, kNext,
                   {{"pro", 2}}),
      invoice("evt_07", kStart, "in_1", true, kStart, kNext, {{"pro", 2}}),
      running("evt_08", kNext, kNext, "active", 2),
      invoice("evt_09", kNext + 60, "in_2", true, kNext, kNext + 30 * kDay,
              {{"pro", 2}}),
      running("evt_10", kNext + 500, kNext, "active", 3),
      disputed("evt_11", "pi_9", "needs_response"),
      disputed("evt_12", "pi_9", "won"),
  };
  const CreditLines by =
      lines({"price_pack=1000", "prod_big=20000"}, {"price_pro=500"});
  // 2 packs and a big one; none of cs_2, cs_3; 3 packs of the invoice; and of
  // the period that runs 3 seats.
  constexpr std::int64_t kPut = 2000 + 20000 + 3000 + 1500;
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> bodies = life;
    for (int more = 0; more < 6; ++more) {
      bodies.push_back(life[random() % life.size()]);
    }
    std::shuffle(bodies.begin(), bodies.end(), random);
    const CreditAccount one = account(bodies, by, kNext + 1000);
    assert_int_equal(one.put(), kPut);
    assert_int_equal(one.pots.size(), 2);
    assert_int_equal(to_unix(one.pots[0].from), kNext);
  }
}

// --- words -------------------------------------------------------------------

void a_line_is_an_identifier_and_a_number(void**) {
  auto line = parse_credit("lookup_key=pack=30");
  assert_true(line.has_value());
  assert_string_equal(line->first.str().c_str(), "lookup_key=pack");
  assert_int_equal(line->second, 30);
  for (const char* bad :
       {"price_1", "price_1=", "price_1=0", "price_1=-5", "price_1=1.5",
        "price_1=1e3", "=5", "nonsense=5", "price_1=1000000000001",
        "price_1= 5", "price_1=99999999999999999999"}) {
    assert_false(parse_credit(bad).has_value());
  }
}

void a_cost_is_digits(void**) {
  assert_int_equal(*parse_cost("0"), 0);
  assert_int_equal(*parse_cost("25"), 25);
  for (const char* bad :
       {"", "-1", "+1", "1 ", "1.0", "one", "0x10", "1000000000001"}) {
    assert_false(parse_cost(bad).has_value());
  }
}

void names_can_stand_in_keys_and_headers(void**) {
  assert_true(is_credit_name("api"));
  assert_true(is_credit_name("gpt-4.1_mini"));
  for (const char* bad : {"", "a b", "a:b", "a\"b", "a{b}", "ä"}) {
    assert_false(is_credit_name(bad));
  }
  assert_false(is_credit_name(std::string(65, 'a')));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_paid_session_puts_its_pack_times_the_quantity),
      cmocka_unit_test(each_session_counts_once),
      cmocka_unit_test(what_is_not_paid_puts_nothing),
      cmocka_unit_test(price_and_product_of_one_line_count_once),
      cmocka_unit_test(refunded_and_disputed_packs_count_no_more),
      cmocka_unit_test(a_one_off_invoice_puts_each_line_times_its_quantity),
      cmocka_unit_test(other_lines_count_for_what_was_bought_before),
      cmocka_unit_test(a_period_puts_its_allotment_once),
      cmocka_unit_test(an_invoice_alone_says_the_period),
      cmocka_unit_test(the_next_period_is_another_pot),
      cmocka_unit_test(more_seats_put_more_at_once),
      cmocka_unit_test(a_period_that_is_not_paid_puts_nothing),
      cmocka_unit_test(a_plan_that_was_left_puts_nothing),
      cmocka_unit_test(metadata_of_a_subscription_puts_once),
      cmocka_unit_test(what_is_over_first_is_taken_first),
      cmocka_unit_test(a_subscription_is_of_periods_also_without_the_word),
      cmocka_unit_test(any_order_and_repetition_comes_to_the_same),
      cmocka_unit_test(a_line_is_an_identifier_and_a_number),
      cmocka_unit_test(a_cost_is_digits),
      cmocka_unit_test(names_can_stand_in_keys_and_headers),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
