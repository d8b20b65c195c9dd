// Forming the columns matrix of a convolution, piece by piece, and its adjoint.
//
// Neighbouring columns of one output row are neighbours in the source (stride 1) or every other
// element (stride 2); where the output is as wide as the input, even its rows follow each other.
// Such a stretch is copied a vector at a time as if rows had no ends; a mask per tap then tells
// which columns of a panel lie outside the source, and these are cleared. A vector that reaches
// past its stretch writes where the next one will be written: stretches are done in ascending
// order. "im2col": Chellapilla, Puri, Simard, "High performance convolutional neural networks for
// document processing", 2006.
#include "conv/kernels.h"
#include "simd/vec.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
constexpr int width = 2 * lanes<T>;  // columns of a panel: those of gemm's tile
using Mask = uint32_t;               // a bit per column of a panel
constexpr int most_panels = columns_panels;
constexpr int most_taps = 64;       // whose masks are kept; beyond, they are made anew for each row
constexpr int64_t rows_ahead = 16;  // distance of the prefetch

// Where columns read, before a tap's offset. Positions in each dimension tell whether that is
// inside the source; they fit in 32 bits (shape.cc). Rows are the parts of output rows that follow
// each other.
struct Places {
  struct Row {
    int64_t source, first_column, length;
  };
  Row rows[most_panels * width<float>];
  int row_count = 0;
  int32_t position[3][most_panels * width<float>];

  template <class T>
  void set(const Columns<T>& c, int64_t j0, int64_t count) {
    int64_t at[3], image = j0;
    for (int i = 2; i >= 0; --i) {
      at[i] = image % c.pixels[i];
      image /= c.pixels[i];
    }
    for (int64_t j = 0; j < count;) {
      const int64_t rest = c.pixels[2] - at[2], n = rest < count - j ? rest : count - j;
      int32_t first[3];
      int64_t source = image * c.image_stride;
      for (int i = 0; i < 3; ++i) {
        first[i] = static_cast<int32_t>(at[i] * c.step[i]);
        source += first[i] * c.stride[i];
      }
      rows[row_count++] = {source, j, n};
      const auto step = static_cast<int32_t>(c.step[2]);
      for (int i = 0; i < n; ++i) {
        position[0][j + i] = first[0];
        position[1][j + i] = first[1];
        position[2][j + i] = first[2] + i * step;
      }
      j += n;
      at[2] = 0;
      if (++at[1] < c.pixels[1]) continue;
      at[1] = 0;
      if (++at[0] < c.pixels[0]) continue;
      at[0] = 0;
      ++image;
    }
  }
};

// The row of k: a channel and a tap in each dimension, counted up.
template <class T>
struct RowOfK {
  int64_t channel, tap[3];
  RowOfK(const Columns<T>& c, int64_t k) {
    for (int i = 2; i >= 0; --i) {
      tap[i] = k % c.taps[i];
      k /= c.taps[i];
    }
    channel = k;
  }
  void next(const Columns<T>& c) {
    for (int i = 2; i >= 0; --i) {
      if (++tap[i] < c.taps[i]) return;
      tap[i] = 0;
    }
    ++channel;
  }
  // Of the source row that the channel and the first two taps select.
  int64_t row_offset(const Columns<T>& c) const {
    return channel * c.channel_stride + c.offset[0][tap[0]] * c.stride[0] +
           c.offset[1][tap[1]] * c.stride[1];
  }
};

// Columns copied together: `length` of them, from `from` + the row's source offset, to `to` + the
// row's place in the panel.
template <class T>
struct Stretch {
  const T* from;
  T* to;
  int length, panel, first_column;
};

// In ascending order. Those that whole vectors could take outside the source's memory, and those
// whose elements are too far apart for vectors, are copied last and one by one.
template <class T>
struct Stretches {
  Stretch<T> by_vectors[most_panels * width<T>], by_elements[most_panels * width<T>];
  int vectors = 0, elements = 0;
};

// One dimension's masks: which columns of each panel lie outside the source for a tap.
template <class T>
class Masks {
 public:
  Masks(const Columns<T>& c, int dimension, const Places& places, int64_t columns)
      : c_(c), dimension_(dimension), position_(places.position[dimension]), columns_(columns) {
    for (int64_t tap = 0; tap < c.taps[dimension] && tap < most_taps; ++tap)
      compute(tap, kept_[tap]);
  }
  const Mask* of(int64_t tap) {
    if (tap < most_taps) return kept_[tap];
    compute(tap, spare_);
    return spare_;
  }

 private:
  void compute(int64_t tap, Mask* masks) const {
    const auto shift = static_cast<uint32_t>(c_.offset[dimension_][tap]);
    const auto size = static_cast<uint32_t>(c_.size[dimension_]);
    for (int p = 0; p * width<T> < columns_; ++p) {
      const int32_t* const position = position_ + p * width<T>;
      Mask mask = 0;  // a negative position is a large unsigned one
      for (int j = 0; j < width<T>; ++j)
        mask |= Mask{static_cast<uint32_t>(position[j]) + shift >= size} << j;
      masks[p] = mask & used(columns_ - p * width<T>);
    }
  }
  static Mask used(int64_t columns) { return columns >= 32 ? ~Mask{0} : (Mask{1} << columns) - 1; }

