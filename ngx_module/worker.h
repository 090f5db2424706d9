// What a worker owns at run time: its Redis client, its cache of records, who
// waits in it, the keys it has fetched. Configuration is read-only once it was
// read, so none of that is part of it.
//
// One Worker per configuration and process: a reload in a single process has
// two for a while. It is made, empty, with the configuration; the master never
// puts anything into it. A part is made at its first use, by the room that
// needs it, and goes when the worker exits or with the configuration's pool,
// the newest first: a part may hold on to those that were there before it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace entitle::ngx {

class Worker {
  public:
    Worker() = default;
    ~Worker() {
        end();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Null: there is none yet.
    template <class T>
    T*
    find() const noexcept {
        for (const Part& part : parts_) {
            if (part.kind == &kKind<T>) {
                return static_cast<T*>(part.object.get());
            }
        }
        return nullptr;
    }

    // While there is none. Throws what T's constructor throws, or
    // std::bad_alloc.
    template <class T, class... Args>
    T&
    make(Args&&... args) {
        auto object = std::make_unique<T>(std::forward<Args>(args)...);
        T& part = *object;
        parts_.push_back({&kKind<T>, {nullptr, destroy<T>}});
        parts_.back().object.reset(object.release());
        return part;
    }

    // One that needs nothing to be made of.
    template <class T>
    T&
    part() {
        T* known = find<T>();
        return known != nullptr ? *known : make<T>();
    }

    void end() noexcept;

  private:
    // Its address stands for the type.
    template <class T>
    static inline char kKind = 0;

    template <class T>
    static void
    destroy(void* object) {
        delete static_cast<T*>(object);
    }

    struct Part {
        const char* kind;
        std::unique_ptr<void, void (*)(void*)> object;
    };

    std::vector<Part> parts_;  // in the order they were made
};

// Any 64 bits, for pauses that should differ.
std::uint64_t random_bits();
// The worker was told to go: nothing is begun any more.
bool worker_quits();
// It was, and nothing is left for which it would have to hear what changes.
bool worker_is_done();

// While one of them is there, a worker that was told to go is not done.
class StillServing {
  public:
    StillServing() noexcept;
    ~StillServing();
    StillServing(const StillServing&) = delete;
    StillServing& operator=(const StillServing&) = delete;
};

}  // namespace entitle::ngx
