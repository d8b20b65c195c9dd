// A step of a recurrent layer: the product with the hidden weights in registers, and at its end the
// gates and the new state, before anything is written.
//
// The product is an outer product as in gemm/micro.isa.cc, with the gates side by side: one
// broadcast of h feeds the sums of all gates of a unit.
#include "rnn/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

constexpr int accumulators = accumulator_rows > 6 ? 24 : 12;  // registers that hold sums
constexpr int most_rows = accumulators / 2;

// A block of units, of which n or more than a vector's exist.
template <class T>
inline __attribute__((always_inline)) Vec<T> load_block(const T* p, int64_t n) {
  return n >= lanes<T> ? load(p) : load_part(p, n, T(0));
}
template <class T>
inline __attribute__((always_inline)) void store_block(T* p, int64_t n, Vec<T> v) {
  if (n >= lanes<T>)
    store(p, v);
  else
    store_part(p, n, v);
}

// ---- the product -------------------------------------------------------------------------------

template <class T>
struct Sums {
  alignas(vector_bytes) T of[most_rows * 2 * lanes<T>];  // Rows x Vectors vectors
};

// Few rows have few sums, each of which would wait for the one before: Split partial sums each.
// The tiles of 16 rows or more in all never do: threads may share these out.
// Far: asks for what comes next, `ahead` of it per step of the sum, into L2.
template <class T, int Vectors, int Rows, bool Far>
void product(int64_t depth, const T* weight, const T* state, int64_t state_row, T* out,
             const char* next, int64_t ahead) {
  constexpr int L = lanes<T>, Split = Rows * Vectors >= 8 ? 1 : Rows * Vectors >= 5 ? 2 : 4;
  Vec<T> sum[Split][Rows][Vectors] = {};
  int64_t k = 0;
  for (; k + Split <= depth; k += Split) {
#pragma GCC unroll 4
    for (int s = 0; s < Split; ++s) {
      if constexpr (Far) {
        __builtin_prefetch(next, 0, 2);
        __builtin_prefetch(next + 64, 0, 2);
        next += ahead;
      }
      Vec<T> w[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) w[v] = load(weight + (s * Vectors + v) * L);
#pragma GCC unroll 12
      for (int i = 0; i < Rows; ++i) {
        const Vec<T> h = broadcast(state[i * state_row + k + s]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[s][i][v] += h * w[v];
      }
    }
    weight += Split * Vectors * L;
  }
  for (; k < depth; ++k, weight += Vectors * L)
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
      const Vec<T> h = broadcast(state[i * state_row + k]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[0][i][v] += h * load(weight + v * L);
    }
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      Vec<T> total = sum[0][i][v];
#pragma GCC unroll 4
      for (int s = 1; s < Split; ++s) total += sum[s][i][v];
      store(out + (i * Vectors + v) * L, total);
    }
}

template <class T, int Vectors, size_t... I>
inline void product_of_rows(int rows, bool far, int64_t depth, const T* weight, const T* state,
                            int64_t state_row, T* out, const char* next, int64_t ahead,
                            std::index_sequence<I...>) {
  using Product = void (*)(int64_t, const T*, const T*, int64_t, T*, const char*, int64_t);
  static constexpr Product products[2][sizeof...(I)] = {
      {&product<T, Vectors, static_cast<int>(I) + 1, false>...},
      {&product<T, Vectors, static_cast<int>(I) + 1, true>...}};
  products[far][rows - 1](depth, weight, state, state_row, out, next, ahead);
}

// Calls body(first row, rows, sums) for the rows in tiles, as equal as possible, and ask(row) for
// each row before the product that its sums come from: what body will read of arrays of all steps
// lies too far apart for any hardware prefetcher, and arrives during the product.
template <class T, int Vectors, class Ask, class F>
inline void for_tiles(const RnnStep<T>& s, int64_t rows, int64_t depth, const T* weight,
                      const Ask& ask, const F& body) {
  constexpr int most = accumulators / Vectors;
  Sums<T> sums;
  const int64_t tiles = (rows + most - 1) / most;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t first = i * rows / tiles, count = (i + 1) * rows / tiles - first;
    for (int64_t row = first; row < first + count; ++row) ask(row);
    // Each tile asks for a part of the panel that comes next.
    const int64_t part = Vectors * vector_bytes / tiles;
    const char* const panel = reinterpret_cast<const char*>(weight + depth * Vectors * lanes<T>);
    product_of_rows<T, Vectors>(static_cast<int>(count), s.far, depth, weight,
                                s.state + first * s.state_row, s.state_row, sums.of,
                                panel + i * depth * part, part, std::make_index_sequence<most>());
    body(first, count, sums.of);
  }
}

