#include "cli/stripe/sample.h"

#include <fmt/format.h>

#include <random>

#include "core/crypto/siphash.h"
#include "core/json/writer.h"

namespace entitle::cli {
namespace {

constexpr std::int64_t kMonth = 30 * 86400;

using Type = Identifier::Type;

// A few letters that stand for the user in ids.
std::string tag_of(const std::string& user) {
  SipHasher hasher(SipKey{});
  hasher.add(user);
  return fmt::format("{:012x}", hasher.finish().high & 0xffffffffffff);
}

class Maker {
 public:
  explicit Maker(const Sample& sample)
      : sample_(sample), tag_(tag_of(sample.user)), out_(text_) {}

  std::string event(void (Maker::*object)()) {
    std::random_device device;
    out_.begin_object()
        .text("id", fmt::format("evt_sample{:08x}{:08x}", device(), device()))
        .text("object", "event")
        .text("type", sample_.type)
        .boolean("livemode", false)
        .number("created", now())
        .key("data")
        .begin_object()
        .key("object")
        .begin_object();
    (this->*object)();
    out_.end_object().end_object().end_object();
    return std::move(text_);
  }

  void subscription() {
    const bool over = sample_.type == "customer.subscription.deleted";
    out_.text("id", "sub_sample" + tag_).text("object", "subscription");
    customer();
    out_.text("status", over ? "canceled" : "active")
        .number("created", now() - 60)
        .number("start_date", now() - 60);
    if (over) out_.number("ended_at", now()).number("canceled_at", now());
    metadata(true);
    out_.key("items")
        .begin_object()
        .text("object", "list")
        .boolean("has_more", false)
        .key("data")
        .begin_array()
        .begin_object()
        .text("id", "si_sample" + tag_)
        .text("object", "subscription_item")
        .number("quantity", 1)
        .number("current_period_start", now() - 60)
        .number("current_period_end", now() + kMonth)
        .key("price");
    price();
    out_.end_object().end_array().end_object();
  }

  void session() {
    out_.text("id", "cs_test_sample" + tag_).text("object", "checkout.session");
    customer();
    out_.text("mode", "payment")
        .text("payment_status", "paid")
        .text("status", "complete")
        .number("created", now() - 60)
        .text("payment_intent", "pi_sample" + tag_);
    if (!sample_.user.empty()) out_.text("client_reference_id", sample_.user);
    if (sample_.identifier.parts().type == Type::payment_link) {
      out_.text("payment_link", sample_.identifier.str());
    }
    metadata(false);
  }

  void invoice() {
    out_.text("id", "in_sample" + tag_).text("object", "invoice");
    customer();
    out_.text("status", "paid")
        .number("created", now())
        .text("billing_reason", "subscription_cycle");
    metadata(false);
    out_.key("parent").begin_object().text("type", "subscription_details");
    out_.key("subscription_details")
        .begin_object()
        .text("subscription", "sub_sample" + tag_);
    metadata(true);
    out_.end_object().end_object();
    lines();
  }

  void refund() {
    out_.text("id", "ch_sample" + tag_).text("object", "charge");
    customer();
    out_.text("payment_intent", "pi_sample" + tag_)
        .number("amount", 100)
        .number("amount_refunded", 100)
        .boolean("refunded", true)
        .number("created", now() - 60);
    metadata(false);
  }

 private:
  std::int64_t now() const { return to_unix(sample_.now); }

  void customer() { out_.text("customer", "cus_sample" + tag_); }

  // Whose it is, and what it is known by, where that is said in metadata.
  void metadata(bool names_user) {
    out_.key("metadata").begin_object();
    if (names_user && !sample_.user.empty()) out_.text("user_id", sample_.user);
    const Identifier::Parts parts = sample_.identifier.parts();
    if (parts.type == Type::metadata) out_.text("entitlements", parts.value);
    if (parts.type == Type::tag) {
      const std::size_t equals = parts.value.find('=');
      out_.text(parts.value.substr(0, equals), parts.value.substr(equals + 1));
    }
    out_.end_object();
  }

  std::string price_id() const {
    const Identifier::Parts parts = sample_.identifier.parts();
    switch (parts.type) {
      case Type::price:
      case Type::plan:
        return sample_.identifier.str();
      case Type::named_price:
        return std::string(parts.value);
      default:
        return "price_sample";
    }
  }

  std::string product_id() const {
    return sample_.identifier.parts().type == Type::product
               ? sample_.identifier.str()
               : "prod_sample";
  }

  void price() {
    out_.begin_object()
        .text("id", price_id())
        .text("object", "price")
        .text("product", product_id());
    const Identifier::Parts parts = sample_.identifier.parts();
    if (parts.type == Type::lookup_key) out_.text("lookup_key", parts.value);
    out_.key("recurring")
        .begin_object()
        .text("interval", "month")
        .number("interval_count", 1)
        .end_object()
        .end_object();
  }

  void lines() {
    out_.key("lines")
        .begin_object()
        .text("object", "list")
        .boolean("has_more", false)
        .key("data")
        .begin_array()
        .begin_object()
        .text("id", "il_sample" + tag_)
        .text("object", "line_item")
        .number("amount", 100)
        .number("quantity", 1)
        .key("period")
        .begin_object()
        .number("start", now())
        .number("end", now() + kMonth)
        .end_object()
        .key("parent")
        .begin_object()
        .text("type", "subscription_item_details")
        .key("subscription_item_details")
        .begin_object()
        .text("subscription", "sub_sample" + tag_)
        .text("subscription_item", "si_sample" + tag_)
        .boolean("proration", false)
        .end_object()
        .end_object()
        .key("pricing")
        .begin_object()
        .text("type", "price_details")
        .key("price_details")
        .begin_object()
        .text("price", price_id())
        .text("product", product_id())
        .end_object()
        .end_object()
        .end_object()
        .end_array()
        .end_object();
  }

  const Sample& sample_;
  std::string tag_;
  std::string text_;
  json::Writer out_;
};

struct Kind {
  std::string_view type;
  void (Maker::*object)();
};
constexpr Kind kKinds[] = {
    {"charge.refunded", &Maker::refund},
    {"checkout.session.completed", &Maker::session},
    {"customer.subscription.created", &Maker::subscription},
    {"customer.subscription.deleted", &Maker::subscription},
    {"customer.subscription.updated", &Maker::subscription},
    {"invoice.paid", &Maker::invoice},
};

}  // namespace

const std::vector<std::string_view>& sample_types() {
  static const std::vector<std::string_view> types = [] {
    std::vector<std::string_view> all;
    for (const Kind& kind : kKinds) all.push_back(kind.type);
    return all;
  }();
  return types;
}

std::string sample_event(const Sample& sample) {
  for (const Kind& kind : kKinds) {
    if (kind.type == sample.type) return Maker(sample).event(kind.object);
  }
  return {};
}

}  // namespace entitle::cli
