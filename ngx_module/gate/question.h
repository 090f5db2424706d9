// The subrequest that asks the app who somebody is, one at a time.
// Its answer is kept from the client, and collected if it is wanted.
#pragma once

#include <string>

#include "ngx_module/gate/gate.h"

namespace entitle::ngx {

inline constexpr std::size_t kMaxAnswerBody = 65536;

struct Question {
    ngx_str_t uri;
    bool wants_body;  // else the headers say it all
};

// The question under way, a part of the gate.
class Asked {
  public:
    // NGX_AGAIN: under way; the request is run again when it is done().
    // NGX_ERROR: no memory, or too many subrequests.
    ngx_int_t ask(ngx_http_request_t* r, const Question& question);
    bool
    is_under_way() const {
        return request_ != nullptr;
    }
    bool
    done() const {
        return request_->done != 0;
    }
    // What it came to has been read.
    void
    end() {
        request_ = nullptr;
    }

    // Whether `r` is the question, or part of it.
    bool has(const ngx_http_request_t* r) const;
    // Of the header filter, and of the body filter of whatever has() it.
    void take_header(ngx_http_request_t* r);
    void take_body(ngx_http_request_t* r, ngx_chain_t* in) noexcept;

    // The answer, once done().
    ngx_http_request_t*
    request() const {
        return request_;
    }
    bool
    broken() const {
        return broken_;
    }
    bool
    body_complete() const {
        return body_complete_;
    }
    const std::string&
    body() const {
        return body_;
    }

  private:
    static ngx_int_t over(ngx_http_request_t* sr, void* data,
                          ngx_int_t rc) noexcept;
    void collect(const ngx_buf_t* buffer);

    ngx_http_request_t* request_ = nullptr;
    bool broken_ = false;
    bool body_complete_ = false;
    std::string body_;  // of the answer, when it is wanted
};

// Whether the gate's request waits for a question: its end runs the request
// again by itself.
bool waits_for_question(const Gate* gate);

}  // namespace entitle::ngx
