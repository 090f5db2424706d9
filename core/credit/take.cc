#include "core/credit/take.h"

#include <algorithm>
#include <utility>

#include "core/base/decimal.h"
#include "core/record/record.h"

namespace entitle {
namespace {

constexpr int kTries = 4;
// Near the end one who takes leaves some to the others.
constexpr std::int64_t kPartOfRest = 8;

std::string key_of(const CreditQuestion& question, UnixTime from) {
  return from == UnixTime{}
             ? question.keys.used(question.user, question.name)
             : question.keys.used(question.user, question.name, from);
}

void note(std::vector<PotUse>& uses, UnixTime from, std::int64_t taken) {
  auto at = std::find_if(uses.begin(), uses.end(),
                         [=](const PotUse& use) { return use.from == from; });
  if (at == uses.end()) at = uses.insert(uses.end(), {from, 0});
  at->taken = taken;
}

std::int64_t taken_of(const std::vector<PotUse>& uses, UnixTime from) {
  for (const PotUse& use : uses) {
    if (use.from == from) return use.taken;
  }
  return 0;
}

bool is_noted(const std::vector<PotUse>& uses, UnixTime from) {
  return std::any_of(uses.begin(), uses.end(),
                     [=](const PotUse& use) { return use.from == from; });
}

Reply failure(std::string why) {
  return {Reply::Type::error, 0, std::move(why), {}};
}

// Adds to a counter, which goes when its pot is long over. A number, or an
// error: then it may have been added all the same.
Conversation<Reply> add(const CreditQuestion& question, UnixTime from,
                        UnixTime until, std::int64_t credits) {
  const std::string key = key_of(question, from);
  Step step{key, {}};
  step.commands.push_back({"INCRBY", key, std::to_string(credits)});
  if (from != UnixTime{} && until < kForever - kCounterKept) {
    step.commands.push_back(
        {"EXPIREAT", key, std::to_string(to_unix(until + kCounterKept))});
  }
  const int replicas = question.wait.replicas;
  if (replicas > 0) {
    step.commands.push_back({"WAIT", std::to_string(replicas),
                             std::to_string(question.wait.time.count())});
    step.more_time = question.wait.time;
  }
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  for (const Reply& reply : replies) {
    if (reply.is_error()) co_return reply;
    if (reply.type != Reply::Type::integer) {
      co_return failure("INCRBY gave no number");
    }
  }
  if (replicas > 0 && replies.back().integer < replicas) {
    co_return failure(
        "written, but too few replicas said in time that they "
        "have it");
  }
  co_return std::move(replies.front());
}

// Lowers a counter, never below 0: what Redis has forgotten was not taken.
Conversation<Reply> give_back(const CreditQuestion& question,
                              CreditShare share) {
  auto lowering = add(question, share.from, share.until, -share.credits);
  Reply now = co_await lowering;
  if (now.is_error() || now.integer >= 0) co_return now;
  auto raising = add(question, share.from, share.until, -now.integer);
  Reply raised = co_await raising;
  co_return raised;
}

Conversation<Reply> read_record(const CreditQuestion& question) {
  const std::string key = question.keys.record(question.user);
  Exchange exchange(Step{key, {{"HGETALL", key}}});
  std::vector<Reply> replies = co_await exchange;
  co_return std::move(replies.front());
}

// How much to ask for of a pot.
std::int64_t portion(const CreditPot& pot, const CreditsTaken& taken,
                     std::int64_t missing, std::int64_t want) {
  if (!is_noted(taken.uses, pot.from)) return std::max(missing, want);
  const std::int64_t left =
      std::max<std::int64_t>(0, pot.put - taken_of(taken.uses, pot.from));
  return std::max(missing, std::min(want, left / kPartOfRest));
}

// Takes from one pot until `missing` is there or it is empty. Empty: well.
Conversation<std::string> take_from(const CreditQuestion& question,
                                    const CreditPot& pot, std::int64_t missing,
                                    std::int64_t want, CreditsTaken& taken) {
  CreditShare share{pot.from, pot.until, 0};
  std::int64_t asked = portion(pot, taken, missing, want);
  std::string error;
  for (int n = 0; n < kTries && share.credits < missing && asked > 0; ++n) {
    auto raising = add(question, pot.from, pot.until, asked);
    Reply raised = co_await raising;
    if (raised.is_error()) {
      error = raised.text;
      break;
    }
    const std::int64_t before =
        std::max<std::int64_t>(0, raised.integer - asked);
    const std::int64_t ours =
        std::clamp<std::int64_t>(pot.put - before, 0, asked);
    std::int64_t now = raised.integer;
    if (ours < asked) {
      auto lowering = give_back(question, {pot.from, pot.until, asked - ours});
      Reply lowered = co_await lowering;
      if (lowered.is_error()) {
        error = lowered.text;
      } else {
        now = lowered.integer;
      }
    }
    share.credits += ours;
    note(taken.uses, pot.from, now);
    if (!error.empty()) break;
    // Others gave back meanwhile what was theirs for a moment.
    asked = std::min(missing - share.credits, pot.put - now);
  }
  if (share.credits > 0) taken.shares.push_back(share);
  co_return error;
}

// What was let by, and what is not used after all.
Conversation<std::string> settle(const CreditQuestion& question,
                                 const CreditTaking& taking,
                                 CreditsTaken& taken) {
  for (const CreditShare& share : taking.back) {
    if (share.until != kForever && share.until + kCounterKept < question.now) {
      continue;  // its counter is gone
    }
    auto giving = give_back(question, share);
    Reply reply = co_await giving;
    if (reply.is_error()) co_return reply.text;
    note(taken.uses, share.from, reply.integer);
  }
  if (taking.debt > 0) {
    const CreditPot pot =
        taken.account.pots.empty() ? CreditPot{} : taken.account.pots.front();
    auto raising = add(question, pot.from, pot.until, taking.debt);
    Reply reply = co_await raising;
    if (reply.is_error()) co_return reply.text;
    note(taken.uses, pot.from, reply.integer);
  }
  taken.settled = true;
  co_return std::string();
}

std::optional<CreditAccount> account_in(const Reply& reply,
                                        const CreditQuestion& question) {
  const std::optional<Record> record = Record::decode(reply);
  if (!record) return std::nullopt;
  return credit_account(record->sources, *question.lines, question.policy,
                        question.now);
}

// Empty: well.
Conversation<std::string> read_counters(const CreditQuestion& question,
                                        CreditsTaken& taken) {
  if (taken.account.pots.empty()) co_return std::string();
  Step step{key_of(question, {}), {}};
  for (const CreditPot& pot : taken.account.pots) {
    step.commands.push_back({"GET", key_of(question, pot.from)});
  }
  Exchange exchange(std::move(step));
  std::vector<Reply> replies = co_await exchange;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const Reply& reply = replies[i];
    if (reply.is_error()) co_return reply.text;
    const std::string text = reply.is_nil() ? "0" : reply.text;
    const bool below = text.starts_with('-');  // for a moment, as it is lowered
    auto number = parse_decimal<std::int64_t>(below ? "0" : text);
    if (!number) {
      co_return std::string("the counter of credits is no number");
    }
    note(taken.uses, taken.account.pots[i].from, *number);
  }
  co_return std::string();
}

}  // namespace

