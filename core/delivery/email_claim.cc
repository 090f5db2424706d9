#include "core/delivery/email_claim.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/rising.h"
#include "core/delivery/lookup.h"
#include "core/delivery/parts.h"
#include "core/record/place.h"
#include "core/source/claim.h"
#include "core/stripe/event.h"
#include "core/stripe/facts.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxEmail = 320;  // RFC 3696 section 3, with its erratum

EventHead login_event(const DeliveryOptions& options) {
  EventHead head;
  head.id = "login";
  head.type = "email_claim";
  head.created = seconds_of(options);
  return head;
}

struct Claiming {
  Delivery& delivery;
  const std::string email;
  const Target target;  // the user
  std::vector<std::string> to_look_at{};
  std::int64_t version = 0;  // of the record, as far as we have seen
  bool others_raised = false;
  EmailClaimed claimed{};
};

void look_at(Claiming& c, const std::string& place) {
  auto& all = c.to_look_at;
  if (all.size() < kMostEmailPlaces &&
      std::find(all.begin(), all.end(), place) == all.end()) {
    all.push_back(place);
  }
}

Conversation<Progress> find_places(Claiming& c) {
  std::string key = c.delivery.options.keys.email(c.email);
  std::vector<Command> commands;
  commands.push_back({"SRANDMEMBER", key, std::to_string(kMostEmailPlaces)});
  auto asking = c.delivery.redis.send(key, std::move(commands));
  std::vector<Reply> replies = co_await asking;
  const Reply& members = replies.front();
  if (members.is_error()) {
    c.claimed.error = members.text;
    co_return Progress::failed;
  }
  for (const Reply& member : members.elements) look_at(c, member.text);
  co_return Progress::done;
}

// A place that is part of others is claimed there; what is nobody's, or was
// claimed for this user and not brought to the end, is claimed (again).
// By an e-mail that was corrected since, nobody is found, and what it gave goes
// to whom the corrected one finds.
bool wants_claim(Claiming& c, const Place& place) {
  if (!place.exists) return false;
  if (place.email && place.email->text != c.email) return false;
  std::optional<Target> owner = place.owner();
  if (!owner) return true;
  if (owner->user()) {
    return place.owner_by_older_email() ||
           (*owner == c.target && !place.settled());
  }
  for (const std::string& greater : place.forwards()) look_at(c, greater);
  return false;
}

// Before the first claim: what the record's version was.
Conversation<Progress> read_version(Claiming& c) {
  if (c.claimed.raised) co_return Progress::done;
  auto reading = read_record(c.delivery, *c.target.user());
  RecordRead read = co_await reading;
  if (read.found != Found::read) co_return Progress::failed;
  c.version = read.record.version;
  c.claimed.raised = {c.version, c.version};
  co_return Progress::done;
}

void note_version(Claiming& c, const PlaceReport& report) {
  const std::int64_t expected =
      report.before != report.after ? risen(c.version) : c.version;
  c.others_raised |= c.version != 0 && report.record.version != expected;
  c.version = report.record.version;
}

Conversation<Progress> claim_place(Claiming& c, std::string place) {
  auto reading = c.delivery.redis.read(c.delivery.options.keys.place(place));
  Reply reply = co_await reading;
  if (reply.is_error() && !reply.is_error("WRONGTYPE")) {
    c.claimed.error = reply.text;
    co_return Progress::failed;
  }
  // One that cannot be read is for the next event to set aside.
  std::optional<Place> known = Place::decode(reply);
  if (known && !known->exists) {  // it expired
    std::vector<Command> commands;
    commands.push_back(email_forget(c.delivery.options.keys, c.email, place));
    auto forgetting = c.delivery.redis.send(
        c.delivery.options.keys.email(c.email), std::move(commands));
    co_await forgetting;
  }
  if (!known || !wants_claim(c, *known)) co_return Progress::done;

  auto preparing = read_version(c);
  Progress progress = co_await preparing;
  if (progress == Progress::failed) co_return Progress::failed;
  PlaceFacts facts{place, {}, {}};
  UnixTime said = known->email ? known->email->said : c.delivery.event.created;
  facts.claims.push_back(
      Claim{ClaimKind::email, said, c.delivery.event.id, c.target});
  PlaceReport report;
  auto delivering = deliver_to_place(c.delivery, std::move(facts), report);
  progress = co_await delivering;
  if (progress == Progress::failed) co_return Progress::failed;
  if (report.user && report.user == c.target.user()) {
    note_version(c, report);
    c.claimed.places.push_back(place);
  }
  co_return Progress::done;
}

}  // namespace

std::string claimable_email(std::string_view text) {
  if (has_control_bytes(text) || text.size() > kMaxEmail ||
      text.find(' ') != std::string_view::npos ||
      text.find('@') == std::string_view::npos) {
    return {};
  }
  return lower_case(text);
}

Conversation<EmailClaimed> claim_by_email(std::string email, User user,
                                          DeliveryOptions options) {
  EventHead event = login_event(options);
  Delivery delivery{
      event, options, Transactions(options.jitter_seed, options.wait),
      {},    {},      {}};
  Claiming c{delivery, std::move(email), Target::of(user)};
  auto finding = find_places(c);
  Progress progress = co_await finding;
  for (std::size_t i = 0; progress == Progress::done && i < c.to_look_at.size();
       i++) {
    auto claiming = claim_place(c, c.to_look_at[i]);
    progress = co_await claiming;
  }
  if (progress == Progress::failed && c.claimed.error.empty()) {
    c.claimed.error = delivery.result.error;
  }
  if (c.claimed.raised) c.claimed.raised->second = c.version;
  if (c.others_raised) c.claimed.raised.reset();
  co_return std::move(c.claimed);
}

}  // namespace entitle
