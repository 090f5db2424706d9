// entitlectl setup: what a shop needs at Stripe and in nginx's configuration.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "cli/base/stop.h"
#include "cli/base/text.h"
#include "cli/check/check.h"
#include "cli/command/stripe.h"
#include "cli/stripe/list.h"
#include "core/base/ascii.h"
#include "core/base/utf8.h"
#include "core/stripe/object.h"

namespace entitle::cli {
namespace {

constexpr std::string_view kPermissions[] = {
    "rak_charge_read",       "rak_checkout_session_read",
    "rak_customer_read",     "rak_dispute_read",
    "rak_event_read",        "rak_invoice_read",
    "rak_plan_read",         "rak_product_read",
    "rak_subscription_read", "rak_webhook_write",
};

std::string key_link(Mode mode) {
  std::string link = "https://dashboard.stripe.com/";
  if (mode == Mode::test) link += "test/";
  link += "apikeys/create?name=entitlectl";
  for (const std::string_view permission : kPermissions) {
    link += "&permissions%5B%5D=";
    link += permission;
  }
  return link;
}

struct Product {
  std::string name;
  std::vector<std::string> prices;
};

struct Found {
  std::string endpoint;  // its id; empty: there is none
  std::vector<std::string> missing;
  std::string secret_file;  // where the new one's secret is
  bool made = false;
  std::map<std::string, Product> products;  // by id: those that are sold
};

// A name for an entitlement: "Pro (yearly)" is pro-yearly.
std::string slug(std::string_view name, const std::string& otherwise) {
  std::string out;
  for (const char c : lower_case(name)) {
    if (is_alphanumeric(c)) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? otherwise : out;
}

void find_endpoint(StripeApi& stripe, const std::string& url, Found& found) {
  StripeList list(stripe, "/v1/webhook_endpoints", "");
  while (auto page = list.next()) {
    for (const json::Node* one : page->members) {
      if (json::string(one, "url") != url || !found.endpoint.empty()) continue;
      found.endpoint = stripe::id(one, "id");
      found.missing = missing_types(one);
    }
  }
}

void find_products(StripeApi& stripe, Found& found) {
  StripeList list(stripe, "/v1/prices", "active=true&expand[]=data.product&");
  while (auto page = list.next()) {
    for (const json::Node* price : page->members) {
      const std::string id(stripe::id(price, "product"));
      const json::Node* product = json::member(price, "product");
      Product& sold = found.products[id];
      sold.name = json::string(product, "name");
      sold.prices.emplace_back(json::string(price, "id"));
    }
  }
}

// Nobody but its owner reads it, and what is there is not written over.
void keep_secret(const std::string& file, std::string_view secret) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const std::string line = std::string(secret) + '\n';
  const bool kept = fd >= 0 && write(fd, line.data(), line.size()) ==
                                   static_cast<ssize_t>(line.size());
  if (fd >= 0) close(fd);
  if (kept) return;
  throw Stop(Exit::cannot_tell,
             fmt::format("the endpoint is made, and its secret cannot be "
                         "written to \"{}\": reveal it in Stripe's dashboard",
                         printable(file)));
}

void make_endpoint(StripeApi& stripe, const std::string& url,
                   const SetupOptions& options, Found& found) {
  if (options.secret_file.empty()) {
    throw Stop(Exit::usage,
               "--yes needs --secret-file FILE: Stripe shows the secret once, "
               "and it is appended there");
  }
  std::vector<std::pair<std::string, std::string>> form{
      {"url", url}, {"api_version", std::string(StripeApi::kVersion)}};
  for (const std::string_view type : wanted_types()) {
    form.emplace_back("enabled_events[]", type);
  }
  const StripeReply reply = stripe.post("/v1/webhook_endpoints", form);
  const json::Node* root = reply.document.root();
  found.endpoint = stripe::id(root, "id");
  keep_secret(options.secret_file, json::string(root, "secret"));
  found.secret_file = options.secret_file;
  found.made = true;
}

std::string grant_line(const std::string& id, const Product& product) {
  return fmt::format("entitle_grant {} {};", slug(product.name, id), id);
}

std::string text_of(const Context& context, const std::string& url,
                    const Found& found) {
  std::string text;
  if (found.made) {
    text += fmt::format("Made the endpoint {} for {}; its secret is in {}.\n",
                        found.endpoint, url, printable(found.secret_file));
  } else if (found.endpoint.empty()) {
    text += fmt::format(
        "Stripe has no endpoint for {}. It wants these events:\n", url);
    for (const std::string_view type : wanted_types()) {
      text += fmt::format("    {}\n", type);
    }
    text += "-> " +
            context.command("setup --url " + shell_word(url) +
                            " --secret-file FILE --yes") +
            " makes it, with a key that may write webhooks\n";
  } else if (!found.missing.empty()) {
    text += fmt::format("The endpoint {} for {} lacks:\n", found.endpoint, url);
    for (const std::string& type : found.missing) text += "    " + type + '\n';
    text += "-> " + context.command("check --stripe --fix") + " adds them\n";
  } else {
    text += fmt::format("The endpoint {} for {} has all that decides.\n",
                        found.endpoint, url);
  }
  text += "\nIn nginx's configuration, http{} or server{}:\n\n";
  for (const auto& [id, product] : found.products) {
    text +=
        fmt::format("    {}  # {}: {}\n", grant_line(id, product),
                    printable(product.name), printable(listed(product.prices)));
  }
  if (found.products.empty()) text += "    # no price is active at Stripe\n";
  return text +
         fmt::format(
             "\n    location = /stripe {{\n"
             "        entitle_webhook {};\n"
             "        entitle_webhook_secret_file {};\n"
             "        client_max_body_size 1m;\n    }}\n",
             name(context.mode()),
             found.secret_file.empty() ? "FILE" : printable(found.secret_file));
}

std::string json_of(const Context& context, const std::string& url,
                    const Found& found) {
  std::string text;
  json::Writer out(text);
  out.begin_object();
  write_space(out, context);
  out.text("key", key_link(context.mode())).text("url", url);
  if (!found.endpoint.empty()) out.text("endpoint", found.endpoint);
  out.boolean("made", found.made).key("missing").strings(found.missing);
  out.key("grants").begin_array();
  for (const auto& [id, product] : found.products) {
    out.string(grant_line(id, product));
  }
  out.end_array().end_object();
  return text;
}

}  // namespace

Answer setup(const Context& context, const SetupOptions& options,
             bool as_json) {
  const std::string url =
      options.url.empty() ? webhook_url(context) : options.url;
  if (!url.starts_with("https://") && !url.starts_with("http://")) {
    throw Stop(Exit::usage,
               "setup takes the URL that Stripe shall send to: --url "
               "https://example.com/stripe");
  }
  std::optional<StripeApi> stripe;
  try {
    stripe.emplace(options.stripe);
  } catch (const Stop& stop) {
    throw Stop(stop.how(),
               fmt::format("{}\nA restricted key with what is needed makes\n"
                           "    {}\nand nobody else should be able to read "
                           "its file: --stripe-key-file FILE",
                           stop.what(), key_link(context.mode())));
  }
  if (stripe->key().mode() != context.mode()) {
    throw Stop(Exit::refused,
               fmt::format("the key from {} is of mode {}, and this is {}",
                           stripe->key().from(), name(stripe->key().mode()),
                           context.space()));
  }
  Found found;
  find_endpoint(*stripe, url, found);
  find_products(*stripe, found);
  if (found.endpoint.empty() && options.yes) {
    make_endpoint(*stripe, url, options, found);
  }
  Answer answer;
  answer.how = found.endpoint.empty() || !found.missing.empty() ? Exit::found
                                                                : Exit::fine;
  answer.text =
      as_json ? json_of(context, url, found) : text_of(context, url, found);
  return answer;
}

}  // namespace entitle::cli