std::int64_t sum(const std::vector<CreditShare>& shares) {
  std::int64_t sum = 0;
  for (const CreditShare& share : shares) sum += share.credits;
  return sum;
}

std::int64_t credits_left(const CreditAccount& account,
                          const std::vector<PotUse>& uses) {
  std::int64_t left = 0;
  for (const CreditPot& pot : account.pots) {
    left += std::max<std::int64_t>(
        0, pot.put - std::max<std::int64_t>(0, taken_of(uses, pot.from)));
  }
  return left;
}

Conversation<CreditsTaken> take_credits(CreditQuestion question,
                                        CreditTaking taking) {
  CreditsTaken taken;
  taken.uses = std::move(taking.uses);
  if (taking.account) {
    taken.account = *std::move(taking.account);
  } else {
    auto reading = read_record(question);
    Reply record = co_await reading;
    if (record.is_error() && !record.is_error("WRONGTYPE")) {
      taken.error = record.text;
      co_return taken;
    }
    std::optional<CreditAccount> account = account_in(record, question);
    if (!account) {
      taken.unreadable = true;
      taken.error = "the record cannot be read";
      co_return taken;
    }
    taken.account = *std::move(account);
    auto looking = read_counters(question, taken);
    taken.error = co_await looking;
    if (!taken.error.empty()) co_return taken;
  }
  auto settling = settle(question, taking, taken);
  taken.error = co_await settling;
  const std::vector<CreditPot> pots = taken.account.pots;
  for (const CreditPot& pot : pots) {
    const std::int64_t missing = taking.need - sum(taken.shares);
    if (!taken.error.empty() || missing <= 0) break;
    auto from_one = take_from(question, pot, missing,
                              taking.want - sum(taken.shares), taken);
    taken.error = co_await from_one;
  }
  co_return taken;
}

}  // namespace entitle
