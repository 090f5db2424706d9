// What the features of the gate know of one request: each has a type of its
// own, that no other feature's file sees.
//
// A part is made at its first use and undoes in its destructor whatever it
// began. It goes when the request ends, the newest first. One that has a
// leave() is wanted by the log as well: leave() ends it then, and it goes with
// the request's pool.
#pragma once

#include <new>
#include <utility>

#include "ngx_module/nginx.h"

namespace entitle::ngx {

class Parts {
  public:
    explicit Parts(ngx_pool_t* pool) : pool_(pool) {}
    ~Parts() {
        while (newest_ != nullptr) {
            Part* part = newest_;
            newest_ = part->older;
            part->~Part();
        }
    }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    // Null: there is none yet.
    template <class T>
    T*
    find() const noexcept {
        for (Part* part = newest_; part != nullptr; part = part->older) {
            if (part->kind == &kKind<T>) {
                return &static_cast<Of<T>*>(part)->object;
            }
        }
        return nullptr;
    }

    // While there is none. Throws what T's constructor throws, or
    // std::bad_alloc.
    template <class T, class... Args>
    T&
    make(Args&&... args) {
        static_assert(alignof(Of<T>) <= NGX_ALIGNMENT);
        void* place = ngx_palloc(pool_, sizeof(Of<T>));
        if (place == nullptr) {
            throw std::bad_alloc();
        }
        auto* part = new (place) Of<T>(std::forward<Args>(args)...);
        part->kind = &kKind<T>;
        part->older = newest_;
        newest_ = part;
        return part->object;
    }

    // The request ends.
    void
    leave() noexcept {
        for (Part** at = &newest_; *at != nullptr;) {
            Part* part = *at;
            if (part->leave()) {
                at = &part->older;
            } else {
                *at = part->older;
                part->~Part();
            }
        }
    }

  private:
    // Its address stands for the type.
    template <class T>
    static inline char kKind = 0;

    struct Part {
        Part() = default;
        virtual ~Part() = default;
        Part(const Part&) = delete;
        Part& operator=(const Part&) = delete;
        // False: it is not wanted any longer.
        virtual bool leave() noexcept = 0;

        const char* kind = nullptr;
        Part* older = nullptr;
    };

    template <class T>
    struct Of final : Part {
        template <class... Args>
        explicit Of(Args&&... args) : object(std::forward<Args>(args)...) {}

        bool
        leave() noexcept override {
            if constexpr (requires { object.leave(); }) {
                object.leave();
                return true;
            }
            return false;
        }

        T object;
    };

    ngx_pool_t* pool_;
    Part* newest_ = nullptr;
};

}  // namespace entitle::ngx
