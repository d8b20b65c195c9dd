#include "core/memory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>

#include "core/copy.h"
#include "core/threads.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

void test_blocks() {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{1000}, size_t{4097},
                       (size_t{2} << 20) - 1, (size_t{2} << 20) + 1}) {
    void* block = allocate(bytes);
    std::memset(block, 7, bytes);
    const size_t alignment = bytes > (size_t{2} << 20) ? size_t{2} << 20 : 64;
    expect(reinterpret_cast<uintptr_t>(block) % alignment == 0, "memory: alignment");
    release(block, bytes);
  }
}

void test_statistics() {
  empty_cache();
  reset_peak_memory_stats();
  const MemoryStats before = memory_stats();
  expect(before.cached_bytes == 0, "memory: empty_cache leaves nothing");
  void* block = allocate(100000);
  const MemoryStats during = memory_stats();
  const int64_t rounded = during.allocated_bytes - before.allocated_bytes;
  expect(rounded >= 100000 && rounded <= 112500, "memory: at most an eighth is waste");
  expect(during.peak_bytes == during.allocated_bytes, "memory: peak");
  release(block, 100000);
  expect(memory_stats().cached_bytes == rounded, "memory: a freed block is kept");
  void* again = allocate(100000);
  expect(again == block && memory_stats().hits == during.hits + 1, "memory: and used again");
  release(again, 100000);
  empty_cache();
}

void test_too_large() {
  for (size_t bytes : {~size_t{0}, size_t{1} << 62, (size_t{1} << 46) + 1}) {
    bool refused = false;
    try {
      release(allocate(bytes), bytes);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    expect(refused, "memory: a request beyond all memory throws bad_alloc");
  }
}

void test_many_threads() {
  const int64_t before = memory_stats().allocated_bytes;
  std::vector<std::thread> users;
  std::vector<char> right(4, 1);
  for (int user = 0; user < 4; ++user)
    users.emplace_back([user, &right] {
      for (int i = 0; i < 500; ++i) {
        const Scratch first(100 + i % 7 * 1000), second(100 + i % 5 * 1000);
        std::memset(first.as<char>(), user, 100);
        std::memset(second.as<char>(), user + 100, 100);
        if (first.as<char>()[99] != user) right[user] = 0;
      }
    });
  for (auto& user : users) user.join();
  expect(right == std::vector<char>(4, 1), "memory: no block is given out twice");
  expect(memory_stats().allocated_bytes == before, "memory: all blocks came back");
}

// The threads of a job keep small blocks for their next index, of each size, until it is done.
void test_jobs() {
  const MemoryStats before = memory_stats();
  set_num_threads(4);
  std::vector<char> right(500, 1);
  parallel_for(500, [&](int64_t i) {
    const Scratch first(100 + i % 3 * 1000), second(100), large(size_t{1} << 19);
    std::memset(first.as<char>(), static_cast<int>(i % 100), 100);
    std::memset(second.as<char>(), 100, 100);
    right[i] = first.as<char>()[99] == i % 100;
  });
  const MemoryStats after = memory_stats();
  const int64_t taken = after.hits + after.misses - before.hits - before.misses;
  expect(right == std::vector<char>(500, 1), "memory: no block of a job is given out twice");
  expect(taken >= 500 && taken <= 500 + 4 * 4, "memory: a job asks for small blocks once");
  expect(after.allocated_bytes == before.allocated_bytes, "memory: a job's blocks came back");
}

// Two of three indices run at once, each with its own memory.
void test_rehearsal() {
  const MemoryStats before = memory_stats();
  set_num_threads(2);
  begin_rehearsal();
  void* const block = allocate(size_t{1} << 33);
  bool zeros = static_cast<char*>(block)[size_t{1} << 32] == 0;
  int runs = 0;
  parallel_for(3, [&](int64_t) {
    const Scratch scratch(1024);
    zeros = zeros && scratch.as<char>()[1023] == 0;
    ++runs;
  });
  expect(end_rehearsal() == (int64_t{1} << 33) + 2048, "memory: the peak of a rehearsal");
  expect(zeros && runs == 1, "memory: a rehearsal starts from zeros and runs one index");
  release(block, size_t{1} << 33);
  const MemoryStats after = memory_stats();
  expect(after.peak_bytes == before.peak_bytes && after.cached_bytes == before.cached_bytes,
         "memory: a rehearsal leaves the statistics alone");
}

// Rows with gaps between them, of which nothing is written.
template <class T>
void test_copy_rows(Random& random, int64_t n, const std::string& where) {
  const int64_t from_row = n + 1, to_row = n + random.whole(0, 3);
  const std::vector<T> from = random.numbers<T>(5 * from_row);
  std::vector<T> to(static_cast<size_t>(5 * to_row), T(7)), wanted = to;
  for (int64_t r = 0; r < 5; ++r)
    std::copy_n(from.begin() + r * from_row, n, wanted.begin() + r * to_row);
  copy_rows(5, n, from.data(), from_row, to.data(), to_row, random.yes());
  expect(to == wanted, "copy of rows of " + std::to_string(n) + ": " + where);
}

}  // namespace

void test_memory() {
  const int before = get_num_threads();
  test_blocks();
  test_statistics();
  test_too_large();
  test_many_threads();
  test_jobs();
  test_rehearsal();
  on_every_isa([](auto zero, const std::string& where) {
    Random random(9);
    for (int64_t n = 0; n < 70; ++n) test_copy_rows<decltype(zero)>(random, n, where);
  });
  set_num_threads(before);
}

}  // namespace pyconv::selftest
