// The index of what opens nothing (docs/redis.md, `unmatched`): sources that
// are effective, so somebody paid, and that no `entitle_grant` knows. Who looks
// at it need not read every record.
//
// It is told after the record is written, and before a place is settled, so
// that a delivery that broke off is finished by the next one. How members come
// and go: core/delivery/listed.h.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/access/projection.h"
#include "core/delivery/options.h"
#include "core/delivery/parts.h"
#include "core/record/place.h"
#include "core/redis/conversation.h"
#include "core/source/source.h"

namespace entitle {

// Whether it is effective, now or soon by itself, and no grant knows any of its
// identifiers; or Stripe says a word of it that is not known, or not the one
// that is awaited.
bool opens_nothing(const Projection& projection,
                   const DeliveryOptions& options);
// Whether it is, and one does.
bool opens_something(const Projection& projection,
                     const DeliveryOptions& options);

using SourceIds = std::set<std::string>;

// Those that are paid and of which Stripe has not said what becomes of that.
SourceIds awaited(const Sources& sources);

// Those of `sources` that open nothing as one of the views sees it, and nothing
// as the others do. Views: one for each way in which what shares these keys is
// configured.
SourceIds opening_nothing(const Sources& sources,
                          std::span<const DeliveryOptions> views);

// Those of `ids` that are sessions in `target`'s record of subscriptions that
// are somebody else's, so that nothing more is heard of them there: of those of
// one place, as it is; or of all, and the delivery keeps them, too.
SourceIds owned_elsewhere(const Sources& sources, const SourceIds& ids,
                          std::string_view id, const Place& place,
                          const Target& target);
Conversation<SourceIds> owned_elsewhere(Delivery& delivery, Target target,
                                        Sources sources, SourceIds ids);

// By what an operator may ignore what is awaited as far as the event says: that
// is usual, so it is asked along with what is read anyway (Delivery::asked).
std::vector<std::string> names_to_ask_along(const Delivery& delivery,
                                            const Sources& said);

// Those of `ids` that an operator ignores; the delivery keeps them, too. What
// one of the views has a grant for is ignored as a whole only.
Conversation<SourceIds> ignored_of(Delivery& delivery, Sources sources,
                                   SourceIds ids,
                                   std::span<const DeliveryOptions> views);

// Whether an operator ignores all of these that somebody has paid for, and
// there is any. The delivery keeps which.
Conversation<bool> ignores_all_paid_for(Delivery& delivery, Sources sources,
                                        std::span<const DeliveryOptions> views);

// Which sources of a record that is to be written, or was, the index has to be
// told of; of those the ones that open nothing.
struct Indexing {
  SourceIds concerned;
  SourceIds in;
};
Indexing to_index(const Delivery& delivery, const PlaceReport& report,
                  const Sources& also);
// Writes that into the index, for whoever writes the record in the same
// transaction. Of what is concerned all but `in` leaves the index.
std::vector<Command> index_writes(const DeliveryOptions& options,
                                  const Target& target,
                                  const Indexing& indexing);

// Puts into the index what opens nothing in the record just written
// (`report.record`) and takes out what no longer does; `also` is looked at,
// too, whether or not it changed. What is ignored by name stays out.
Conversation<Progress> index_unmatched(Delivery& delivery, User user,
                                       const PlaceReport& report, Sources also);

// The same for what waits in a place that is nobody's.
Conversation<Progress> index_unmatched(Delivery& delivery, std::string place,
                                       Sources waiting);

// Takes out what waited in a place that has an owner now: it will never again
// have none.
Conversation<Progress> unindex(Delivery& delivery, std::string place,
                               Sources sources);

}  // namespace entitle
