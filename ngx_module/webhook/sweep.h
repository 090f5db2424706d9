// The lists of what people are told of are looked through now and then
// (core/delivery/sweep.h): soon after a start or reload, which is when a grant
// may have been added, and then every few minutes, some members a second.
//
// One worker does it, of every node. Redis being away only makes it later. All
// timers are cancelable.
#pragma once

#include "ngx_module/settings.h"

namespace entitle::ngx {

// In a worker that has just started; others than the first do nothing.
void sweep_begin(const MainConf* conf) noexcept;

}  // namespace entitle::ngx
