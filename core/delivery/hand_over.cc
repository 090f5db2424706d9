#include "core/delivery/hand_over.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/rising.h"
#include "core/delivery/link.h"
#include "core/delivery/parts.h"
#include "core/record/place.h"
#include "core/source/claim.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {
namespace {

EventHead login_event(const DeliveryOptions& options) {
  EventHead head;
  head.id = "login";
  head.type = "hand_over";
  head.created = seconds_of(options);
  return head;
}

struct Handing {
  Delivery& delivery;
  const Target browser;
  const Target user;
  std::int64_t version = 0;  // of the user's record, as far as we have seen
  bool others_raised = false;
  HandedOver handed{};
};

// By place: what the browser's record holds, and what its checkouts named
// along.
using Held = std::map<std::string, std::set<std::string>>;

Held held_by(const Record& record) {
  Held held;
  for (const auto& [id, source] : record.sources) {
    if (source.granted || source.place.empty()) continue;
    std::set<std::string>& all = held[source.place];
    all.insert(id);
    all.merge(named_along_with(source));
  }
  return held;
}

// After whatever was said of it, also where clocks differ.
UnixTime later_than_all(const Place& place, std::string_view source,
                        UnixTime now) {
  UnixTime newest = now;
  const auto naming = place.naming.find(source);
  if (naming != place.naming.end()) {
    for (const Claim& claim : naming->second) {
      newest = std::max(newest, claim.created + Seconds{1});
    }
  }
  return newest;
}

// A claim that makes the source the user's. An operator's word yields to none
// but another one.
std::optional<Claim> claim_of(const Handing& h, const Place& place,
                              const std::string& source) {
  for (ClaimKind kind :
       {ClaimKind::client_reference, ClaimKind::operators_of_purchase}) {
    const UnixTime said =
        later_than_all(place, source, h.delivery.event.created);
    Claim claim{kind, said, h.delivery.event.id, h.user, source};
    Place after = place;
    after.add(claim);
    if (after.owners().of(source) == h.user) return claim;
  }
  return std::nullopt;
}

// What of these is the browser's, as the place has it.
std::vector<Claim> claims_on(const Handing& h, const Place& place,
                             const std::set<std::string>& sources) {
  std::vector<Claim> claims;
  const Owners owners = place.owners();
  for (const std::string& source : sources) {
    if (owners.of(source) != h.browser) continue;
    std::optional<Claim> claim = claim_of(h, place, source);
    if (claim) claims.push_back(*std::move(claim));
  }
  return claims;
}

Conversation<Progress> read_version(Handing& h) {
  if (h.handed.raised) co_return Progress::done;
  auto reading = read_record(h.delivery, *h.user.user());
  RecordRead read = co_await reading;
  if (read.found != Found::read) co_return Progress::failed;
  h.version = read.record.version;
  h.handed.raised = {h.version, h.version};
  co_return Progress::done;
}

void note_version(Handing& h, const PlaceReport& report) {
  const std::int64_t expected =
      report.before != report.after ? risen(h.version) : h.version;
  h.others_raised |= h.version != 0 && report.record.version != expected;
  h.version = report.record.version;
}

Conversation<Progress> hand_over_place(Handing& h, std::string id,
                                       std::set<std::string> sources) {
  auto reading = h.delivery.redis.read(h.delivery.options.keys.place(id));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    h.handed.error = reply.text;
    co_return Progress::failed;
  }
  // One that cannot be read is for the next event to set aside.
  std::optional<Place> place = Place::decode(reply);
  if (!place || !place->exists) co_return Progress::done;
  PlaceFacts facts{id, {}, {}};
  facts.claims = claims_on(h, *place, sources);
  if (facts.claims.empty()) co_return Progress::done;

  auto preparing = read_version(h);
  Progress progress = co_await preparing;
  if (progress == Progress::failed) co_return Progress::failed;
  std::vector<std::string> claimed;
  for (const Claim& claim : facts.claims) claimed.push_back(claim.source);
  h.delivery.about = claimed.front();
  PlaceReport report;
  auto delivering = deliver_to_place(h.delivery, std::move(facts), report);
  progress = co_await delivering;
  if (progress == Progress::failed) co_return Progress::failed;
  if (report.user && report.user == h.user.user()) {
    note_version(h, report);
    auto& all = h.handed.sources;
    all.insert(all.end(), claimed.begin(), claimed.end());
  }
  co_return Progress::done;
}

Conversation<Progress> hand_over_all(Handing& h) {
  auto reading = read_record(h.delivery, *h.browser.user());
  RecordRead read = co_await reading;
  if (read.found != Found::read) co_return Progress::failed;
  for (auto& [place, sources] : held_by(read.record)) {
    auto handing = hand_over_place(h, place, sources);
    Progress progress = co_await handing;
    if (progress == Progress::failed) co_return Progress::failed;
  }
  const auto& moved = h.handed.sources;
  for (const auto& [id, source] : read.record.sources) {
    h.handed.left |= std::find(moved.begin(), moved.end(), id) == moved.end();
  }
  co_return Progress::done;
}

}  // namespace

Conversation<HandedOver> hand_over(User browser, User user,
                                   DeliveryOptions options) {
  EventHead event = login_event(options);
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  Handing h{delivery, Target::of(browser), Target::of(user)};
  auto handing = hand_over_all(h);
  const Progress progress = co_await handing;
  if (progress == Progress::failed && h.handed.error.empty()) {
    h.handed.error = delivery.result.error;
  }
  if (h.handed.raised) h.handed.raised->second = h.version;
  if (h.others_raised) h.handed.raised.reset();
  co_return std::move(h.handed);
}

}  // namespace entitle