// ---- forward -----------------------------------------------------------------------------------

// One row, one block of units at u, of which n exist; sums: a vector per gate.
template <class T, Cell C>
inline __attribute__((always_inline)) void forward_block(const RnnStep<T>& s, int64_t row,
                                                         int64_t u, const T* sums) {
  constexpr int G = gates_of(C), L = lanes<T>;
  const int64_t H = s.hidden, n = H - u;
  T* const gates = s.gates + row * G * H + u;
  const auto input = [&](int g) { return load_block(gates + g * H, n); };
  const auto sum = [&](int g) { return load(sums + g * L); };
  Vec<T> h;
  if constexpr (C == Cell::lstm) {
    T* const cell = s.cell + row * s.state_row + u;
    const Vec<T> i = sigmoid<T>(input(0) + sum(0)), f = sigmoid<T>(input(1) + sum(1)),
                 g = tanh<T>(input(2) + sum(2)), o = sigmoid<T>(input(3) + sum(3));
    const Vec<T> c = f * load(cell) + i * g;
    store(cell, c);
    h = o * tanh<T>(c);
    if (s.extra) {
      store_block(gates, n, i);
      store_block(gates + H, n, f);
      store_block(gates + 2 * H, n, g);
      store_block(gates + 3 * H, n, o);
      store_block(s.extra + row * H + u, n, c);
    }
  } else if constexpr (C == Cell::gru) {
    const Vec<T> r = sigmoid<T>(input(0) + sum(0)), z = sigmoid<T>(input(1) + sum(1));
    const Vec<T> hn = s.bias_hn ? sum(2) + load_block(s.bias_hn + u, n) : sum(2);
    const Vec<T> candidate = tanh<T>(input(2) + r * hn);
    // Not candidate + z (before - candidate): a gate of 1 keeps the state to the last bit.
    h = (T(1) - z) * candidate + z * load(s.state + row * s.state_row + u);
    if (s.extra) {
      store_block(gates, n, r);
      store_block(gates + H, n, z);
      store_block(gates + 2 * H, n, candidate);
      store_block(s.extra + row * H + u, n, hn);
    }
  } else {
    const Vec<T> x = input(0) + sum(0);
    h = C == Cell::tanh ? tanh<T>(x) : (x < T(0) ? Vec<T>{} : x);
    store_block(gates, n, h);
  }
  store(s.next + row * s.state_row + u, h);
  store_block(s.output + s.place[row] * H + u, n, h);
}

template <class T, Cell C>
void forward_panels(const RnnStep<T>& s, int64_t first, int64_t last) {
  constexpr int G = gates_of(C), V = forward_vectors(C), L = lanes<T>;
  for (int64_t panel = first; panel < last; ++panel) {
    const auto rows_done = [&](int64_t row, int64_t rows, const T* sums) {
      for (int64_t i = 0; i < rows; ++i)
        for (int b = 0; b < V / G; ++b) {
          const int64_t u = (panel * (V / G) + b) * L;
          if (u < s.hidden) forward_block<T, C>(s, row + i, u, sums + (i * V + b * G) * L);
        }
    };
    if (s.weight) {
      const auto ask = [&](int64_t row) {
        for (int v = 0; v < V; ++v)
          __builtin_prefetch(s.gates + (row * G + v % G) * s.hidden +
                             (panel * (V / G) + v / G) * L);
      };
      for_tiles<T, V>(s, s.rows, s.hidden, s.weight + panel * s.hidden * V * L, ask, rows_done);
      continue;
    }
    for (int64_t row = 0; row < s.rows; ++row) {
      Sums<T> sums;
      for (int v = 0; v < V; ++v) {
        const int64_t u = (panel * (V / G) + v / G) * L;
        if (u < s.hidden)
          store(sums.of + v * L,
                load_block(s.sums + (row * G + v % G) * s.hidden + u, s.hidden - u));
      }
      rows_done(row, 1, sums.of);
    }
  }
}