  const Columns<T>& c_;
  const int dimension_;
  const int32_t* const position_;
  const int64_t columns_;
  Mask kept_[most_taps][most_panels], spare_[most_panels];
};

// The least and the greatest source offset of rows [k0, k0 + depth).
template <class T>
struct OffsetRange {
  int64_t least, greatest;
  OffsetRange(const Columns<T>& c, int64_t k0, int64_t depth) {
    const int64_t first = RowOfK<T>(c, k0).channel * c.channel_stride;
    const int64_t last = RowOfK<T>(c, k0 + depth - 1).channel * c.channel_stride;
    least = first < last ? first : last;
    greatest = first < last ? last : first;
    for (int i = 0; i < 3; ++i) {
      int64_t low = c.offset[i][0] * c.stride[i], high = low;
      for (int64_t tap = 1; tap < c.taps[i]; ++tap) {
        const int64_t offset = c.offset[i][tap] * c.stride[i];
        low = offset < low ? offset : low;
        high = offset > high ? offset : high;
      }
      least += low;
      greatest += high;
    }
  }
};

template <class T>
void cut(const Columns<T>& c, const OffsetRange<T>& range, const Places& places, int64_t columns,
         T* packed, int64_t panel_stride, Stretches<T>& out) {
  const int64_t step = c.step[2] * c.stride[2];
  const Places::Row* row = places.rows;
  for (int64_t j = 0; j < columns;) {
    const int64_t first = j, edge = (j / width<T> + 1) * width<T>;
    const int64_t end = edge < columns ? edge : columns;
    const int64_t source = row->source + (first - row->first_column) * step;
    for (;;) {  // as far as the source goes on
      const int64_t row_end = row->first_column + row->length;
      j = row_end < end ? row_end : end;
      if (j < row_end) break;
      ++row;
      if (j == end || row->source != source + (j - first) * step) break;
    }
    Stretch<T> s;
    s.from = c.source + source;
    s.length = static_cast<int>(j - first);
    s.panel = static_cast<int>(first / width<T>);
    s.first_column = static_cast<int>(first % width<T>);
    s.to = packed + s.panel * panel_stride + s.first_column;
    const int64_t read = (s.length + lanes<T> - 1) / lanes<T> * lanes<T> * step;
    if ((step == 1 || step == 2) && s.from + range.least >= c.begin &&
        s.from + range.greatest + read <= c.end)
      out.by_vectors[out.vectors++] = s;
    else
      out.by_elements[out.elements++] = s;
  }
}

template <class T, int Step>
inline Vec<T> load_step(const T* from) {
  if constexpr (Step == 1)
    return load(from);
  else
    return even_lanes<T>(load(from), load(from + lanes<T>));
}

template <class T, int Step>
inline void copy_vectors(const T* from, T* to, int length) {
  constexpr int L = lanes<T>;
  if (length > L) {  // at most two vectors make a panel
    const Vec<T> low = load_step<T, Step>(from), high = load_step<T, Step>(from + Step * L);
    store(to, low);
    store(to + L, high);
  } else {
    store(to, load_step<T, Step>(from));
  }
}

template <class T, int Step>
void fill(const Columns<T>& c, int64_t k0, int64_t depth, const Places& places, int64_t columns,
          T* packed, int64_t panel_stride) {
  Stretches<T> stretches;
  cut(c, OffsetRange<T>(c, k0, depth), places, columns, packed, panel_stride, stretches);
  const int panels = static_cast<int>((columns + width<T> - 1) / width<T>);
  Masks<T> outside[3] = {{c, 0, places, columns}, {c, 1, places, columns}, {c, 2, places, columns}};
  // Channels lie far apart, where no hardware prefetcher looks: ask for the one some rows ahead.
  const int64_t ahead = (1 + rows_ahead / (c.taps[0] * c.taps[1] * c.taps[2])) * c.channel_stride;
  RowOfK<T> k(c, k0);
  for (int64_t row = 0; row < depth; k.next(c)) {
    const int64_t row_offset = k.row_offset(c);
    for (int i = 0; i < stretches.vectors; ++i) {
      const Stretch<T>& s = stretches.by_vectors[i];
      for (int x = 0; x < Step * s.length; x += 64 / static_cast<int>(sizeof(T)))
        __builtin_prefetch(s.from + row_offset + ahead + x);
    }
    Mask row_mask[most_panels];
    const Mask *const first = outside[0].of(k.tap[0]), *const second = outside[1].of(k.tap[1]);
    for (int p = 0; p < panels; ++p) row_mask[p] = first[p] | second[p];

    for (;; ++k.tap[2]) {
      const int64_t offset = row_offset + c.offset[2][k.tap[2]] * c.stride[2];
      const int64_t to = row * width<T>;
      const Mask* const third = outside[2].of(k.tap[2]);
      if constexpr (Step > 0)
        for (int i = 0; i < stretches.vectors; ++i) {
          const Stretch<T>& s = stretches.by_vectors[i];
          copy_vectors<T, Step>(s.from + offset, s.to + to, s.length);
        }
      for (int i = 0; i < stretches.elements; ++i) {
        const Stretch<T>& s = stretches.by_elements[i];
        const Mask mask = (row_mask[s.panel] | third[s.panel]) >> s.first_column;
        const int64_t step = c.step[2] * c.stride[2];
        for (int j = 0; j < s.length; ++j)
          if (!(mask >> j & 1)) s.to[to + j] = s.from[offset + j * step];
      }
      for (int p = 0; p < panels; ++p)
        for (Mask m = row_mask[p] | third[p]; m; m &= m - 1)
          packed[p * panel_stride + to + __builtin_ctz(m)] = 0;
      if (++row == depth || k.tap[2] + 1 == c.taps[2]) break;
    }
  }
}

