// Functions of one element: for each a struct of the function and of its derivative times a
// gradient, which gets the input, or the output where the comment says so.
//
// Products that meet a sum are written as fma, as in simd/math.h: the bits are then the same on
// every set that has it.
#include "elementwise/kernels.h"
#include "simd/math.h"

namespace pyconv::PYCONV_ISA {
namespace {

template <class T>
struct Abs {
  static Vec<T> forward(Vec<T> x, T, T) { return abs<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    return x > T(0) ? g : (x < T(0) ? -g : g * x);  // 0, or NaN
  }
};

template <class T>
struct Clamp {
  static Vec<T> forward(Vec<T> x, T least, T most) {
    return at_most<T>(at_least<T>(x, least), most);
  }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T least, T most) {
    g = x >= least ? g : Vec<T>{};
    return x <= most ? g : Vec<T>{};
  }
};

template <class T>
struct Elu {
  static Vec<T> forward(Vec<T> x, T alpha, T) {
    return x > T(0) ? x : alpha * expm1_of_negative<T>(x);
  }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T alpha, T) {
    return x > T(0) ? g : g * alpha * exp<T>(x);
  }
};

template <class T>
struct Erf {
  static Vec<T> forward(Vec<T> x, T, T) { return erf<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    return g * T(1.1283791670955126) * exp<T>(-x * x);
  }
};

template <class T>
struct Exp {
  static Vec<T> forward(Vec<T> x, T, T) { return exp<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) { return g * output; }
};

// x times the normal distribution function. Hendrycks and Gimpel, arXiv:1606.08415.
template <class T>
struct Gelu {
  static Vec<T> forward(Vec<T> x, T, T) { return x * normal_cdf<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    const Vec<T> density =
        exp2_of_negative<T>(x * x * T(-0.72134752044448170)) * T(0.39894228040143268);
    return g * fma<T>(x, density, normal_cdf<T>(x));
  }
};

// The same with (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) for that function, where
// u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
struct GeluTanh {
  static constexpr T twice_root = T(1.5957691216057308), cubic = T(0.044715);
  static constexpr T log2_e = T(1.4426950408889634);
  static Vec<T> exponential(Vec<T> x) {
    constexpr T first = -twice_root * log2_e;
    return exp2<T>(x * fma<T>(x * x, first * cubic, first));
  }
  static Vec<T> forward(Vec<T> x, T, T) { return x / (T(1) + exponential(x)); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    const Vec<T> s = T(1) / (T(1) + exponential(x));
    const Vec<T> slope = fma<T>(x * x, 3 * twice_root * cubic, twice_root);
    return g * fma<T>(x * s * (T(1) - s), slope, s);
  }
};

template <class T>
struct Hardsigmoid {
  static Vec<T> forward(Vec<T> x, T, T) {
    return Clamp<T>::forward(x + T(3), T(0), T(6)) * T(1.0 / 6);
  }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    return Vec<T>(abs<T>(x) < T(3) ? g * T(1.0 / 6) : Vec<T>{});
  }
};

template <class T>
struct Hardswish {
  static Vec<T> forward(Vec<T> x, T a, T b) { return x * Hardsigmoid<T>::forward(x, a, b); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    const Vec<T> inside = g * fma<T>(x, T(1.0 / 3), T(0.5));
    return x <= T(-3) ? Vec<T>{} : (x >= T(3) ? g : inside);
  }
};

template <class T>
struct LeakyRelu {
  static Vec<T> forward(Vec<T> x, T slope, T) { return x > T(0) ? x : x * slope; }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T slope, T) { return x > T(0) ? g : g * slope; }
};

template <class T>
struct Log {
  static Vec<T> forward(Vec<T> x, T, T) { return log<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) { return g / x; }
};

// In this form NaN stays NaN and -0 stays -0. The gradient passes where the output is NaN, too.
template <class T>
struct Relu {
  static Vec<T> forward(Vec<T> x, T, T) { return x < T(0) ? Vec<T>{} : x; }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) { return output <= T(0) ? Vec<T>{} : g; }
};

template <class T>
struct Relu6 {
  static Vec<T> forward(Vec<T> x, T, T) { return Clamp<T>::forward(x, T(0), T(6)); }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) {
    g = output <= T(0) ? Vec<T>{} : g;
    return output >= T(6) ? Vec<T>{} : g;
  }
};

