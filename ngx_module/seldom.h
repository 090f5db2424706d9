// What any visitor can bring about at will is said aloud once a minute and
// worker, so that nobody fills the log; and how often it was not.
//
//   static Seldom seldom;
//   seldom.error(log, "entitle: ...", ...);
#pragma once

#include <map>
#include <utility>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

class Seldom {
  public:
    // `at_once`: so many are said before it is once a minute.
    constexpr explicit Seldom(ngx_uint_t at_once = 1) noexcept
        : at_once_(at_once) {}

    // Whether it was not said within the last minute, or not `at_once` times.
    bool
    due() noexcept {
        constexpr ngx_msec_t minute = 60 * 1000;
        if (said_ == 0 || ngx_current_msec - at_ >= minute) {
            said_ = 0;
            at_ = ngx_current_msec;
        } else if (said_ >= at_once_) {
            left_out_++;
            return false;
        }
        said_++;
        return true;
    }

    // At `level`; where it is not due, at `info`. (ngx_log_error() looks at its
    // level twice.) True: it was due.
    template <class... Arguments>
    bool
    say(ngx_uint_t level, ngx_log_t* log, const char* format,
        Arguments... arguments) noexcept {
        const bool is_due = due();
        const ngx_uint_t how = is_due ? level : NGX_LOG_INFO;
        const ngx_uint_t missed = is_due ? std::exchange(left_out_, 0) : 0;
        if (missed != 0) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "entitle: %ui lines like the next one were left out",
                          missed);
        }
        ngx_log_error(how, log, 0, format, arguments...);
        return is_due;
    }
    template <class... Arguments>
    void
    error(ngx_log_t* log, const char* format, Arguments... arguments) noexcept {
        say(NGX_LOG_ERR, log, format, arguments...);
    }

  private:
    ngx_uint_t at_once_;
    ngx_uint_t said_ = 0;  // since at_
    ngx_uint_t left_out_ = 0;
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
