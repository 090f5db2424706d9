// A conversation with Redis as a coroutine that does no I/O.
//
// It yields steps and is resumed with their replies, so nginx drives it from
// its event loop, the command-line tool from a blocking loop, and the tests
// from a table, one command at a time, in any interleaving they like.
//
//   Conversation<DeliveryResult> talk = deliver(...);
//   while (const Step* step = talk.next()) talk.resume(send(*step));
//   use(talk.result());
//
// A Conversation may be destroyed at any moment (client gone, Redis gone):
// what Redis was told stays told, and the protocol's next delivery finishes it.
//
// Inside a Conversation, what is awaited is a named local, never a temporary
// (g++ 12 destroys some temporaries of co_await expressions twice):
//
//   Exchange ask(Step{key, {{"HGETALL", key}}});
//   std::vector<Reply> replies = co_await ask;
#pragma once

#include <chrono>
#include <coroutine>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/redis/reply.h"

namespace entitle {

// Commands to send in one write, in order, on the conversation's own
// connection (it holds WATCH state from the first step to the last).
struct Step {
  std::string key;  // the key all commands touch: names the Cluster slot
  std::vector<Command> commands;
  std::chrono::milliseconds pause{0};  // wait this long before sending
  // Redis may take this much longer to answer than it usually does.
  std::chrono::milliseconds more_time{0};
};

namespace detail {

// What the innermost running coroutine waits for, shared along the chain.
struct Channel {
  Step* step = nullptr;
  std::vector<Reply>* replies = nullptr;
  std::coroutine_handle<> innermost;
};

struct PromiseBase {
  Channel own;
  Channel* channel = &own;
  std::coroutine_handle<> caller;
  std::exception_ptr error;

  PromiseBase() = default;
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> h) noexcept {
      if (h.promise().caller) return h.promise().caller;
      return std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() { error = std::current_exception(); }
};

}  // namespace detail

// Awaited inside a Conversation, gives the step's replies, one per command, in
// order.
class Exchange {
 public:
  explicit Exchange(Step step) : step_(std::move(step)) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> h) noexcept {
    detail::Channel* channel = h.promise().channel;
    channel->step = &step_;
    channel->replies = &replies_;
    channel->innermost = h;
  }
  std::vector<Reply> await_resume() { return std::move(replies_); }
  const Step& step() const { return step_; }

 private:
  Step step_;
  std::vector<Reply> replies_;
};

template <class T>
class [[nodiscard]] Conversation {
 public:
  struct promise_type : detail::PromiseBase {
    std::optional<T> value;
    Conversation get_return_object() {
      return Conversation(
          std::coroutine_handle<promise_type>::from_promise(*this));
    }
    void return_value(T v) { value.emplace(std::move(v)); }
  };

  Conversation(Conversation&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        started_(other.started_) {}
  Conversation& operator=(Conversation&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(started_, other.started_);
    return *this;
  }
  ~Conversation() {
    if (handle_) handle_.destroy();
  }

  // The step to send now, or null when the conversation is over. The step
  // stays where it is until resume().
  const Step* next() { return step(); }
  // The same, to move the commands out of while they are sent: they are wanted
  // back before resume().
  Step* step() {
    if (!started_) {
      started_ = true;
      handle_.resume();
    }
    return handle_.promise().channel->step;
  }
  // `replies` answers next()'s commands, one each.
  void resume(std::vector<Reply> replies) {
    detail::Channel* channel = handle_.promise().channel;
    *channel->replies = std::move(replies);
    channel->step = nullptr;
    channel->innermost.resume();
  }
  // Only once next() is null. Throws what the conversation threw.
  T& result() {
    if (handle_.promise().error) {
      std::rethrow_exception(handle_.promise().error);
    }
    return *handle_.promise().value;
  }

  // Awaiting a conversation inside another runs it on the same channel.
  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(
      std::coroutine_handle<P> caller) noexcept {
    handle_.promise().caller = caller;
    handle_.promise().channel = caller.promise().channel;
    return handle_;
  }
  T await_resume() { return std::move(result()); }

 private:
  explicit Conversation(std::coroutine_handle<promise_type> h) : handle_(h) {}
  std::coroutine_handle<promise_type> handle_;
  bool started_ = false;
};

}  // namespace entitle
