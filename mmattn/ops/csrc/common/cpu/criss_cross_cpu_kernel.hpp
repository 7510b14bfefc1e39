// Loops of the CPU criss-cross attention over raw memory, without torch; the matrix products are ATen's.
//
// A line is a row or a column of an image. Packed lines are dense: [line][pixel][channel], or
// [line][channel][pixel] where the channels of a pixel do not lie side by side in the tensor. Weights
// are [line][pixel][pixel]: of each pixel of a line, for all pixels of that line.
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
using accumulate_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

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

// sum <- keep * sum + x, for arrays, where each element has its factor.
template <typename T, typename A>
MMATTN_SIMD_CLONES void blend(const T* x, T* sum, const A* keep, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    sum[i] = static_cast<T>(keep[i] * static_cast<A>(sum[i]) + static_cast<A>(x[i]));
}

template <typename T, typename A>
MMATTN_SIMD_CLONES void blend(const T* x, T* sum, A keep, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    sum[i] = static_cast<T>(keep * static_cast<A>(sum[i]) + static_cast<A>(x[i]));
}

template <typename A>
MMATTN_SIMD_CLONES A largest(const A* x, int64_t n) {
  A result = std::numeric_limits<A>::lowest();  // finite, also of scores that are all -infinity
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

// x <- exp(x - high - low), at most 1.
template <typename A>
MMATTN_SIMD_CLONES void exponentiate_at_most_one(A* x, int64_t n, A high, A low) {
  for (int64_t i = 0; i < n; ++i) {
    const A shifted = (x[i] - high) - low;
    x[i] = exp_of_negative(shifted > 0 ? 0 : shifted);
  }
}

template <typename A>
MMATTN_SIMD_CLONES void multiply(A* x, int64_t n, A factor) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// y <- (x - shift) * y
template <typename T, typename A>
MMATTN_SIMD_CLONES void multiply_shifted(const T* x, T* y, int64_t n, A shift) {
  for (int64_t i = 0; i < n; ++i)
    y[i] = static_cast<T>(static_cast<A>(y[i]) * (static_cast<A>(x[i]) - shift));
}

template <typename T, typename A>
MMATTN_SIMD_CLONES A dot(const T* x, const T* y, int64_t n) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<A>(x[i]) * static_cast<A>(y[i]);
  return sum;
}

// How lines lie in a tensor, in elements.
struct Strides {
  int64_t line;
  int64_t pixel;
  int64_t channel;
};

struct Extent {
  int64_t lines;
  int64_t pixels;    // of a line
  int64_t channels;
};

constexpr int64_t kTile = 16;  // one cache line of floats

// body(channel, first line, lines, first pixel, pixels) for tiles of lines and pixels: for tensors in
// which neither channels nor pixels, but the lines lie side by side. The pixels of a tile are a
// row of the image apart, too far for the hardware's prefetching: bodies ask for the next channel's.
template <typename Body>
void for_tiles(const Extent& extent, const Body& body) {
  for (int64_t channel = 0; channel < extent.channels; ++channel)
    for (int64_t pixel = 0; pixel < extent.pixels; pixel += kTile)
      for (int64_t line = 0; line < extent.lines; line += kTile)
        body(channel, line, std::min(kTile, extent.lines - line), pixel,
             std::min(kTile, extent.pixels - pixel));
}

template <typename T>
void pack(const T* from, const Strides& strides, T* to, const Extent& extent) {
  const auto [lines, pixels, channels] = extent;
  if (strides.channel == 1) {
    for (int64_t l = 0; l < lines; ++l)
      for (int64_t p = 0; p < pixels; ++p)
        std::copy_n(from + l * strides.line + p * strides.pixel, channels,
                    to + (l * pixels + p) * channels);
  } else if (strides.pixel == 1) {
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t l = 0; l < lines; ++l)
        std::copy_n(from + c * strides.channel + l * strides.line, pixels,
                    to + (l * channels + c) * pixels);
  } else {
    for_tiles(extent, [&](int64_t c, int64_t l0, int64_t nl, int64_t p0, int64_t np) {
      const T* source = from + c * strides.channel + l0 * strides.line + p0 * strides.pixel;
      for (int64_t p = 0; p < np; ++p) __builtin_prefetch(source + strides.channel + p * strides.pixel);
      T* target = to + (l0 * channels + c) * pixels + p0;
      for (int64_t l = 0; l < nl; ++l)
        for (int64_t p = 0; p < np; ++p)
          target[l * channels * pixels + p] = source[l * strides.line + p * strides.pixel];
    });
  }
}

