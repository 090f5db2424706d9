#include "ngx_module/status/ask.h"

#include <utility>

#include "core/base/decimal.h"
#include "core/record/keys.h"
#include "core/redis/warnings.h"
#include "ngx_module/edge.h"
#include "ngx_module/webhook/spaces.h"

namespace entitle::ngx {

namespace {

std::vector<SpaceStatus>
all_spaces() {
    std::vector<SpaceStatus> spaces;
    for (const PrefixServers& one : servers_by_prefix()) {
        for (const Mode mode : {Mode::live, Mode::test}) {
            SpaceStatus& space = spaces.emplace_back();
            space.prefix = one.prefix;
            space.mode = mode;
        }
    }
    return spaces;
}

WaitingList
told_of_list(const std::vector<Reply>& replies) {
    WaitingList list;
    for (const Reply& reply : replies) {
        if (reply.is_error()) {
            list.error = reply.text;
            return list;
        }
    }
    list.count = replies.front().integer;
    const std::vector<Reply>& oldest = replies.back().elements;
    if (oldest.size() == 2) {
        list.oldest = parse_decimal<std::int64_t>(oldest[1].text);
    }
    return list;
}

}  // namespace

SpacesAsked::SpacesAsked(const MainConf* conf, Done done, void* data)
    : conf_(conf), done_(done), data_(data) {
    exchange_.done = on_replies;
    exchange_.data = this;
}

bool
SpacesAsked::begin() {
    redis_cancel(&exchange_);
    spaces_ = all_spaces();
    asked_ = 0;
    reachable_ = false;
    replication_ = {};
    replication_.counted = conf_->replica_wait;
    asks_replicas_ = replication_.counted != 0;
    return ask();
}

// Four questions a space, and one about the primary of the first.
bool
SpacesAsked::ask() {
    const SpaceStatus& space = spaces_[asked_ / kQuestions];
    const Keys keys(space.prefix, space.mode);
    if (asks_replicas_) {
        exchange_.key = keys.parked();
        exchange_.commands = {{"INFO", "replication"}};
    } else {
        switch (static_cast<Question>(asked_ % kQuestions)) {
            case Question::parked:
                ask_about_list(keys.parked());
                break;
            case Question::unmatched:
                ask_about_list(keys.unmatched());
                break;
            case Question::webhook:
                exchange_.key = keys.webhook();
                exchange_.commands = {{"HGETALL", exchange_.key}};
                break;
            case Question::reconcile:
                exchange_.key = keys.reconcile();
                exchange_.commands = {{"GET", exchange_.key}};
                break;
        }
    }
    exchange_.replies.clear();
    return redis_send(conf_, &exchange_) == NGX_OK;
}

void
SpacesAsked::ask_about_list(std::string key) {
    exchange_.commands = {{"ZCARD", key},
                          {"ZRANGE", key, "0", "0", "WITHSCORES"}};
    exchange_.key = std::move(key);
}

void
SpacesAsked::take(const std::vector<Reply>& replies) {
    const Reply& reply = replies.front();
    if (std::exchange(asks_replicas_, false)) {
        if (reply.type == Reply::Type::string) {
            replication_.replicas = connected_replicas(reply.text);
        } else {
            replication_.counted = 0;  // it may not be asked
        }
        return;
    }
    SpaceStatus& space = spaces_[asked_ / kQuestions];
    switch (static_cast<Question>(asked_++ % kQuestions)) {
        case Question::parked:
            space.parked = told_of_list(replies);
            break;
        case Question::unmatched:
            space.unmatched = told_of_list(replies);
            break;
        case Question::webhook:
            for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
                space.webhook.emplace_back(reply.elements[i].text,
                                           reply.elements[i + 1].text);
            }
            break;
        case Question::reconcile:
            if (reply.type == Reply::Type::string) {
                space.reconcile = reply.text;
            }
            break;
    }
}

bool
SpacesAsked::next(RedisStatus status) {
    if (status != RedisStatus::ok ||
        exchange_.replies.size() != exchange_.commands.size()) {
        return true;
    }
    take(exchange_.replies);
    reachable_ = asked_ == kQuestions * spaces_.size();
    return reachable_ || !ask();
}

void
SpacesAsked::on_replies(RedisExchange* exchange, RedisStatus status) noexcept {
    auto* self = static_cast<SpacesAsked*>(exchange->data);
    const bool done =
        edge::guard([=] { return self->next(status); },
                    [](const std::exception& error) noexcept {
                        edge::say(ngx_cycle->log, "the status failed", error);
                        return true;
                    });
    if (done) {
        self->done_(self->data_);
    }
}

}  // namespace entitle::ngx
