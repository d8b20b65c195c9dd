#include "conv/conv.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/copy.h"
#include "core/memory.h"
#include "core/threads.h"
#include "selftest/check.h"

namespace pyconv::selftest {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int draws = 30;  // each takes ten times as long
#else
constexpr int draws = 60;
#endif

// What is a plain product.
ConvShape draw_fully_connected(Random& random) {
  ConvRequest r{};
  r.ndim = static_cast<int>(random.whole(1, 3));
  r.batch = random.whole(0, 20);
  r.groups = random.whole(1, 2);
  r.weight_channels = random.whole(1, 9);
  r.in_channels = r.groups * r.weight_channels;
  r.out_channels = r.groups * random.whole(1, 40);
  for (int i = 0; i < 3; ++i) {
    r.kernel[i] = r.input[i] = i >= 3 - r.ndim ? random.whole(1, 4) : 1;
    r.stride[i] = r.dilation[i] = 1;
  }
  return make_conv_shape(r);
}

// What Winograd's algorithm takes.
ConvShape draw_square(Random& random) {
  ConvRequest r{};
  const int64_t width = random.yes() ? 3 : 5;
  const int64_t line = random.whole(1, 3);  // 1: along a column, 2: along a row, else a square
  const int64_t narrow = random.whole(1, 2);
  r.ndim = static_cast<int>(random.whole(2, 3));
  r.batch = random.whole(1, 5 - r.ndim);
  r.groups = random.whole(1, 4) == 4 ? 2 : 1;
  const int64_t most = r.groups == 2 ? 17 : width == 3 ? 40 : 18;
  r.weight_channels = random.whole(16, most);
  r.in_channels = r.groups * r.weight_channels;
  r.out_channels = r.groups * random.whole(16, most);
  for (int i = 0; i < 3; ++i) {
    const bool depth = i == 0;
    r.kernel[i] = depth       ? (r.ndim == 3 ? random.whole(1, width == 3 ? 3 : 2) : 1)
                  : i == line ? width
                  : line == 3 ? width
                              : narrow;
    r.stride[i] = r.dilation[i] = 1;
    r.padding[i] = depth ? (r.ndim == 3 ? random.whole(0, 2) : 0) : random.whole(0, 2);
    r.input[i] = depth ? r.kernel[0] + (r.ndim == 3 ? random.whole(0, 2) : 0)
                       : random.whole(width, 10 - width / 5);
  }
  return make_conv_shape(r);
}

// What the depthwise and the grouped algorithm take: channels that fill no vector, whole ones and
// a rest, groups of several vectors, long kernels; rows up to that much longer than a window.
ConvShape draw_grouped(Random& random, int64_t longer) {
  ConvRequest r{};
  r.ndim = static_cast<int>(random.whole(1, 3));
  r.batch = random.whole(0, 2);
  const int64_t kind = random.whole(1, 4);
  r.weight_channels = kind <= 2   ? 1
                      : kind == 3 ? int64_t{1} << random.whole(1, 4)
                                  : random.whole(5, 40);
  const bool wide = kind == 4, many = wide && random.yes();  // a task for each group
  r.groups = wide ? random.whole(many ? 8 : 2, many ? 9 : 3)
                  : random.whole(1, r.weight_channels == 1 ? 50 : 48 / r.weight_channels);
  r.in_channels = r.out_channels = r.groups * r.weight_channels;
  for (int i = 0; i < 3; ++i) {
    const bool used = i >= 3 - r.ndim;
    const bool last = i == 2;
    r.kernel[i] = used ? random.whole(1, wide ? 3 : last ? 12 : 9 - 2 * r.ndim) : 1;
    r.stride[i] = used ? random.whole(1, 3) : 1;
    r.dilation[i] = used && random.yes() ? random.whole(1, 3) : 1;
    const int64_t reach = r.dilation[i] * (r.kernel[i] - 1) + 1;
    r.padding[i] = used ? random.whole(0, reach) : 0;
    r.input[i] = used ? std::max<int64_t>(1, reach - 2 * r.padding[i]) +
                            random.whole(0, last ? longer : 10 - 2 * r.ndim)
                      : 1;
  }
  return make_conv_shape(r);
}

ConvShape draw(Random& random, int64_t largest_channels) {
  ConvRequest r{};
  r.ndim = static_cast<int>(random.whole(1, 3));
  r.batch = random.whole(0, 3);
  r.groups = random.whole(1, 4) == 4 ? random.whole(2, 3) : 1;
  r.weight_channels = random.whole(1, largest_channels);
  r.in_channels = r.groups * r.weight_channels;
  r.out_channels = r.groups * random.whole(1, largest_channels);
  r.same = random.whole(1, 5) == 5;
  for (int i = 0; i < 3; ++i) {
    const bool used = i >= 3 - r.ndim;
    r.kernel[i] = used ? random.whole(1, 4) : 1;
    r.stride[i] = used && !r.same ? random.whole(1, 3) : 1;
    r.dilation[i] = used ? random.whole(1, 3) : 1;
    r.padding[i] = used ? random.whole(0, 3) : 0;
    const int64_t reach = r.dilation[i] * (r.kernel[i] - 1) + 1;
    const int64_t least = r.same ? 1 : std::max<int64_t>(1, reach - 2 * r.padding[i]);
    r.input[i] = used ? least + random.whole(0, r.ndim == 1 ? 40 : 9) : 1;
  }
  ConvShape s = make_conv_shape(r);
  // Fewer positions than fit: what a transposed convolution with output_padding may ask for.
  if (random.whole(1, 4) == 4) s.output[2] = std::max<int64_t>(1, s.output[2] - 2);
  return s;
}

// Calls body(offset in input, in weight, in output) for every product of the convolution; all three
// contiguous.
template <class F>
void for_each_product(const ConvShape& s, const F& body) {
  const int64_t C = s.in_channels, K = s.out_channels;
  for (int64_t n = 0; n < s.batch; ++n)
    for (int64_t k = 0; k < K; ++k)
      for (int64_t c = 0; c < s.in_group(); ++c)
        for (int64_t y = 0; y < s.out_pixels(); ++y)
          for (int64_t t = 0; t < s.taps(); ++t) {
            const int64_t at[3] = {y / (s.output[1] * s.output[2]), y / s.output[2] % s.output[1],
                                   y % s.output[2]};
            const int64_t tap[3] = {t / (s.kernel[1] * s.kernel[2]), t / s.kernel[2] % s.kernel[1],
                                    t % s.kernel[2]};
            int64_t x = 0;
            bool inside = true;
            for (int i = 0; i < 3; ++i) {
              const int64_t h = at[i] * s.stride[i] + tap[i] * s.dilation[i] - s.pad_before[i];
              inside = inside && h >= 0 && h < s.input[i];
              x = x * s.input[i] + h;
            }
            const int64_t channel = k / s.out_group() * s.in_group() + c;
            if (inside)
              body((n * C + channel) * s.in_pixels() + x, (k * s.in_group() + c) * s.taps() + t,
                   (n * K + k) * s.out_pixels() + y);
          }
}

// The same values in another order of memory; repeated: one image stands for all.
template <class T>
struct Laid {
  std::vector<T> values;
  TensorView view;
  Laid(const std::vector<T>& dense, int64_t batch, int64_t channels, const int64_t (&size)[3],
       bool channels_last, bool repeated = false)
      : values(dense.size()) {
    const int64_t pixels = size[0] * size[1] * size[2];
    const int64_t c = channels_last ? 1 : pixels, w = channels_last ? channels : 1;
    view.data = values.data();
    view.dtype = sizeof(T) == sizeof(float) ? DType::float32 : DType::float64;
    view.ndim = 5;
    const int64_t shape[5] = {batch, channels, size[0], size[1], size[2]};
    const int64_t image = repeated ? 0 : channels * pixels;
    const int64_t stride[5] = {image, c, size[1] * size[2] * w, size[2] * w, w};
    std::copy(shape, shape + 5, view.shape);
    std::copy(stride, stride + 5, view.stride);
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t k = 0; k < channels; ++k)
        for (int64_t i = 0; i < pixels; ++i)
          values[n * stride[0] + k * c + i * w] = dense[(n * channels + k) * pixels + i];
  }
};