template <class T>
struct Sigmoid {
  static Vec<T> forward(Vec<T> x, T, T) { return sigmoid<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) { return g * output * (T(1) - output); }
};

template <class T>
struct Silu {
  static Vec<T> forward(Vec<T> x, T, T) { return x * sigmoid<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) {
    const Vec<T> s = sigmoid<T>(x);
    return g * s * fma<T>(x, T(1) - s, broadcast(T(1)));
  }
};

// log(1 + exp(x beta)) / beta; x itself where x beta is above a threshold. log(1 + e) is log(u)
// with u the rounded sum, and e - (u - 1), what rounding left out, over u (Kahan).
template <class T>
struct Softplus {
  static Vec<T> forward(Vec<T> x, T beta, T threshold) {
    const Vec<T> z = x * beta, e = exp<T>(-abs<T>(z)), u = T(1) + e;
    const Vec<T> log1p = log<T>(u) + (e - (u - T(1))) / u;
    const Vec<T> y = ((z > T(0) ? z : Vec<T>{}) + log1p) / beta;
    return z > threshold ? x : y;
  }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T beta, T threshold) {
    const Vec<T> z = x * beta;
    return z > threshold ? g : g * sigmoid<T>(z);
  }
};

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

template <class T>
struct Sqrt {
  static Vec<T> forward(Vec<T> x, T, T) {
    T part[lanes<T>];
    store(part, x);
    for (int i = 0; i < lanes<T>; ++i) part[i] = square_root(part[i]);
    return load(part);
  }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) { return g / (output + output); }
};

template <class T>
struct Square {
  static Vec<T> forward(Vec<T> x, T, T) { return x * x; }
  static Vec<T> backward(Vec<T> g, Vec<T> x, T, T) { return g * (x + x); }
};

template <class T>
struct Tanh {
  static Vec<T> forward(Vec<T> x, T, T) { return tanh<T>(x); }
  static Vec<T> backward(Vec<T> g, Vec<T> output, T, T) {
    return g * fma<T>(-output, output, broadcast(T(1)));
  }
};

// flatten: a function used in two places might else be called for every vector.
template <class T, template <class> class F>
__attribute__((flatten)) void forward(int64_t n, const T* x, T a, T b, T* y, bool past_caches) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  const int64_t past = lines_past(y, n, past_caches);
  for (; i + L <= n; i += L) store(y + i, F<T>::forward(load(x + i), a, b), i < past);
  if (i < n) store_part(y + i, n - i, F<T>::forward(load_part(x + i, n - i, T(1)), a, b));
}

template <class T, template <class> class F>
__attribute__((flatten)) void backward(int64_t n, const T* g, const T* saved, T a, T b,
                                       T* grad_input, bool past_caches) {
  constexpr int L = lanes<T>;
  int64_t i = 0;
  const int64_t past = lines_past(grad_input, n, past_caches);
  for (; i + L <= n; i += L)
    store(grad_input + i, F<T>::backward(load(g + i), load(saved + i), a, b), i < past);
  if (i < n)
    store_part(
        grad_input + i, n - i,
        F<T>::backward(load_part(g + i, n - i, T(1)), load_part(saved + i, n - i, T(1)), a, b));
}

template <class T, template <class> class F>
constexpr UnaryKernel<T> row(const char* name) {
  return {name, forward<T, F>, backward<T, F>};
}

template <class T>
constexpr UnaryKernels<T> kernels = {{
    row<T, Abs>("abs"),
    row<T, Clamp>("clamp"),
    row<T, Elu>("elu"),
    row<T, Erf>("erf"),
    row<T, Exp>("exp"),
    row<T, Gelu>("gelu"),
    row<T, GeluTanh>("gelu_tanh"),
    row<T, Hardsigmoid>("hardsigmoid"),
    row<T, Hardswish>("hardswish"),
    row<T, LeakyRelu>("leaky_relu"),
    row<T, Log>("log"),
    row<T, Relu>("relu"),
    row<T, Relu6>("relu6"),
    row<T, Sigmoid>("sigmoid"),
    row<T, Silu>("silu"),
    row<T, Softplus>("softplus"),
    row<T, Sqrt>("sqrt"),
    row<T, Square>("square"),
    row<T, Tanh>("tanh"),
}};
static_assert(kernels<float>.all[unary_count - 1].name, "unary_count is more than there are rows");

}  // namespace

const UnaryTable unary_table = {kernels<float>, kernels<double>};

}  // namespace pyconv::PYCONV_ISA
