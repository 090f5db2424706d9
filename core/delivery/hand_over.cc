#include "core/delivery/hand_over.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/rising.h"
#include "core/delivery/link.h"
#include "core/delivery/parts.h"
#include "core/record/fields.h"
#include "core/record/place.h"
#include "core/source/claim.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {
namespace {

// The field of a browser's record: "u:<user>".
constexpr std::string_view kHandedTo = "handed_to";

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
  Target user;
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

struct PlaceLook {
  Progress progress;
  bool is_settled = true;
  std::vector<Claim> claims{};         // that make it the user's
  std::vector<std::string> sources{};  // which are, with these
};

// What there is to do about what the browser holds of a place.
Conversation<PlaceLook> look_at_place(Handing& h, std::string id,
                                      std::set<std::string> sources) {
  auto reading = h.delivery.redis.read(h.delivery.options.keys.place(id));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    h.handed.error = reply.text;
    co_return PlaceLook{Progress::failed};
  }
  // One that cannot be read is for the next event to set aside.
  std::optional<Place> place = Place::decode(reply);
  if (!place || !place->exists) co_return PlaceLook{Progress::done};
  PlaceLook look{Progress::done, place->settled()};
  look.claims = claims_on(h, *place, sources);
  for (const Claim& claim : look.claims) {
    look.sources.push_back(claim.source);
    place->add(claim);
  }
  if (look.is_settled) co_return look;
  // Somebody began, and did not come to the end.
  const Owners owners = place->owners();
  for (const std::string& source : sources) {
    const bool is_claimed = std::find(look.sources.begin(), look.sources.end(),
                                      source) != look.sources.end();
    if (!is_claimed && owners.of(source) == h.user) {
      look.sources.push_back(source);
    }
  }
  co_return look;
}

Conversation<Progress> hand_over_place(Handing& h, std::string id,
                                       std::set<std::string> sources) {
  auto looking = look_at_place(h, id, sources);
  PlaceLook look = co_await looking;
  if (look.progress == Progress::failed) co_return Progress::failed;
  if (look.claims.empty() && look.is_settled) co_return Progress::done;

  auto preparing = read_version(h);
  Progress progress = co_await preparing;
  if (progress == Progress::failed) co_return Progress::failed;
  h.delivery.about =
      look.sources.empty() ? *sources.begin() : look.sources.front();
  PlaceReport report;
  auto delivering =
      deliver_to_place(h.delivery, {id, std::move(look.claims), {}}, report);
  progress = co_await delivering;
  if (progress == Progress::failed) co_return Progress::failed;
  if (report.user && report.user == h.user.user()) {
    note_version(h, report);
    auto& all = h.handed.sources;
    all.insert(all.end(), look.sources.begin(), look.sources.end());
  }
  co_return Progress::done;
}

Conversation<Progress> hand_over_held(Handing& h, Record record) {
  h.handed.user = h.user.user();
  for (auto& [place, sources] : held_by(record)) {
    auto handing = hand_over_place(h, place, sources);
    Progress progress = co_await handing;
    if (progress == Progress::failed) co_return Progress::failed;
  }
  const auto& moved = h.handed.sources;
  for (const auto& [id, source] : record.sources) {
    h.handed.left |= std::find(moved.begin(), moved.end(), id) == moved.end();
  }
  co_return Progress::done;
}

// Whether there is anything to do.
Conversation<PlaceLook> look_at_held(Handing& h, Record record) {
  PlaceLook all{Progress::done};
  for (auto& [place, sources] : held_by(record)) {
    auto looking = look_at_place(h, place, sources);
    PlaceLook look = co_await looking;
    if (look.progress == Progress::failed) co_return look;
    if (!look.claims.empty() || !look.is_settled) all.is_settled = false;
  }
  co_return all;
}

bool is_called_in(const Record& record, UnixTime issued_at) {
  return record.not_before && issued_at < *record.not_before;
}

// The browser's record, and to whom it was handed over.
struct Browser {
  Progress progress;
  Record record{};
  std::optional<User> handed_to{};
};

Browser understand(Handing& h, const Reply& reply) {
  std::optional<Record> record = Record::decode(reply);
  if (!record) {
    h.handed.error = reply.is_error() ? reply.text : "its record is damaged";
    return {Progress::failed};
  }
  Browser browser{Progress::done, *std::move(record)};
  each_field(reply, [&](const std::string& field, const std::string& text) {
    std::optional<Target> target;
    if (field == kHandedTo) target = Target::decode(text);
    if (target) browser.handed_to = target->user();
    return true;
  });
  return browser;
}

