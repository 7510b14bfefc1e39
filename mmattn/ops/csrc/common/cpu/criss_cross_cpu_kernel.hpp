// Loops of the CPU criss-cross attention over raw memory, without torch; the matrix products are ATen's.
//
// Feature maps are "pixels" here: (height, width, channels) in memory. The scores of pixel (y, x) stand
// in two maps: those of its row in row_map[y][x][0..width), of its column in column_map[x][y][0..height).
#ifndef MMATTN_CRISS_CROSS_CPU_KERNEL_HPP
#define MMATTN_CRISS_CROSS_CPU_KERNEL_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

// One binary serves every x86-64 machine: the loader picks the widest clone that it can run.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define MMATTN_SIMD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MMATTN_SIMD_CLONES
#endif

namespace mmattn {

template <typename T>
using accumulate_t =
    std::conditional_t<std::is_same_v<std::remove_const_t<T>, double>, double, float>;

// exp(x) for x <= 0 within 2 ulp, in a form that compilers vectorise: 2^n through the exponent bits,
// times the polynomial of Cephes' expf for the rest.
inline float exp_of_negative(float x) {
  constexpr float kUnderflow = -87.0f;   // exp is below 2e-38 there: nothing to a softmax
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < kUnderflow ? kUnderflow : x;
  const float n = (clamped * 1.44269504f + kRound) - kRound;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent_bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &exponent_bits, sizeof(power));
  return x < kUnderflow ? 0.0f : p * power;
}

inline double exp_of_negative(double x) { return std::exp(x); }

template <typename T, typename U>
MMATTN_SIMD_CLONES void convert(const T* from, U* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<U>(from[i]);
}

template <typename A>
MMATTN_SIMD_CLONES A largest(const A* x, int64_t n) {
  A result = -std::numeric_limits<A>::infinity();
#pragma omp simd reduction(max : result)
  for (int64_t i = 0; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// x <- exp(x - shift); returns the sum of the new x.
template <typename A>
MMATTN_SIMD_CLONES A exponentiate(A* x, int64_t n, A shift) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    x[i] = exp_of_negative(x[i] - shift);
    sum += x[i];
  }
  return sum;
}

template <typename A>
MMATTN_SIMD_CLONES void multiply(A* x, int64_t n, A factor) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

template <typename A>
MMATTN_SIMD_CLONES A dot(const A* x, const A* y, int64_t n) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// y <- (x - shift) * y
template <typename A>
MMATTN_SIMD_CLONES void multiply_shifted(const A* x, A* y, int64_t n, A shift) {
  for (int64_t i = 0; i < n; ++i) y[i] *= x[i] - shift;
}

// The cross of one pixel in the two maps: its column first, then its row, as one vector.
template <typename T>
struct Cross {
  T* column;
  T* row;
  int64_t height;
  int64_t width;

  Cross(T* column_map, T* row_map, int64_t height, int64_t width, int64_t pixel)
      : column(column_map + ((pixel % width) * height + pixel / width) * height),
        row(row_map + pixel * width),
        height(height),
        width(width) {}

  void load(accumulate_t<T>* cross) const {
    convert(column, cross, height);
    convert(row, cross + height, width);
  }

  void store(const accumulate_t<T>* cross) const {
    convert(cross, column, height);
    convert(cross + height, row, width);
  }
};

// Scores become probabilities, in place, for the pixels [begin, end); writes their log-sum-exps where
// log_sum_exp is not null. The backward pass calls it too: exp(score - log_sum_exp) would be off by the
// rounding of a large log-sum-exp, and the whole cross is at hand.
template <typename T>
void softmax_of_crosses(T* column_map, T* row_map, accumulate_t<T>* log_sum_exp, int64_t height,
                        int64_t width, int64_t begin, int64_t end) {
  using A = accumulate_t<T>;
  const int64_t n = height + width;
  std::vector<A> cross(n);
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const Cross<T> place(column_map, row_map, height, width, pixel);
    place.load(cross.data());
    cross[pixel / width] = -std::numeric_limits<A>::infinity();  // the pixel itself is in its row
    const A shift = largest(cross.data(), n);
    const A sum = exponentiate(cross.data(), n, shift);
    multiply(cross.data(), n, 1 / sum);
    place.store(cross.data());
    if (log_sum_exp != nullptr) log_sum_exp[pixel] = shift + std::log(sum);
  }
}

// Probabilities become gradients of the scores, in place, given the gradients of the probabilities.
template <typename T>
void softmax_backward_of_crosses(T* column_probs, T* row_probs, const accumulate_t<T>* column_grads,
                                 const accumulate_t<T>* row_grads, int64_t height, int64_t width,
                                 int64_t begin, int64_t end) {
  using A = accumulate_t<T>;
  const int64_t n = height + width;
  std::vector<A> probs(n), grads(n);
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const Cross<T> place(column_probs, row_probs, height, width, pixel);
    place.load(probs.data());
    Cross<const A>(column_grads, row_grads, height, width, pixel).load(grads.data());
    multiply_shifted(grads.data(), probs.data(), n, dot(probs.data(), grads.data(), n));
    place.store(probs.data());
  }
}

constexpr int64_t kTile = 16;  // one cache line of floats

// (channels, n pixels) with `plane` elements from channel to channel -> (n, channels), for the pixels
// [begin, end).
template <typename T>
void planes_to_pixels(const T* planes, int64_t plane, T* pixels, int64_t channels, int64_t begin,
                      int64_t end) {
  for (int64_t p0 = begin; p0 < end; p0 += kTile) {
    const int64_t p1 = std::min(p0 + kTile, end);
    for (int64_t c0 = 0; c0 < channels; c0 += kTile) {
      const int64_t c1 = std::min(c0 + kTile, channels);
      for (int64_t p = p0; p < p1; ++p)
        for (int64_t c = c0; c < c1; ++c) pixels[p * channels + c] = planes[c * plane + p];
    }
  }
}

// out[y][x][c] = from_rows[y][x][c] + from_columns[x][y][c] for the rows [begin, end) of the image;
// out has any pixel and channel strides, the other two are contiguous.
template <typename T>
void sum_of_directions(const T* from_rows, const T* from_columns, T* out, int64_t pixel_stride,
                       int64_t channel_stride, int64_t channels, int64_t height, int64_t width,
                       int64_t begin, int64_t end) {
  using A = accumulate_t<T>;
  T tile[kTile][kTile];
  for (int64_t y = begin; y < end; ++y) {
    for (int64_t x0 = 0; x0 < width; x0 += kTile) {
      const int64_t nx = std::min(kTile, width - x0);
      for (int64_t c0 = 0; c0 < channels; c0 += kTile) {
        const int64_t nc = std::min(kTile, channels - c0);
        for (int64_t x = 0; x < nx; ++x) {
          const T* row = from_rows + (y * width + x0 + x) * channels + c0;
          const T* column = from_columns + ((x0 + x) * height + y) * channels + c0;
          for (int64_t c = 0; c < nc; ++c)
            tile[x][c] = static_cast<T>(static_cast<A>(row[c]) + static_cast<A>(column[c]));
        }
        T* corner = out + (y * width + x0) * pixel_stride + c0 * channel_stride;
        for (int64_t c = 0; c < nc; ++c)
          for (int64_t x = 0; x < nx; ++x) corner[x * pixel_stride + c * channel_stride] = tile[x][c];
      }
    }
  }
}

}  // namespace mmattn

#endif  // MMATTN_CRISS_CROSS_CPU_KERNEL_HPP