// ---- forward, one sequence ---------------------------------------------------------------------

// sum[i] += the products of row i with v, lane by lane, for all i from First on. What lies behind
// the last row is that row. Some rows at a time: more streams of memory at once are slower.
template <class T, int First = 0>
inline __attribute__((always_inline)) void add_products(const T* weight, int64_t rows,
                                                        int64_t width, const T* v, Vec<T>* sum) {
  constexpr int L = lanes<T>, some = L < 8 ? L : 8;
  const T* row[some];
  Vec<T> of[some];
#pragma GCC unroll 8
  for (int i = 0; i < some; ++i) {
    row[i] = weight + (First + i < rows ? First + i : rows - 1) * width;
    of[i] = sum[First + i];
  }
  int64_t k = 0;
  for (; k + L <= width; k += L) {
    const Vec<T> x = in_register<T>(load(v + k));
#pragma GCC unroll 8
    for (int i = 0; i < some; ++i) of[i] += x * load(row[i] + k);
  }
  // The rest one by one, in lane 0: it costs less than to gather it in a vector.
  for (; k < width; ++k)
#pragma GCC unroll 8
    for (int i = 0; i < some; ++i) of[i][0] += v[k] * row[i][k];
#pragma GCC unroll 8
  for (int i = 0; i < some; ++i) sum[First + i] = of[i];
  if constexpr (First + some < L) add_products<T, First + some>(weight, rows, width, v, sum);
}

// Of two rows, the lower or the higher half of each 2 * Block lanes.
template <class T, int Block, bool High, size_t... I>
inline __attribute__((always_inline)) Vec<T> exchange(Vec<T> a, Vec<T> b,
                                                      std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b,
                                 ((static_cast<int>(I) / Block % 2 == 0)
                                      ? static_cast<int>(I) + (High ? Block : 0)
                                      : static_cast<int>(I) + lanes<T> - (High ? 0 : Block))...);
}

// Lane i is the sum of the lanes of sum[i]: as a transposition, adding the rows on the way.
template <class T, int Block = lanes<T> / 2>
inline __attribute__((always_inline)) Vec<T> sum_each(Vec<T>* sum) {
  constexpr auto all = std::make_index_sequence<lanes<T>>();
#pragma GCC unroll 16
  for (int i = 0; i < Block; ++i)
    sum[i] = exchange<T, Block, false>(sum[i], sum[i + Block], all) +
             exchange<T, Block, true>(sum[i], sum[i + Block], all);
  if constexpr (Block > 1) return sum_each<T, Block / 2>(sum);
  return sum[0];
}

template <class T, Cell C>
void single_panels(const RnnSingle<T>& single, int64_t first, int64_t last) {
  constexpr int G = gates_of(C), V = forward_vectors(C), L = lanes<T>;
  const RnnStep<T>& s = single.step;
  const int64_t H = s.hidden, I = single.input;
  for (int64_t u = first * (V / G) * L; u < last * (V / G) * L && u < H; u += L) {
    const int64_t n = H - u;
    Sums<T> sums;
    for (int g = 0; g < G; ++g) {
      const int64_t row = g * H + u;
      const bool apart = C == Cell::gru && g == 2;  // r comes between its two products
      const auto bias = [&](const T* p) { return p ? load_block(p + row, n) : Vec<T>{}; };
      Vec<T> sum[L] = {}, input = bias(single.bias_ih);
      add_products(single.weight_ih + row * I, n, I, single.x, sum);
      if (apart) {
        input += sum_each<T>(sum);
        for (Vec<T>& each : sum) each = Vec<T>{};
      } else {
        input += bias(single.bias_hh);
      }
      add_products(single.weight_hh + row * H, n, H, s.state, sum);
      store_block(s.gates + row, n, input);
      store(sums.of + g * L, sum_each<T>(sum));
    }
    forward_block<T, C>(s, 0, u, sums.of);
  }
}

// ---- backward ----------------------------------------------------------------------------------

