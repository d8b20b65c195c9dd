#include "core/memory.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/threads.h"

namespace pyconv {
namespace {

constexpr size_t smallest = 64;
constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t largest = size_t{1} << 46;

// Eight classes per power of two: 64, 72, 80, ..., 120, 128, 144, ... bytes.
int class_of(size_t bytes) {
  if (bytes <= smallest) return 0;
  const int power = 63 - __builtin_clzll(bytes - 1);  // bytes is in (2^power, 2^(power+1)]
  const int step = static_cast<int>((bytes - 1) >> (power - 3)) & 7;
  return (power - 6) * 8 + step + 1;
}

size_t size_of(int size_class) {
  const int power = 6 + size_class / 8;
  return (size_t{1} << power) + (size_t(size_class % 8) << (power - 3));
}

// The address of something that each thread has for itself.
const void* this_thread() {
  static thread_local const char here = 0;
  return &here;
}

struct FreeBlock {
  void* data;
  const void* released_by;
};

struct FreeList {
  std::vector<FreeBlock> blocks;
  uint64_t last_use = 0;

  // The last block, or one shortly before that this thread released: its core's cache holds parts
  // of that, while those of another core's would have to be fetched from there.
  void* take() {
    constexpr size_t look_at = 8;
    const size_t n = blocks.size();
    size_t i = n - 1;
    for (size_t back = 0; back < std::min(n, look_at); ++back)
      if (blocks[n - 1 - back].released_by == this_thread()) {
        i = n - 1 - back;
        break;
      }
    void* const block = blocks[i].data;
    blocks.erase(blocks.begin() + static_cast<int64_t>(i));
    return block;
  }
};

int64_t physical_bytes() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  int64_t limit = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit) bytes = std::min(bytes, limit);
  return bytes;
}

// sysconf may tell the sum of several caches. And of a cache of hundreds of MiB a virtual machine
// with a few cores has a share of a size unknown: 100 MiB are copied there at half the speed,
// unless they are written past it.
int64_t last_cache_bytes() {
  constexpr int64_t most = 32 << 10;
  int64_t kibibytes = 0;
  std::ifstream("/sys/devices/system/cpu/cpu0/cache/index3/size") >> kibibytes;  // "32768K"
  return (kibibytes > 0 ? std::min(kibibytes, most) : most) << 10;
}

// The cache is locked for some tens of nanoseconds. Who meets another thread there spins at first:
// to sleep and to be woken costs a thousand times as much.
class Lock {
 public:
  explicit Lock(std::mutex& mutex) : mutex_(mutex) {
    for (int spins = 0; spins < 1000; ++spins) {
      if (mutex_.try_lock()) return;
      pause();
    }
    mutex_.lock();
  }
  ~Lock() { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::mutex& mutex_;
};

struct Cache {
  std::mutex mutex;
  std::vector<FreeList> lists{static_cast<size_t>(class_of(largest)) + 1};
  uint64_t clock = 0;
  MemoryStats stats{0, 0, 0, physical_bytes() / 4, 0, 0};
  std::unordered_set<void*> rehearsed;  // blocks of rehearsals

  void count_live(int64_t bytes) {
    stats.allocated_bytes += bytes;
    stats.peak_bytes = std::max(stats.peak_bytes, stats.allocated_bytes);
  }

  // Frees blocks of the class longest unused until the bound holds.
  void trim(int64_t bound) {
    while (stats.cached_bytes > bound) {
      FreeList* oldest = nullptr;
      for (auto& list : lists)
        if (!list.blocks.empty() && (!oldest || list.last_use < oldest->last_use)) oldest = &list;
      std::free(oldest->blocks.back().data);
      oldest->blocks.pop_back();
      stats.cached_bytes -= static_cast<int64_t>(size_of(static_cast<int>(oldest - lists.data())));
    }
  }
};

// Never destroyed: arrays may outlive this module's static data. Locked across fork, so that a
// child of a process with many threads finds it consistent.
Cache& cache() {
  static Cache* const instance = [] {
    static Cache* made = new Cache;
    pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); },
                   [] { made->mutex.unlock(); });
    return made;
  }();
  return *instance;
}

void* from_system(size_t bytes) {
  const size_t alignment = bytes >= huge_page ? huge_page : smallest;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, rounded);
#if defined(__linux__)
  if (block && bytes >= huge_page) madvise(block, rounded, MADV_HUGEPAGE);
#endif
  return block;
}

