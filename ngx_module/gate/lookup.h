// The record of who is asking, from the worker's cache.
#pragma once

#include "ngx_module/cache/record_cache.h"
#include "ngx_module/settings.h"

namespace entitle::ngx {

// As RecordCache::lookup, by what this location says. What is near may be
// known to be behind: then `of_primary`.
ngx_int_t record_lookup(ngx_http_request_t* r, RecordLookup& lookup,
                        const User& user, std::int64_t version_awaited,
                        bool of_primary);
// Stands for the user wherever changes are told.
Hash128 record_user(ngx_http_request_t* r, const User& user);

}  // namespace entitle::ngx
