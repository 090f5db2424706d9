#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/delivery/at_once_plan.h"
#include "core/delivery/conclude.h"
#include "core/delivery/listed.h"
#include "core/delivery/lookup.h"
#include "core/delivery/options.h"
#include "core/record/keys.h"
#include "core/source/source.h"
#include "core/source/stripe_id.h"

namespace entitle::at_once {
namespace {

void write_place(Writes& writes, const Delivery& delivery,
                 const PlaceEdit& edit) {
  const DeliveryOptions& options = delivery.options;
  const std::string& id = edit.facts.place;
  std::vector<Command> commands =
      place_commands(options.keys, id, edit.before, edit.after);
  if (commands.empty() && edit.before.exists) {
    // As write_place() of the protocol.
    if (!is_customer(id)) {
      commands.push_back(keep_place(options.keys, id));
    } else if (options.touch_duplicates) {
      commands.push_back({"HSET", options.keys.place(id), "epoch",
                          std::to_string(edit.after.epoch)});
    }
  }
  writes.append(std::move(commands));
}

// What the record comes to; and its commands, of which the log's come last.
std::vector<Command> write_owners(Writes& writes, Plan& plan) {
  const DeliveryOptions& options = plan.delivery.options;
  PlaceReport& report = plan.report;
  RecordCause cause{plan.delivery.event, plan.own.facts.place,
                    plan.edit.logged_as};
  writes.record =
      write_record(options, *report.user, plan.record, report.record, cause);
  report.before = writes.record.before;
  report.after = writes.record.after;
  bool write = plan.edit.action == Edit::Action::write ||
               (plan.record.exists && options.touch_duplicates);
  if (!write) return {};
  report.record.version = writes.record.version;
  report.record.exists = true;
  std::vector<Command>& commands = writes.record.commands;
  auto log =
      commands.end() - static_cast<std::ptrdiff_t>(writes.record.for_log);
  std::vector<Command> for_log(std::make_move_iterator(log),
                               std::make_move_iterator(commands.end()));
  commands.erase(log, commands.end());
  writes.append(std::move(commands));
  return for_log;
}

// The lists that the place is on, or shall be: of parked ones, and the index.
void write_lists(Writes& writes, const Plan& plan, bool park) {
  const DeliveryOptions& options = plan.delivery.options;
  const PlaceEdit& own = plan.own;
  const std::string parked = options.keys.parked();
  Members unlisted;
  for (const PlaceEdit& part : plan.parts) {
    if (part.before.exists) unlisted.insert(part.facts.place);
  }
  bool repeated =
      plan.report.known || !plan.delivery.speaks_of(own.facts.sources);
  bool has_all = plan.report.user && own.after.sources.empty();
  if (own.before.exists && has_all && (plan.settles || repeated)) {
    unlisted.insert(own.facts.place);
    Members waited;
    const Target as_place = Target::of_place(own.facts.place);
    for (const Sources* some : {&own.facts.sources, &own.before.sources}) {
      for (const auto& [id, source] : *some) {
        waited.insert(unmatched_member(as_place, id));
      }
    }
    writes.append(to_take_off(options.keys.unmatched(), waited));
  }
  writes.append(to_take_off(parked, unlisted));
  if (park) {
    writes.append(to_put_on(parked, {own.facts.place}, seconds_of(options)));
  }
  writes.append(index_writes(options, plan.indexed, plan.indexing));
}

}  // namespace

Writes all_writes(Plan& plan, bool park) {
  Writes writes;
  std::vector<Command> for_log;
  for (const PlaceEdit& part : plan.parts) {
    write_place(writes, plan.delivery, part);
  }
  write_place(writes, plan.delivery, plan.own);
  if (plan.report.user) for_log = write_owners(writes, plan);
  conclude(plan.delivery, plan.facts, plan.report);
  std::vector<LookupWrite> lookups =
      lookup_writes(plan.delivery, plan.facts, plan.report);
  for (LookupWrite& lookup : lookups) {
    if (lookup.needed == nullptr) continue;
    writes.lookups.emplace_back(writes.commands.size(), lookup.needed);
    writes.append(std::move(lookup.commands));
  }
  writes.log = writes.commands.size();
  writes.append(std::move(for_log));
  writes.others = writes.commands.size();
  write_lists(writes, plan, park);
  for (LookupWrite& lookup : lookups) {
    if (lookup.needed == nullptr) writes.append(std::move(lookup.commands));
  }
  return writes;
}

std::string said_of(const Plan& plan, const Writes& writes,
                    const CommitReply& reply) {
  if (reply.status == Commit::committed && reply.at < writes.others) {
    return "log " + plan.delivery.options.keys.log(*plan.report.user) +
           " cannot be written: " + reply.error;
  }
  if (reply.status == Commit::committed) {
    return "the lists of what waits or opens nothing were not written: " +
           reply.error;
  }
  std::string said;
  for (const auto& [from, name] : writes.lookups) {
    if (reply.at >= from) said = std::string(name) + ": ";
  }
  return said + reply.error;
}

}  // namespace entitle::at_once
