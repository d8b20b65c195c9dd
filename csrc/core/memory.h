// Memory for results and for scratch.
//
// allocate() serves results from a cache of freed blocks: a fresh 100 MB block from the system
// costs more in page faults than most kernels that fill it. Blocks are aligned to 64 bytes, from
// 2 MiB on to 2 MiB and on huge pages; sizes are rounded up to one of eight steps per power of two,
// so at most an eighth is waste. What the cache keeps is bounded; the blocks longest unused go
// first.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pyconv {

struct MemoryStats {
  int64_t allocated_bytes;  // in live blocks, rounded sizes
  int64_t peak_bytes;       // the highest allocated_bytes since start or reset
  int64_t cached_bytes;     // freed, kept for reuse
  int64_t cache_limit_bytes;
  int64_t hits;    // allocations served from the cache
  int64_t misses;  // allocations that went to the system
};

void* allocate(size_t bytes);  // throws std::bad_alloc
void release(void* block, size_t bytes);
MemoryStats memory_stats();
void reset_peak_memory_stats();
void empty_cache();

// Whether a result is as large as the last cache, or as 32 MiB, so that it is better written past
// the caches: who reads it next finds most of it in memory either way.
bool past_caches(int64_t bytes);

// Whether lines so many bytes apart crowd into two sets of the L1 cache, or one, of eight ways or
// fewer. Twelve ways, of 48 KiB, hold what the kernels meet.
bool crowded(int64_t bytes_apart);

// A rehearsal, of one thread: it allocates what the real run would, and computes next to nothing.
// allocate() hands out zeros behind which there is no memory until they are written to, counts them
// here and not in memory_stats(), and parallel_for runs the first index alone.
struct Rehearsal {
  int64_t now = 0, peak = 0;  // bytes, rounded sizes
};
void begin_rehearsal();
int64_t end_rehearsal();  // returns its peak; its blocks may live on
Rehearsal* rehearsal();   // the calling thread's, or null
// How many of n steps that follow one another are run: in a rehearsal the first.
inline int64_t steps_run(int64_t n) { return rehearsal() && n > 1 ? 1 : n; }

// A block for the time of a scope, from the same cache; null where no bytes are asked for.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : bytes_(bytes), block_(bytes > 0 ? take(bytes) : nullptr) {}
  ~Scratch() {
    if (block_) give_back(block_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }

 private:
  static void* take(size_t bytes);
  static void give_back(void* block, size_t bytes);

  size_t bytes_;
  void* block_;
};

// While it lives, its thread keeps small blocks of Scratch that are given back for those that it
// asks for next: threads that meet at the cache's lock with each small task wait for each other
// longer than some tasks take. One at a time in a thread. A rehearsal does not know of what is
// kept, 2 MiB at most.
class KeptScratch {
 public:
  KeptScratch();
  ~KeptScratch();
  KeptScratch(const KeptScratch&) = delete;
  KeptScratch& operator=(const KeptScratch&) = delete;

 private:
  friend class Scratch;
  static constexpr int most_blocks = 8;
  static constexpr size_t most_bytes = size_t{1} << 18;  // of a block: larger ones are rare

  int count_ = 0;
  struct {
    void* data;
    size_t bytes;
  } blocks_[most_blocks];
};

}  // namespace pyconv
