// The errors that cross into Python, and check(), which builds its sentence only on failure.
#pragma once
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace pyconv {

struct InvalidArgument : std::invalid_argument {  // ValueError
  using std::invalid_argument::invalid_argument;
};
struct WrongType : std::invalid_argument {  // TypeError
  using std::invalid_argument::invalid_argument;
};
struct Unsupported : std::runtime_error {  // NotImplementedError
  using std::runtime_error::runtime_error;
};

// A part of a sentence that costs something is a function that returns it, called only on failure.
template <class Part>
void append(std::ostream& out, const Part& part) {
  if constexpr (std::is_invocable_v<Part>)
    out << part();
  else
    out << part;
}

template <class... Parts>
std::string sentence(const Parts&... parts) {
  std::ostringstream out;
  (append(out, parts), ...);
  return out.str();
}

// An argument of three spatial dimensions as the user counts them; text only within a sentence.
struct SpatialText {
  const int64_t (&values)[3];
  int ndim;
  friend std::ostream& operator<<(std::ostream& out, const SpatialText& text) {
    if (text.ndim == 1) return out << text.values[2];
    for (int i = 3 - text.ndim; i < 3; ++i)
      out << (i == 3 - text.ndim ? "(" : ", ") << text.values[i];
    return out << ")";
  }
};

template <class Error = InvalidArgument, class... Parts>
inline void check(bool ok, const Parts&... parts) {
  if (__builtin_expect(!ok, 0)) throw Error(sentence(parts...));
}

}  // namespace pyconv