template <class T>
struct Case {
  ConvShape s;
  bool channels_last;
  int64_t repeated;              // 1: an image of x stands for all; 2: of y
  std::vector<T> x, w, b, a, y;  // a: a bias of the input's channels; y: the output's gradient

  Case(Random& random, const ConvShape& shape)
      : s(shape),
        channels_last(random.yes()),
        repeated((s.in_channels + s.out_channels + s.in_pixels()) % 16),
        x(random.numbers<T>(s.batch * s.in_channels * s.in_pixels())),
        w(random.numbers<T>(s.out_channels * s.in_group() * s.taps())),
        b(random.numbers<T>(s.out_channels)),
        a(random.numbers<T>(s.in_channels)),
        y(random.numbers<T>(s.batch * s.out_channels * s.out_pixels())) {
    if (s.batch == 0 || repeated == 0 || repeated > 2) return;
    std::vector<T>& images = repeated == 1 ? x : y;  // not both: errors would repeat as well
    const size_t one = images.size() / size_t(s.batch);
    for (size_t i = one; i < images.size(); ++i) images[i] = images[i - one];
  }

  std::vector<double> truth(ConvDirection direction) const {
    std::vector<double> sum(size(direction));
    if (direction == ConvDirection::forward)
      for (size_t i = 0; i < sum.size(); ++i)
        sum[i] = double(b[static_cast<int64_t>(i) / s.out_pixels() % s.out_channels]);
    if (direction == ConvDirection::backward_input)
      for (size_t i = 0; i < sum.size(); ++i)
        sum[i] = double(a[static_cast<int64_t>(i) / s.in_pixels() % s.in_channels]);
    for_each_product(s, [&](int64_t i, int64_t j, int64_t o) {
      if (direction == ConvDirection::forward) sum[o] += double(x[i]) * double(w[j]);
      if (direction == ConvDirection::backward_input) sum[i] += double(y[o]) * double(w[j]);
      if (direction == ConvDirection::backward_weight) sum[j] += double(y[o]) * double(x[i]);
    });
    return sum;
  }