// One row, one block of units; through: what comes through the weights from the step behind.
template <class T, Cell C>
inline __attribute__((always_inline)) void backward_block(const RnnStep<T>& s, int64_t row,
                                                          int64_t u, Vec<T> through) {
  constexpr int G = gates_of(C);
  const int64_t H = s.hidden, n = H - u, at = row * s.state_row + u;
  const T* const gates = s.gates + row * G * H + u;
  const auto gate = [&](int g) { return load_block(gates + g * H, n); };
  const auto put = [&](int g, Vec<T> to_input, Vec<T> to_hidden) {
    store_block(s.grad_gates + (row * G + g) * H + u, n, to_input);
    store(s.next + row * s.state_row + g * s.padded + u, to_hidden);
  };
  Vec<T> dh = through + load(s.carry + at);
  if (s.grad_output) dh += load_block(s.grad_output + s.place[row] * H + u, n);
  if constexpr (C == Cell::lstm) {
    const Vec<T> i = gate(0), f = gate(1), g = gate(2), o = gate(3);
    const Vec<T> tanh_c = tanh<T>(load_block(s.extra + row * H + u, n));
    const Vec<T> dc = load(s.cell + at) + dh * o * (T(1) - tanh_c * tanh_c);
    const Vec<T> di = dc * g * i * (T(1) - i), dg = dc * i * (T(1) - g * g);
    const Vec<T> df = dc * load_block(s.before + row * H + u, n) * f * (T(1) - f);
    const Vec<T> d_o = dh * tanh_c * o * (T(1) - o);
    put(0, di, di);
    put(1, df, df);
    put(2, dg, dg);
    put(3, d_o, d_o);
    store(s.cell + at, dc * f);
    store(s.carry + at, Vec<T>{});
  } else if constexpr (C == Cell::gru) {
    const Vec<T> r = gate(0), z = gate(1), candidate = gate(2);
    const Vec<T> hn = load_block(s.extra + row * H + u, n);
    const Vec<T> dn = dh * (T(1) - z) * (T(1) - candidate * candidate);
    const Vec<T> dz = dh * (load_block(s.before + row * H + u, n) - candidate) * z * (T(1) - z);
    const Vec<T> dr = dn * hn * r * (T(1) - r), dhn = dn * r;
    put(0, dr, dr);
    put(1, dz, dz);
    put(2, dn, dhn);
    store_block(s.grad_extra + row * H + u, n, dhn);
    store(s.carry + at, dh * z);
  } else {
    const Vec<T> h = gate(0);
    const Vec<T> d = C == Cell::tanh ? dh * (T(1) - h * h) : (h == T(0) ? Vec<T>{} : dh);
    put(0, d, d);
    store(s.carry + at, Vec<T>{});
  }
}

// Calls body(row, u, sum) for every block of the panels; rows that begin here have sum 0.
template <class T, Cell C, class F>
inline void for_blocks(const RnnStep<T>& s, int64_t first, int64_t last, const F& body) {
  constexpr int G = gates_of(C), V = 2, L = lanes<T>;
  const int64_t depth = G * s.padded;
  for (int64_t panel = first; panel < last; ++panel) {
    const int64_t unit = panel * V * L;
    const auto ask = [&](int64_t row) {
      for (int64_t u = unit; u < unit + V * L; u += L) {
        for (int g = 0; g < G; ++g) __builtin_prefetch(s.gates + (row * G + g) * s.hidden + u);
        const T* const read[] = {s.extra, s.before};  // null where there is none
        for (const T* p : read)
          if (p) __builtin_prefetch(p + row * s.hidden + u);
        if (s.grad_output) __builtin_prefetch(s.grad_output + s.place[row] * s.hidden + u);
      }
    };
    if (s.weight)
      for_tiles<T, V>(s, s.known, depth, s.weight + panel * depth * V * L, ask,
                      [&](int64_t row, int64_t rows, const T* sums) {
                        for (int64_t i = 0; i < rows; ++i)
                          for (int b = 0; b < V && unit + b * L < s.hidden; ++b)
                            body(row + i, unit + b * L, load(sums + (i * V + b) * L));
                      });
    for (int64_t row = s.weight ? s.known : 0; row < s.rows; ++row)
      for (int64_t u = unit; u < unit + V * L && u < s.hidden; u += L)
        body(row, u,
             row < s.known ? load_block(s.sums + row * s.hidden + u, s.hidden - u) : Vec<T>{});
  }
}

