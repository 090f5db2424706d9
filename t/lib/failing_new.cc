// Preloaded into nginx by t/oom.t: operator new fails once in as many times as
// a file says. The file has two numbers of 32 bits in this machine's order: how
// many (0: never), and a seed. The test writes them while nginx runs, and every
// worker sees them at its next allocation.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

struct Order {
  std::atomic<std::uint32_t> once_in;
  std::atomic<std::uint32_t> seed;
};
Order* order = nullptr;

__attribute__((constructor)) void find_order() {
  const char* path = std::getenv("ENTITLE_OOM");
  if (path == nullptr) return;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) std::abort();
  void* memory = mmap(nullptr, sizeof(Order), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) std::abort();
  order = static_cast<Order*>(memory);
}

// xorshift: each worker its own sequence.
bool fails() {
  if (order == nullptr) return false;
  const std::uint32_t once_in = order->once_in;
  if (once_in == 0) return false;
  static std::uint64_t state = 0;
  if (state == 0) {
    state = (static_cast<std::uint64_t>(order->seed) << 32 |
             static_cast<std::uint32_t>(getpid())) *
            0x9e3779b97f4a7c15u;
  }
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 32) % once_in == 0;
}

// Whose memory it is: with AddressSanitizer its operator new, else libstdc++'s.
using New = void*(std::size_t);
using AlignedNew = void*(std::size_t, std::align_val_t);

template <class T>
T* next(const char* name) {
  return reinterpret_cast<T*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void* operator new(std::size_t size) {
  static New* const real = next<New>("_Znwm");
  if (fails()) throw std::bad_alloc();
  return real(size);
}

void* operator new(std::size_t size, std::align_val_t align) {
  static AlignedNew* const real = next<AlignedNew>("_ZnwmSt11align_val_t");
  if (fails()) throw std::bad_alloc();
  return real(size, align);
}