  int64_t terms(ConvDirection direction) const {
    if (direction == ConvDirection::forward) return s.in_group() * s.taps() + 1;
    if (direction == ConvDirection::backward_input) return s.out_group() * s.taps() + 1;
    return std::max<int64_t>(1, s.batch * s.out_pixels());
  }

  size_t size(ConvDirection direction) const {
    return direction == ConvDirection::forward          ? y.size()
           : direction == ConvDirection::backward_input ? x.size()
                                                        : w.size();
  }

  // Calls body(problem), whose result is still to be set.
  template <class F>
  void with_problem(ConvDirection direction, const F& body) const {
    const Laid<T> input(x, s.batch, s.in_channels, s.input, channels_last, repeated == 1);
    const Laid<T> output(y, s.batch, s.out_channels, s.output, channels_last, repeated == 2);
    ConvProblem problem{};
    problem.shape = &s;
    problem.direction = direction;
    problem.dtype = input.view.dtype;
    problem.input = input.view;
    problem.output = output.view;
    problem.weight = w.data();
    problem.bias = direction == ConvDirection::forward ? b.data() : a.data();
    const std::shared_ptr<Kept> kept = Kept::of(w.data());
    problem.kept = kept.get();
    body(problem);
  }

  bool possible(ConvDirection direction, const std::string& algorithm) const {
    bool found = false;
    with_problem(direction, [&](const ConvProblem& problem) {
      for (const auto& row : conv_explain(problem))
        found = found || (row.name == algorithm && row.refused.empty());
    });
    return found;
  }

  std::vector<T> run(ConvDirection direction) const {
    std::vector<T> result(size(direction));
    if (result.empty()) result.reserve(1);  // an empty array is not a null pointer
    bool last = false;
    with_problem(direction, [&](ConvProblem& problem) {
      const ConvAlgorithm& chosen = conv_choose(problem);
      problem.result = result.data();
      chosen.run(problem);
      last = direction != ConvDirection::backward_weight && chosen.leaves_channels_last(problem);
    });
    if (!last) return result;
    const bool forward = direction == ConvDirection::forward;
    const int64_t channels = forward ? s.out_channels : s.in_channels;
    const auto& size = forward ? s.output : s.input;
    Laid<T> from(result, s.batch, channels, size, true), to(result, s.batch, channels, size, false);
    from.values = result;
    copy(from.view, to.view);
    return to.values;
  }
};

const char* name_of(ConvDirection direction) {
  return direction == ConvDirection::forward          ? " forward "
         : direction == ConvDirection::backward_input ? " backward_input "
                                                      : " backward_weight ";
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.empty() ? b.empty() : std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// What the next arrays and scratch memory of up to 32 KiB will find: denormal numbers.
void leave_denormals() {
  std::vector<std::pair<void*, size_t>> blocks;
  for (size_t power = 64; power <= 16384; power *= 2)
    for (size_t bytes = power + power / 8; bytes <= 2 * power; bytes += power / 8)
      for (int i = 0; i < 2; ++i) {
        void* const block = allocate(bytes);
        std::fill_n(static_cast<uint32_t*>(block), bytes / sizeof(uint32_t), 1);
        blocks.emplace_back(block, bytes);
      }
  for (const auto& [block, bytes] : blocks) release(block, bytes);
}

// Runs `run` and tells whether it computed with denormal numbers. They are not in what it is given,
// so it read memory that it had not written: in vain, but many times slower on some CPUs.
template <class F>
bool meets_denormals(const F& run) {
  leave_denormals();
#if defined(__x86_64__)
  constexpr unsigned denormal = 2;  // the flag in MXCSR
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~denormal);
  run();
  return __builtin_ia32_stmxcsr() & denormal;
#else
  run();
  return false;
#endif
}

