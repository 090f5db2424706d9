// What any visitor can bring about at will is said aloud once a minute and
// worker, so that nobody fills the log.
//
//   static Seldom seldom;
//   seldom.error(log, "entitle: ...", ...);
#pragma once

#include <map>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

class Seldom {
  public:
    // Whether it was not said within the last minute.
    bool
    due() noexcept {
        constexpr ngx_msec_t minute = 60 * 1000;
        if (said_ && ngx_current_msec - at_ < minute) {
            return false;
        }
        said_ = true;
        at_ = ngx_current_msec;
        return true;
    }

    // An error; where it is not due, at `info`. (ngx_log_error() looks at its
    // level twice.)
    template <class... Arguments>
    void
    error(ngx_log_t* log, const char* format, Arguments... arguments) noexcept {
        const ngx_uint_t level = due() ? NGX_LOG_ERR : NGX_LOG_INFO;
        ngx_log_error(level, log, 0, format, arguments...);
    }

  private:
    bool said_ = false;
    ngx_msec_t at_ = 0;
};

// The same of each part of the configuration that it is about.
class SeldomAbout {
  public:
    bool
    due(const void* part) {
        return said_[part].due();
    }

  private:
    std::map<const void*, Seldom> said_;
};

}  // namespace entitle::ngx
