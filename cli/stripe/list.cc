#include "cli/stripe/list.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/base/stop.h"
#include "core/stripe/object.h"

namespace entitle::cli {

StripeList::StripeList(StripeApi& api, std::string resource, std::string query,
                       std::string after)
    : api_(api), resource_(std::move(resource)), query_(std::move(query)) {
  if (!after.empty()) cursors_.push_back(std::move(after));
}

std::string StripeList::path() const {
  std::string path = resource_ + '?' + query_ + "limit=100";
  if (!cursors_.empty()) {
    path += "&starting_after=" + url_encoded(cursors_.back());
  }
  return path;
}

std::optional<StripeList::Page> StripeList::next() {
  if (over_) return std::nullopt;
  std::optional<StripeReply> reply;
  while (!(reply = api_.find(path(), "starting_after"))) {
    if (!cursors_.empty()) cursors_.pop_back();
    if (!cursors_.empty()) continue;
    // What was looked at before is looked at again, which changes nothing.
    if (begun_anew_) {
      throw Stop(Exit::cannot_tell,
                 fmt::format("Stripe's list changes faster than it can be "
                             "read, asked for {}",
                             path()));
    }
    begun_anew_ = true;
  }
  Page page{*std::move(reply), {}, {}};
  const json::Node* root = page.reply.document.root();
  const json::Node* data = json::member(root, "data");
  const std::optional<bool> more = json::boolean(root, "has_more");
  if (json::string(root, "object") != "list" || !json::is_array(data) ||
      !more) {
    throw Stop(Exit::cannot_tell,
               fmt::format("no list of Stripe's, asked for {}", path()));
  }
  std::vector<std::string> ids;
  for (const json::Node* member : json::Children(data)) {
    page.members.push_back(member);
    ids.emplace_back(stripe::id(member, "id"));
  }
  const bool same =
      !ids.empty() && !cursors_.empty() && ids.back() == cursors_.back();
  if (*more && (ids.empty() || ids.back().empty() || same)) {
    throw Stop(Exit::cannot_tell,
               fmt::format("Stripe's list goes on without an id, asked for {}",
                           path()));
  }
  if (!ids.empty()) {
    page.last = ids.back();
    cursors_ = std::move(ids);
  }
  over_ = !*more;
  return page;
}

}  // namespace entitle::cli