Conversation<Browser> read_browser(Handing& h) {
  auto reading =
      h.delivery.redis.read(h.delivery.options.keys.record(*h.browser.user()));
  Reply reply = co_await reading;
  co_return understand(h, reply);
}

// Whether all of it goes.
bool keeps_nothing(const Record& record) {
  return std::none_of(record.sources.begin(), record.sources.end(),
                      [](const auto& one) {
                        return one.second.granted || one.second.place.empty();
                      });
}

// To whom it goes, into the browser's record, unless somebody was first. Null:
// the id was called in, or the record is gone. An id that keeps nothing is
// called in with that, so that nothing opens by an old copy of it, and who has
// one buys by another.
Command forward(const Handing& h, const std::string& key,
                const Record& record) {
  Command command{"HSET", key, std::string(kHandedTo), h.user.encode()};
  if (keeps_nothing(record)) {
    const UnixTime next = seconds_of(h.delivery.options) + Seconds{1};
    const UnixTime from = std::max(record.not_before.value_or(next), next);
    command.push_back("not_before");
    command.push_back(std::to_string(to_unix(from)));
  }
  return command;
}

Conversation<Browser> leave_forward(Handing& h, UnixTime issued_at) {
  Delivery& delivery = h.delivery;
  const std::string key = delivery.options.keys.record(*h.browser.user());
  do {
    auto watching = delivery.redis.watch(key);
    Reply reply = co_await watching;
    Browser browser = understand(h, reply);
    if (browser.progress == Progress::failed || browser.handed_to ||
        !browser.record.exists || is_called_in(browser.record, issued_at)) {
      co_return browser;
    }
    std::vector<Command> commands;
    commands.push_back(forward(h, key, browser.record));
    auto committing = delivery.redis.commit(key, std::move(commands));
    CommitReply written = co_await committing;
    if (written.status == Commit::committed) {
      browser.handed_to = h.user.user();
      co_return browser;
    }
    if (written.status == Commit::refused) {
      h.handed.error = written.error;
      co_return Browser{Progress::failed};
    }
  } while (delivery.redis.try_again());
  h.handed.error = "conflicts did not end";
  co_return Browser{Progress::failed};
}

// To whom it went before, if to anybody.
Conversation<Progress> hand_on_all(Handing& h) {
  auto reading = read_browser(h);
  Browser browser = co_await reading;
  if (browser.progress == Progress::failed) co_return Progress::failed;
  if (!browser.handed_to) co_return Progress::done;
  h.user = Target::of(*browser.handed_to);
  auto handing = hand_over_held(h, std::move(browser.record));
  Progress progress = co_await handing;
  co_return progress;
}

Conversation<Progress> hand_over_all(Handing& h, UnixTime issued_at) {
  auto reading = read_browser(h);
  Browser browser = co_await reading;
  if (browser.progress == Progress::failed) co_return Progress::failed;
  if (!browser.handed_to) {
    if (is_called_in(browser.record, issued_at)) co_return Progress::done;
    auto looking = look_at_held(h, browser.record);
    PlaceLook look = co_await looking;
    if (look.progress == Progress::failed) co_return Progress::failed;
    if (look.is_settled) {
      h.handed.left = !browser.record.sources.empty();
      co_return Progress::done;
    }
    auto leaving = leave_forward(h, issued_at);
    Browser left = co_await leaving;
    if (left.progress == Progress::failed) co_return Progress::failed;
    if (!left.handed_to) co_return Progress::done;
  }
  auto handing = hand_on_all(h);
  Progress progress = co_await handing;
  co_return progress;
}

HandedOver result_of(Handing& h, Progress progress) {
  if (progress == Progress::failed && h.handed.error.empty()) {
    h.handed.error = h.delivery.result.error;
  }
  if (h.handed.raised) h.handed.raised->second = h.version;
  if (h.others_raised) h.handed.raised.reset();
  return std::move(h.handed);
}

}  // namespace

Conversation<HandedOver> hand_over(User browser, UnixTime issued_at, User user,
                                   DeliveryOptions options) {
  EventHead event = login_event(options);
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  Handing h{delivery, Target::of(browser), Target::of(user)};
  auto handing = hand_over_all(h, issued_at);
  const Progress progress = co_await handing;
  co_return result_of(h, progress);
}

Conversation<HandedOver> hand_on(User browser, DeliveryOptions options) {
  EventHead event = login_event(options);
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  Handing h{delivery, Target::of(browser), {}};
  auto handing = hand_on_all(h);
  const Progress progress = co_await handing;
  co_return result_of(h, progress);
}

}  // namespace entitle
