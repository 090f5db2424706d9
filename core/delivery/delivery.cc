#include "core/delivery/delivery.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/delivery/at_once.h"
#include "core/delivery/conclude.h"
#include "core/delivery/hand_over.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/identity/browser_id.h"
#include "core/record/keys.h"

namespace entitle {
namespace {

// An e-mail's is as durable as what it finds.
Conversation<CommitReply> write_lookup(Delivery& delivery, LookupWrite write) {
  if (write.key == delivery.options.keys.event(delivery.event.id) ||
      write.needed == nullptr) {
    auto sending =
        delivery.redis.send_last(write.key, std::move(write.commands));
    std::vector<Reply> replies = co_await sending;
    bool failed = !replies.empty() && replies.back().is_error();
    if (!failed) co_return CommitReply{Commit::committed, {}};
    co_return CommitReply{Commit::refused, replies.back().text};
  }
  auto writing = delivery.redis.write(write.key, std::move(write.commands));
  CommitReply reply = co_await writing;
  co_return reply;
}

Conversation<Progress> write_lookups(Delivery& delivery, const Facts& facts,
                                     const PlaceReport& report) {
  std::vector<LookupWrite> writes = lookup_writes(delivery, facts, report);
  for (LookupWrite& write : writes) {
    const char* needed = write.needed;
    auto writing = write_lookup(delivery, std::move(write));
    CommitReply reply = co_await writing;
    if (needed != nullptr && reply.status != Commit::committed) {
      delivery.result.error = std::string(needed) + ": " + reply.error;
      co_return Progress::failed;
    }
  }
  co_return Progress::done;
}

Conversation<DeliveryResult> store(const Facts& facts, const EventHead& event,
                                   const DeliveryOptions& options) {
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  delivery.result.outcome = Outcome::ignored;
  if (facts.places.empty()) co_return std::move(delivery.result);

  const PlaceFacts& own = facts.places.back();
  for (const auto& [id, source] : own.sources) {
    delivery.sources.push_back(id);
  }
  delivery.about = subject_of(own);
  if (options.one_server) {
    auto trying = deliver_at_once(delivery, facts);
    AtOnce at_once = co_await trying;
    if (at_once == AtOnce::failed) {
      delivery.result.outcome = Outcome::not_stored;
    }
    if (at_once != AtOnce::no) co_return std::move(delivery.result);
  }
  PlaceReport report;
  for (const PlaceFacts& place : facts.places) {
    if (says_nothing(place)) continue;
    report = PlaceReport();
    auto delivering = deliver_to_place(delivery, place, report);
    Progress progress = co_await delivering;
    if (progress == Progress::failed) {
      delivery.result.outcome = Outcome::not_stored;
      co_return std::move(delivery.result);
    }
  }
  conclude(delivery, facts, report);
  auto writing = write_lookups(delivery, facts, report);
  Progress progress = co_await writing;
  if (progress == Progress::failed) {
    delivery.result.outcome = Outcome::not_stored;
  }
  co_return std::move(delivery.result);
}

// The browsers that something was brought to.
std::vector<User> browsers_in(const Facts& facts,
                              const DeliveryResult& result) {
  std::vector<User> browsers;
  auto note = [&](const std::optional<User>& user) {
    const bool is_new =
        user && is_browser_user(*user) &&
        std::find(browsers.begin(), browsers.end(), *user) == browsers.end();
    if (is_new) browsers.push_back(*user);
  };
  for (const PlaceFacts& place : facts.places) {
    for (const Claim& claim : place.claims) note(claim.target.user());
  }
  note(result.user);
  return browsers;
}

}  // namespace

Conversation<DeliveryResult> deliver(Facts facts, EventHead event,
                                     DeliveryOptions options) {
  auto storing = store(facts, event, options);
  DeliveryResult result = co_await storing;
  if (result.outcome == Outcome::not_stored) co_return result;
  for (const User& browser : browsers_in(facts, result)) {
    auto handing = hand_on(browser, options);
    HandedOver handed = co_await handing;
    if (!handed.error.empty()) {
      result.outcome = Outcome::not_stored;
      result.error = std::move(handed.error);
      co_return result;
    }
    if (handed.sources.empty()) continue;
    result.handed_on.push_back(
        {browser, *handed.user, std::move(handed.sources)});
  }
  co_return result;
}

}  // namespace entitle
