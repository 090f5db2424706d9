#include "core/stripe/facts_parts.h"

#include <algorithm>
#include <map>

#include "core/base/ascii.h"
#include "core/base/types.h"
#include "core/json/tree.h"
#include "core/stripe/client_reference.h"
#include "core/stripe/object.h"

namespace entitle {
namespace {

constexpr std::size_t kMaxIdentifiers = 128;

std::optional<User> referenced_user(const Reading& reading,
                                    std::string_view reference,
                                    bool must_be_signed, Facts& facts) {
  if (reference.empty()) return std::nullopt;
  if (!ClientReference::has_our_form(reference)) {
    if (!must_be_signed) return User::from(reference);
    add_note(facts, "client_reference_id is not signed: refused");
    return std::nullopt;
  }
  std::optional<User> user;
  if (reading.options.reference) {
    user = reading.options.reference->open(reference);
  }
  if (!user)
    add_note(facts, "client_reference_id has a wrong signature: refused");
  return user;
}

struct NamedUser {
  User user;
  ClaimKind kind;
};

std::optional<NamedUser> named_user(const Reading& reading,
                                    const UserHints& hints, Facts& facts) {
  for (const UserFrom& from : reading.options.user_from) {
    std::optional<User> user;
    ClaimKind kind = ClaimKind::client_reference;
    switch (from.kind) {
      case UserFrom::Kind::client_reference_id:
        user = referenced_user(reading, hints.client_reference, false, facts);
        break;
      case UserFrom::Kind::signed_client_reference_id:
        user = referenced_user(reading, hints.client_reference, true, facts);
        break;
      case UserFrom::Kind::metadata:
        user = User::from(json::string(hints.metadata, from.key));
        kind = hints.metadata_kind;
        break;
      case UserFrom::Kind::email:
        user = User::from(hints.email);
        kind = ClaimKind::email;
        break;
      case UserFrom::Kind::link:
        // What earlier events made known is in the place's claims already.
        break;
    }
    if (user) return NamedUser{*std::move(user), kind};
  }
  return std::nullopt;
}

bool may_be_tag(const FactsOptions& options, std::string_view key) {
  return key != "entitlements" &&
         std::none_of(options.user_from.begin(), options.user_from.end(),
                      [&](const UserFrom& from) {
                        return from.kind == UserFrom::Kind::metadata &&
                               from.key == key;
                      });
}

std::optional<Identifier> tag_of(const Reading& reading,
                                 const json::Node& member) {
  if (!json::is_string(&member) || !may_be_tag(reading.options, member.key())) {
    return std::nullopt;
  }
  return Identifier::tag(reading.head().account, member.key(), member.text());
}

}  // namespace

std::string Reading::qualified(std::string_view id) const {
  return head().account.qualify(id);
}

std::int64_t quantity_of(const json::Node* item) {
  constexpr std::int64_t kMost = 1'000'000;
  return std::clamp(json::integer(item, "quantity").value_or(1),
                    std::int64_t{1}, kMost);
}

std::vector<LineItem> lines_to_keep(std::vector<LineItem> lines) {
  std::map<std::vector<Identifier>, std::int64_t> sums;
  for (LineItem& line : lines) {
    if (line.identifiers.empty()) continue;
    sums[std::move(line.identifiers)] += line.quantity;
  }
  std::vector<LineItem> kept;
  for (const auto& [identifiers, quantity] : sums) {
    kept.push_back({identifiers, quantity});
  }
  const bool is_one = kept.size() == 1 && kept.front().quantity == 1;
  if (is_one) kept.clear();
  return kept;
}

void add_periods(const Reading& reading,
                 const std::vector<Identifier>& identifiers,
                 const PeriodFact& period, Source& source) {
  if (period.from == UnixTime{} || period.until <= period.from) return;
  for (const Identifier& identifier : identifiers) {
    if (!is_price(identifier)) continue;
    PeriodFact one = period;
    one.created = reading.head().created;
    one.price = identifier.str();
    source.periods.insert(std::move(one));
  }
}

std::string customer_place(const Reading& reading) {
  std::string_view customer = stripe::id(reading.object(), "customer");
  if (customer.empty()) {
    customer = stripe::id(reading.object(), "customer_account");
  }
  return customer.empty() ? std::string() : reading.qualified(customer);
}

Listing listing(const Reading& reading, std::string_view key, Listed what) {
  Listing list;
  const json::Node* own = json::member(reading.object(), key);
  const StripeList* asked = reading.options.asked;
  if (asked != nullptr && asked->what != what) asked = nullptr;
  if (asked != nullptr) {
    for (const json::Document& page : asked->pages) {
      for (const json::Node* member :
           json::Children(json::member(page.root(), "data"))) {
        list.members.push_back(member);
      }
    }
    list.said = true;
    list.has_more = !asked->complete;
    if (asked->complete) return list;
  }
  const json::Node* data = stripe::list(reading.object(), key);
  for (const json::Node* member : json::Children(data)) {
    list.members.push_back(member);
  }
  list.said |= data != nullptr;
  list.has_more |= json::boolean(own, "has_more").value_or(false);
  return list;
}

void IdentifierList::add(std::optional<Identifier> identifier) {
  if (!identifier) return;
  if (identifiers_.size() == kMaxIdentifiers) {
    truncated_ = true;
    return;
  }
  identifiers_.push_back(*std::move(identifier));
}

void IdentifierList::add_id(std::string_view id) {
  if (!id.empty()) add(Identifier::from_stripe_id(account_, id));
}

void IdentifierList::add_price(const json::Node* price) {
  // Old accounts chose the ids of their plans: any text.
  std::string_view id = json::is_object(price)   ? json::string(price, "id")
                        : json::is_string(price) ? price->text()
                                                 : std::string_view();
  if (!id.empty()) add(Identifier::price(account_, id));
  add_id(stripe::id(price, "product"));
  std::string_view key = json::string(price, "lookup_key");
  if (!key.empty()) add(Identifier::lookup_key(account_, key));
}

void IdentifierList::add_feature(std::string_view lookup_key) {
  add(Identifier::feature(account_, lookup_key));
}

void IdentifierList::add_names(const json::Node* metadata) {
  std::string_view names = json::string(metadata, "entitlements");
  while (!names.empty() && !truncated_) {
    std::size_t end = names.find_first_of(", ");
    std::string_view name = names.substr(0, end);
    if (!name.empty()) add(Identifier::metadata(account_, name));
    names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
  }
}

void IdentifierList::add_metadata(const Reading& reading,
                                  const json::Node* metadata) {
  add_names(metadata);
  std::map<std::string_view, Identifier> tags;  // by name
  for (const json::Node* member : json::Children(metadata)) {
    if (auto tag = tag_of(reading, *member)) {
      tags.emplace(member->key(), *std::move(tag));
    }
  }
  std::size_t count = 0;
  for (auto& [key, tag] : tags) {
    if (++count > Identifier::kMaxTags) break;
    add(std::move(tag));
  }
}

std::vector<Identifier> IdentifierList::sorted() && {
  std::sort(identifiers_.begin(), identifiers_.end());
  identifiers_.erase(std::unique(identifiers_.begin(), identifiers_.end()),
                     identifiers_.end());
  return std::move(identifiers_);
}

std::vector<std::string> previous_tags(const Reading& reading,
                                       const json::Node* metadata) {
  std::vector<std::string> tags;
  for (const json::Node* member : json::Children(metadata)) {
    std::string_view key = member->key();
    if (key.empty() || key.find('=') != std::string_view::npos ||
        key.size() > Identifier::kMaxTagBytes || has_control_bytes(key) ||
        !may_be_tag(reading.options, key)) {
      continue;
    }
    std::optional<Identifier> tag = tag_of(reading, *member);
    tags.emplace_back(tag ? tag->parts().value : key);
  }
  std::sort(tags.begin(), tags.end());
  if (tags.size() > Identifier::kMaxTags) tags.resize(Identifier::kMaxTags);
  return tags;
}

void add_lookup_key(const Reading& reading, const json::Node* price,
                    Source& source) {
  const AccountId& account = reading.head().account;
  auto of = Identifier::price(account, json::string(price, "id"));
  auto key = Identifier::lookup_key(account, json::string(price, "lookup_key"));
  if (!of || !key) return;
  source.keys.insert(
      {reading.head().id, reading.head().created, of->str(), key->str()});
}

PlaceFacts own_place(const Reading& reading, std::string place,
                     const UserHints& hints, Facts& facts) {
  PlaceFacts own{std::move(place), {}, {}};
  const std::string& event = reading.head().id;
  UnixTime said = hints.said.value_or(reading.head().created);
  if (!hints.email.empty()) own.email = SaidEmail{said, event, hints.email};
  std::optional<NamedUser> named = named_user(reading, hints, facts);
  if (!named) return own;
  Claim claim{named->kind, said, event, Target::of(named->user)};
  if (!is_explicit(claim.kind) || hints.about.empty()) {
    own.claims.push_back(std::move(claim));
    return own;
  }
  for (const std::string& source : hints.about) {
    claim.source = source;
    own.claims.push_back(claim);
  }
  return own;
}

SessionFact payment_link(const Reading& reading, std::string payment) {
  SessionFact fact;
  fact.event = reading.head().id;
  fact.created = reading.head().created;
  fact.payment_intent = std::move(payment);
  return fact;
}

Claim part_claim(const Reading& reading, std::string part,
                 std::string_view whole) {
  return part_of(std::move(part), whole, reading.head().created,
                 reading.head().id);
}

void add_charge(const Reading& reading, const SessionFact& fact,
                PlaceFacts& own, Facts& facts) {
  if (fact.charge.empty()) return;
  add_forward(reading, fact.charge, own.place, facts);
  own.claims.push_back(part_claim(reading, fact.charge, fact.payment_intent));
}

void add_forward(const Reading& reading, std::string from,
                 std::string_view to_place, Facts& facts) {
  Claim claim{ClaimKind::forward, reading.head().created, reading.head().id,
              Target::of_place(to_place)};
  facts.places.push_back({std::move(from), {std::move(claim)}, {}});
}

std::int64_t amount(const json::Node* object, std::string_view member) {
  return std::max<std::int64_t>(0, json::integer(object, member).value_or(0));
}

std::string word_of(const json::Node* object, std::string_view member) {
  constexpr std::size_t kMaxBytes = 64;
  std::string_view word = json::string(object, member);
  return std::string(all_visible(word) ? word.substr(0, kMaxBytes)
                                       : std::string_view("unreadable"));
}

void add_unknown_word(Facts& facts, std::string_view what,
                      std::string_view word) {
  std::string text(what);
  if (word == kUnsaid) {
    text += " is not said";
  } else {
    text.append(" \"").append(word).append("\" is not known");
  }
  text +=
      ", so nothing is opened by it: Stripe may have a new word or a new name "
      "for it, look for a newer entitle";
  facts.warns = true;
  add_note(facts, text);
}

void add_note(Facts& facts, std::string_view text) {
  if (!facts.note.empty()) facts.note += "; ";
  facts.note += text;
}

}  // namespace entitle