template <class T>
void pack_columns(const Columns<T>& from, int64_t k0, int64_t depth, int64_t j0, int64_t columns,
                  T* packed, int64_t panel_stride) {
  const int64_t step = from.step[2] * from.stride[2];
  const auto fill_step = step == 1 ? fill<T, 1> : step == 2 ? fill<T, 2> : fill<T, 0>;
  constexpr int64_t most = most_panels * width<T>;
  for (int64_t j = 0; j < columns; j += most) {
    const int64_t some = columns - j < most ? columns - j : most;
    Places places;
    places.set(from, j0 + j, some);
    fill_step(from, k0, depth, places, some, packed + j / width<T> * panel_stride, panel_stride);
  }
  const int64_t used = columns % width<T>;
  if (used == 0) return;
  T* const last = packed + columns / width<T> * panel_stride;
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t j = used; j < width<T>; ++j) last[k * width<T> + j] = 0;
}

// Calls body(source position, column, number) for each stretch of a row of k that lies inside the
// source: `number` columns of one output row, whose source positions are step[2] apart.
template <class T, class Body>
inline void for_each_row(const Columns<T>& c, const RowOfK<T>& k, const Body& body) {
  const int64_t step = c.step[2], shift = c.offset[2][k.tap[2]];
  int64_t low = 0, high = c.pixels[2];
  while (low < high && low * step + shift < 0) ++low;
  while (high > low && (high - 1) * step + shift >= c.size[2]) --high;
  for (int64_t p = 0; p < c.pixels[0]; ++p)
    for (int64_t q = 0; q < c.pixels[1]; ++q) {
      const int64_t d = p * c.step[0] + c.offset[0][k.tap[0]];
      const int64_t h = q * c.step[1] + c.offset[1][k.tap[1]];
      if (d < 0 || d >= c.size[0] || h < 0 || h >= c.size[1]) continue;
      body(k.channel * c.channel_stride + d * c.stride[0] + h * c.stride[1] +
               (low * step + shift) * c.stride[2],
           (p * c.pixels[1] + q) * c.pixels[2] + low, high - low);
    }
}

template <class T>
void write_columns(const Columns<T>& c, int64_t image, int64_t k0, int64_t depth, T* columns) {
  const int64_t pixels = c.pixels[0] * c.pixels[1] * c.pixels[2], step = c.step[2] * c.stride[2];
  const T* const source = c.source + image * c.image_stride;
  RowOfK<T> k(c, k0);
  for (int64_t row = 0; row < depth; ++row, k.next(c), columns += pixels) {
    for (int64_t j = 0; j < pixels; ++j) columns[j] = 0;
    for_each_row(c, k, [&](int64_t from, int64_t to, int64_t n) {
      if (step == 1)  // the compiler's vectors
        for (int64_t i = 0; i < n; ++i) columns[to + i] = source[from + i];
      else
        for (int64_t i = 0; i < n; ++i) columns[to + i] = source[from + i * step];
    });
  }
}

template <class T>
void add_columns(const Columns<T>& c, int64_t image, int64_t k0, int64_t depth, const T* columns,
                 T* result) {
  const int64_t pixels = c.pixels[0] * c.pixels[1] * c.pixels[2], step = c.step[2] * c.stride[2];
  result += image * c.image_stride;
  RowOfK<T> k(c, k0);
  for (int64_t row = 0; row < depth; ++row, k.next(c), columns += pixels) {
    for_each_row(c, k, [&](int64_t to, int64_t from, int64_t n) {
      if (step == 1)
        for (int64_t i = 0; i < n; ++i) result[to + i] += columns[from + i];
      else
        for (int64_t i = 0; i < n; ++i) result[to + i * step] += columns[from + i];
    });
  }
}

template <class T>
void scatter(const T* from, int64_t n, const int64_t* offset, T* to) {
  constexpr int L = lanes<T>;
  for (int64_t j = 0; j < n;) {
    if (j + L <= n && offset[j + L - 1] == offset[j] + L - 1) {  // ascending: no gap in between
      store(to + offset[j], load(from + j));
      j += L;
    } else {
      to[offset[j]] = from[j];
      ++j;
    }
  }
}

template <class T>
constexpr ConvKernels<T> kernels = {pack_columns<T>, write_columns<T>, add_columns<T>, scatter<T>};

}  // namespace

const ConvTable conv_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
