// What this worker found in the zone lately, so that most hits take no lock. It
// is believed by the same rules, as if it had been found now; only the zone
// does not learn of it, so after some time it is looked for there.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "ngx_module/cache/zone.h"

namespace entitle::ngx {

class Lately {
  public:
    // Views live until the next keep().
    std::optional<Zone::Found>
    find(const Hash128& user) const {
        const Seen& seen = all_[place_of(user)];
        const bool counts = seen.user == user && !seen.packed.empty() &&
                            ngx_current_msec - seen.at < kCounts;
        return counts ? std::optional(Zone::Found{seen.stamp, seen.packed})
                      : std::nullopt;
    }

    void
    keep(const Hash128& user, const Zone::Found& found) {
        if (found.packed.size() <= kMostPacked) {
            Seen& seen = all_[place_of(user)];
            seen.packed.assign(found.packed);
            seen.user = user;
            seen.stamp = found.stamp;
            seen.at = ngx_current_msec;
        }
    }

  private:
    static constexpr ngx_msec_t kCounts = 10000;
    static constexpr std::size_t kMostPacked = 1024;

    struct Seen {
        Hash128 user;
        FillStamp stamp;
        ngx_msec_t at = 0;
        std::string packed;
    };

    static constexpr std::size_t kPlaces = 512;

    // One for all whose hashes meet here.
    static std::size_t
    place_of(const Hash128& user) {
        return user.high % kPlaces;
    }

    std::array<Seen, kPlaces> all_;
};

}  // namespace entitle::ngx