thread_local std::optional<Rehearsal> own_rehearsal;
thread_local KeptScratch* kept = nullptr;
constexpr size_t mapped = size_t{1} << 16;  // rehearsed blocks from here on are mapped

void* rehearsed_block(size_t bytes) {
  void* block = nullptr;
  if (bytes >= mapped) {
    block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
  } else {
    block = from_system(bytes);
    if (!block) throw std::bad_alloc();
    std::memset(block, 0, bytes);
  }
  const Lock lock(cache().mutex);
  cache().rehearsed.insert(block);
  own_rehearsal->now += static_cast<int64_t>(bytes);
  own_rehearsal->peak = std::max(own_rehearsal->peak, own_rehearsal->now);
  return block;
}

void release_rehearsed(void* block, size_t bytes) {
  if (bytes >= mapped)
    munmap(block, bytes);
  else
    std::free(block);
  if (own_rehearsal) own_rehearsal->now -= static_cast<int64_t>(bytes);
}

}  // namespace

void begin_rehearsal() { own_rehearsal.emplace(); }

int64_t end_rehearsal() {
  const int64_t peak = own_rehearsal ? own_rehearsal->peak : 0;
  own_rehearsal.reset();
  return peak;
}

Rehearsal* rehearsal() { return own_rehearsal ? &*own_rehearsal : nullptr; }

KeptScratch::KeptScratch() { kept = this; }

KeptScratch::~KeptScratch() {
  kept = nullptr;
  for (int i = 0; i < count_; ++i) release(blocks_[i].data, blocks_[i].bytes);
}

void* Scratch::take(size_t bytes) {
  for (int i = kept ? kept->count_ - 1 : -1; i >= 0; --i) {
    const auto block = kept->blocks_[i];
    if (class_of(block.bytes) != class_of(bytes)) continue;
    kept->blocks_[i] = kept->blocks_[--kept->count_];
    return block.data;
  }
  return allocate(bytes);
}

void Scratch::give_back(void* block, size_t bytes) {
  if (kept && kept->count_ < kept->most_blocks && bytes <= kept->most_bytes)
    kept->blocks_[kept->count_++] = {block, bytes};
  else
    release(block, bytes);
}

void* allocate(size_t bytes) {
  if (bytes > largest) throw std::bad_alloc();
  const int size_class = class_of(bytes);
  const size_t rounded = size_of(size_class);
  if (own_rehearsal) return rehearsed_block(rounded);
  Cache& c = cache();
  {
    const Lock lock(c.mutex);
    FreeList& list = c.lists[size_class];
    list.last_use = ++c.clock;
    if (!list.blocks.empty()) {
      void* const block = list.take();
      c.stats.cached_bytes -= static_cast<int64_t>(rounded);
      ++c.stats.hits;
      c.count_live(static_cast<int64_t>(rounded));
      return block;
    }
  }
  void* block = from_system(rounded);
  if (!block) {
    empty_cache();
    block = from_system(rounded);
    if (!block) throw std::bad_alloc();
  }
  const Lock lock(c.mutex);
  ++c.stats.misses;
  c.count_live(static_cast<int64_t>(rounded));
  return block;
}

bool crowded(int64_t bytes_apart) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  static const bool few_ways = sysconf(_SC_LEVEL1_DCACHE_SIZE) <= 32 << 10;
#else
  constexpr bool few_ways = true;
#endif
  return few_ways && bytes_apart % 2048 == 0;
}

bool past_caches(int64_t bytes) {
  static const int64_t most = last_cache_bytes();
  return bytes >= most;
}

void release(void* block, size_t bytes) {
  const int size_class = class_of(bytes);
  Cache& c = cache();
  const Lock lock(c.mutex);
  if (!c.rehearsed.empty() && c.rehearsed.erase(block) > 0)
    return release_rehearsed(block, size_of(size_class));
  FreeList& list = c.lists[size_class];
  list.blocks.push_back({block, this_thread()});
  list.last_use = ++c.clock;
  const auto rounded = static_cast<int64_t>(size_of(size_class));
  c.stats.allocated_bytes -= rounded;
  c.stats.cached_bytes += rounded;
  c.trim(c.stats.cache_limit_bytes);
}

MemoryStats memory_stats() {
  const Lock lock(cache().mutex);
  return cache().stats;
}

void reset_peak_memory_stats() {
  const Lock lock(cache().mutex);
  cache().stats.peak_bytes = cache().stats.allocated_bytes;
}

void empty_cache() {
  const Lock lock(cache().mutex);
  cache().trim(0);
}

}  // namespace pyconv