// Packed lines into a tensor, or onto keep[line][pixel] times what is there.
template <typename T>
void unpack(const T* from, T* to, const Strides& strides, const Extent& extent,
            const accumulate_t<T>* keep) {
  using A = accumulate_t<T>;
  const auto [lines, pixels, channels] = extent;
  if (strides.channel == 1) {
    for (int64_t l = 0; l < lines; ++l)
      for (int64_t p = 0; p < pixels; ++p) {
        const T* source = from + (l * pixels + p) * channels;
        T* target = to + l * strides.line + p * strides.pixel;
        keep ? blend(source, target, keep[l * pixels + p], channels)
             : (void)std::copy_n(source, channels, target);
      }
  } else if (strides.pixel == 1) {
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t l = 0; l < lines; ++l) {
        const T* source = from + (l * channels + c) * pixels;
        T* target = to + c * strides.channel + l * strides.line;
        keep ? blend(source, target, keep + l * pixels, pixels)
             : (void)std::copy_n(source, pixels, target);
      }
  } else {
    for_tiles(extent, [&](int64_t c, int64_t l0, int64_t nl, int64_t p0, int64_t np) {
      T* target = to + c * strides.channel + l0 * strides.line + p0 * strides.pixel;
      const T* source = from + (l0 * channels + c) * pixels + p0;
      for (int64_t p = 0; p < np; ++p) __builtin_prefetch(target + strides.channel + p * strides.pixel);
      for (int64_t p = 0; p < np; ++p)
        for (int64_t l = 0; l < nl; ++l) {
          T& place = target[l * strides.line + p * strides.pixel];
          const T x = source[l * channels * pixels + p];
          place = keep ? static_cast<T>(keep[(l0 + l) * pixels + p0 + p] * static_cast<A>(place) +
                                        static_cast<A>(x))
                       : x;
        }
    });
  }
}

// sums[line][pixel] <- sums (unless first) + the dot product of the pixel's weights in two maps.
template <typename T>
void add_dots(const T* x, const T* y, accumulate_t<T>* sums, const Strides& strides, bool first,
              int64_t lines, int64_t pixels) {
  using A = accumulate_t<T>;
  for (int64_t l = 0; l < lines; ++l)
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t place = (l * pixels + p) * pixels;
      A& sum = sums[l * strides.line + p * strides.pixel];
      sum = (first ? 0 : sum) + dot<T, A>(x + place, y + place, pixels);
    }
}

// body(scores of a pixel in accumulate_t, line, pixel) changes them in place. A pixel is left out of its
// column: it is in its row.
template <typename T, typename Body>
void for_scores(T* weights, bool columns, int64_t lines, int64_t pixels, const Body& body) {
  using A = accumulate_t<T>;
  std::vector<A> scores(pixels);
  for (int64_t l = 0; l < lines; ++l)
    for (int64_t p = 0; p < pixels; ++p) {
      T* place = weights + (l * pixels + p) * pixels;
      convert(place, scores.data(), pixels);
      if (columns) scores[p] = -std::numeric_limits<A>::infinity();
      body(scores.data(), l, p);
      convert(scores.data(), place, pixels);
    }
}

// Scores become probabilities over the line, times share(line, pixel, log-sum-exp), in place.
template <typename T, typename Share>
void softmax_of_lines(T* weights, bool columns, int64_t lines, int64_t pixels, const Share& share) {
  using A = accumulate_t<T>;
  for_scores(weights, columns, lines, pixels, [&](A* scores, int64_t l, int64_t p) {
    const A shift = largest(scores, pixels);
    const A sum = exponentiate(scores, pixels, shift);
    const double factor = share(l, p, shift + std::log(double(sum)));
    multiply(scores, pixels, sum == 0 ? 0 : static_cast<A>(factor / sum));
  });
}

template <typename T>
void softmax_of_rows(T* weights, double* log_sum_exp, const Strides& strides, int64_t lines,
                     int64_t pixels) {
  softmax_of_lines(weights, false, lines, pixels, [&](int64_t l, int64_t p, double row) {
    log_sum_exp[l * strides.line + p * strides.pixel] = row;
    return 1.0;
  });
}

// Probabilities over the cross, whose row has the log-sum-exp given; that becomes the one of the cross,
// and keep[line][pixel] the row's share of the probability.
template <typename T>
void softmax_of_columns(T* weights, double* log_sum_exp, const Strides& strides,
                        accumulate_t<T>* keep, int64_t lines, int64_t pixels) {
  softmax_of_lines(weights, true, lines, pixels, [&](int64_t l, int64_t p, double column) {
    double& total = log_sum_exp[l * strides.line + p * strides.pixel];
    // The lesser of the two sums in units of the greater.
    const double gap = column - total, smaller = std::exp(-std::abs(gap));
    const double lesser = smaller / (1 + smaller), greater = 1 / (1 + smaller);
    total = std::max(total, column) + std::log1p(smaller);
    keep[l * pixels + p] = static_cast<accumulate_t<T>>(gap > 0 ? lesser : greater);
    return gap > 0 ? greater : lesser;
  });
}

// Scores become probabilities over the cross, in place, given its log-sum-exp.
template <typename T>
void probabilities(T* weights, const double* log_sum_exp, const Strides& strides, bool columns,
                   int64_t lines, int64_t pixels) {
  using A = accumulate_t<T>;
  for_scores(weights, columns, lines, pixels, [&](A* scores, int64_t l, int64_t p) {
    // In one float a log-sum-exp in the hundreds would cost the probabilities four digits.
    const double exact = log_sum_exp[l * strides.line + p * strides.pixel];
    const A high = static_cast<A>(exact);
    exponentiate_at_most_one(scores, pixels, high, static_cast<A>(exact - high));
  });
}

// Probabilities become gradients of the scores, in place, given the gradients of the probabilities
// and delta, the sum of their products over the cross.
template <typename T>
void score_gradients(T* weights, const T* grads, const accumulate_t<T>* delta,
                     const Strides& strides, int64_t lines, int64_t pixels) {
  for (int64_t l = 0; l < lines; ++l)
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t place = (l * pixels + p) * pixels;
      multiply_shifted(grads + place, weights + place, pixels,
                       delta[l * strides.line + p * strides.pixel]);
    }
}

}  // namespace mmattn

#endif  // MMATTN_CRISS_CROSS_CPU_KERNEL_HPP
