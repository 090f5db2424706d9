#include "core/stripe/facts_parts.h"

#include <algorithm>

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

}  // namespace

std::string Reading::qualified(std::string_view id) const {
  return head().account.qualify(id);
}

std::string customer_place(const Reading& reading) {
  std::string_view customer = stripe::id(reading.object(), "customer");
  if (customer.empty()) {
    customer = stripe::id(reading.object(), "customer_account");
  }
  return customer.empty() ? std::string() : reading.qualified(customer);
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
  add_id(stripe::id_of(price));
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

std::vector<Identifier> IdentifierList::sorted() && {
  std::sort(identifiers_.begin(), identifiers_.end());
  identifiers_.erase(std::unique(identifiers_.begin(), identifiers_.end()),
                     identifiers_.end());
  return std::move(identifiers_);
}

PlaceFacts own_place(const Reading& reading, std::string place,
                     const UserHints& hints, Facts& facts) {
  PlaceFacts own{std::move(place), {}, {}};
  const std::string& event = reading.head().id;
  UnixTime said = hints.said.value_or(reading.head().created);
  if (!hints.email.empty()) own.email = SaidEmail{said, event, hints.email};
  std::optional<NamedUser> named = named_user(reading, hints, facts);
  if (!named) return own;
  Claim claim{named->kind, said, event, "u:" + named->user.str()};
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

void add_forward(const Reading& reading, std::string from,
                 std::string_view to_place, Facts& facts) {
  Claim claim{ClaimKind::forward, reading.head().created, reading.head().id,
              "p:" + std::string(to_place)};
  facts.places.push_back({std::move(from), {std::move(claim)}, {}});
}

void add_note(Facts& facts, std::string_view text) {
  if (!facts.note.empty()) facts.note += "; ";
  facts.note += text;
}

}  // namespace entitle