template <class T, Cell C>
void backward_panels(const RnnStep<T>& s, int64_t first, int64_t last) {
  for_blocks<T, C>(s, first, last, [&](int64_t row, int64_t u, Vec<T> sum) {
    backward_block<T, C>(s, row, u, sum);
  });
}

template <class T, Cell C>
void finish_panels(const RnnStep<T>& s, int64_t first, int64_t last) {
  for_blocks<T, C>(s, first, last, [&](int64_t row, int64_t u, Vec<T> sum) {
    T* const carry = s.carry + row * s.state_row + u;
    store(carry, load(carry) + sum);
  });
}

// ---- packing -----------------------------------------------------------------------------------

template <class T>
void pack_forward(Cell cell, int64_t hidden, int64_t panel, const T* weight, T* packed) {
  constexpr int L = lanes<T>;
  const int G = gates_of(cell), V = forward_vectors(cell);
  for (int v = 0; v < V; ++v) {
    const int64_t u = (panel * (V / G) + v / G) * L;
    const T* const from = weight + (v % G * hidden + u) * hidden;
    for (int64_t k = 0; k < hidden; k += L) {
      Vec<T> square[L];  // row: a unit, column: k
      for (int i = 0; i < L; ++i)
        square[i] = u + i < hidden ? load_block(from + i * hidden + k, hidden - k) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < L && k + i < hidden; ++i)
        store(packed + ((k + i) * V + v) * L, square[i]);
    }
  }
}

template <class T>
void pack_backward(Cell cell, int64_t hidden, int64_t panel, const T* weight, T* packed) {
  constexpr int V = 2, L = lanes<T>;
  const int64_t padded = (hidden + L - 1) / L * L;
  for (int64_t g = 0; g < gates_of(cell); ++g)
    for (int64_t k = 0; k < padded; ++k)
      for (int v = 0; v < V; ++v, packed += L) {
        const int64_t u = (panel * V + v) * L;
        const bool exists = k < hidden && u < hidden;
        store(packed,
              exists ? load_block(weight + (g * hidden + k) * hidden + u, hidden - u) : Vec<T>{});
      }
}

// ---- the table ---------------------------------------------------------------------------------

template <class T>
using Panels = void (*)(const RnnStep<T>&, int64_t, int64_t);

template <class T>
void forward(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last) {
  static constexpr Panels<T> of[] = {forward_panels<T, Cell::tanh>, forward_panels<T, Cell::relu>,
                                     forward_panels<T, Cell::lstm>, forward_panels<T, Cell::gru>};
  of[static_cast<int>(cell)](step, first, last);
}
template <class T>
void single(Cell cell, const RnnSingle<T>& one, int64_t first, int64_t last) {
  static constexpr void (*of[])(const RnnSingle<T>&, int64_t, int64_t) = {
      single_panels<T, Cell::tanh>, single_panels<T, Cell::relu>, single_panels<T, Cell::lstm>,
      single_panels<T, Cell::gru>};
  of[static_cast<int>(cell)](one, first, last);
}
template <class T>
void backward(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last) {
  static constexpr Panels<T> of[] = {backward_panels<T, Cell::tanh>, backward_panels<T, Cell::relu>,
                                     backward_panels<T, Cell::lstm>, backward_panels<T, Cell::gru>};
  of[static_cast<int>(cell)](step, first, last);
}
template <class T>
void finish(Cell cell, const RnnStep<T>& step, int64_t first, int64_t last) {
  static constexpr Panels<T> of[] = {finish_panels<T, Cell::tanh>, finish_panels<T, Cell::relu>,
                                     finish_panels<T, Cell::lstm>, finish_panels<T, Cell::gru>};
  of[static_cast<int>(cell)](step, first, last);
}

template <class T>
constexpr RnnKernels<T> kernels = {lanes<T>,   2,         pack_forward<T>, pack_backward<T>,
                                   forward<T>, single<T>, backward<T>,     finish<T>};

}  // namespace

const RnnTable rnn_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