template <class T>
void test_case(const Case<T>& drawn, const std::vector<int>& thread_counts,
               const std::string& where) {
  const std::string op = "conv" + std::to_string(drawn.s.ndim) + "d";
  for (const auto& algorithm : conv_algorithms()) {
    const int64_t factor = algorithm == "winograd" ? 8 : 1;  // of the error
    for (auto direction :
         {ConvDirection::forward, ConvDirection::backward_input, ConvDirection::backward_weight}) {
      if (!drawn.possible(direction, algorithm)) continue;
      force_algorithm(op, algorithm);
      const std::string what = op + name_of(direction) + algorithm + ": " + where;
      const std::vector<double> truth = drawn.truth(direction);
      const auto test = [&](const std::string& how) {
        set_num_threads(1);
        std::vector<T> alone;
        const bool denormals = meets_denormals([&] { alone = drawn.run(direction); });
        expect(!denormals, how + ": no memory is read that was not written");
        expect_close(alone, truth, factor * drawn.terms(direction), how);
        for (int threads : thread_counts) {
          set_num_threads(threads);
          const std::vector<T> shared = drawn.run(direction);
          expect(same_bits(shared, alone),
                 how + ": the same bits on " + std::to_string(threads) + " threads");
        }
      };
      test(what);
      if (direction != ConvDirection::backward_weight) {
        const std::shared_ptr<Kept> kept = Kept::keep(drawn.w.data());
        test(what + ", with kept weights");
      }
      force_algorithm(op, "");
    }
  }
}

// One filter over all channels: its weights' places are the rows of the columns.
template <class T>
void test_unfold(const Case<T>& drawn, const std::string& where) {
  ConvShape s = drawn.s;
  s.out_channels = s.groups = 1;
  const int64_t rows = s.in_channels * s.taps(), pixels = s.out_pixels();
  const Laid<T> input(drawn.x, s.batch, s.in_channels, s.input, drawn.channels_last);
  std::vector<T> columns(static_cast<size_t>(s.batch * rows * pixels)), images(drawn.x.size());
  std::vector<double> windows(columns.size()), sums(images.size());
  for_each_product(s, [&](int64_t i, int64_t row, int64_t o) {
    const int64_t place = (o / pixels * rows + row) * pixels + o % pixels;
    windows[place] = double(drawn.x[i]);
    sums[i] += windows[place];
  });
  unfold(s, input.view, columns.data());
  expect_close(columns, windows, 1, "unfold: " + where);
  fold(s, input.view.dtype, columns.data(), images.data());
  expect_close(images, sums, s.taps(), "fold: " + where);
}

}  // namespace

void test_conv() {
  const int before = get_num_threads();
  // None where the number is given: QEMU 7 may crash as thousands of threads come and go.
  std::vector<int> thread_counts{2, 7};
  if (std::getenv("PYCONV_NUM_THREADS")) thread_counts.clear();
  on_every_isa([&](auto zero, const std::string& where) {
    using T = decltype(zero);
    Random random(2);
    for (int i = 0; i < draws; ++i) {
      const ConvShape shape = i % 8 == 7   ? draw_square(random)
                              : i % 8 == 3 ? draw_fully_connected(random)
                              : i % 3 == 2 ? draw_grouped(random, 22)
                                           : draw(random, i % 10 == 9 ? 40 : 6);
      const Case<T> drawn(random, shape);
      test_case(drawn, thread_counts, where + ", case " + std::to_string(i));
      test_unfold(drawn, where + ", case " + std::to_string(i));
    }
    for (int i = 0; i < draws / 8; ++i) {
      const Case<T> drawn(random, draw_grouped(random, 150));
      test_case(drawn, thread_counts, where + ", long rows " + std::to_string(i));
    }
  });
  set_num_threads(before);
}

}  // namespace pyconv::selftest
