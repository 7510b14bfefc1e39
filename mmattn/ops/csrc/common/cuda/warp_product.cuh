// A warp's product of matrices in shared memory, summed in float32.
//
// Both forms hold kM x kN tiles of 16 x 16 sums and have the same members, so that kernels are
// written once: TensorProduct for half and bfloat16, SimtProduct for any type.
#pragma once

#include <mma.h>

#include <cstdlib>
#include <type_traits>

#include "block.cuh"

namespace mmattn {

template <typename T, int kM, int kN>
class TensorProduct {
 public:
  MMATTN_HD void clear() {
#pragma unroll
    for (int i = 0; i < kM; ++i) {
#pragma unroll
      for (int j = 0; j < kN; ++j) {
#ifdef __CUDA_ARCH__
        nvcuda::wmma::fill_fragment(sums_[i][j], 0.f);
#else
        for (float& sum : sums_[i][j]) sum = 0;
#endif
      }
    }
  }

  // Adds a (16 kM x 16, rows of lda) times b (16 x 16 kN): b is stored with rows of ldb, or, where
  // it is transposed, with columns of ldb.
  template <bool kTransposed>
  MMATTN_HD void add(const T* a, int lda, const T* b, int ldb) {
#ifdef __CUDA_ARCH__
    namespace wmma = nvcuda::wmma;
    using Layout = std::conditional_t<kTransposed, wmma::col_major, wmma::row_major>;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, T, Layout> right[kN];
#pragma unroll
    for (int j = 0; j < kN; ++j) {
      wmma::load_matrix_sync(right[j], b + 16 * j * (kTransposed ? ldb : 1), ldb);
    }
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> left;
      wmma::load_matrix_sync(left, a + 16 * i * lda, lda);
#pragma unroll
      for (int j = 0; j < kN; ++j) wmma::mma_sync(sums_[i][j], left, right[j], sums_[i][j]);
    }
#else
    check(a, lda);
    check(b, ldb);
    float right[16][16 * kN];
    for (int k = 0; k < 16; ++k) {
      for (int j = 0; j < 16 * kN; ++j) {
        right[k][j] = to_float(kTransposed ? b[j * ldb + k] : b[k * ldb + j]);
      }
    }
    for (int i = 0; i < 16 * kM; ++i) {
      for (int k = 0; k < 16; ++k) {
        const float left = to_float(a[i * lda + k]);
        for (int j = 0; j < 16 * kN; ++j) {
          sums_[i / 16][j / 16][i % 16 * 16 + j % 16] += left * right[k][j];
        }
      }
    }
#endif
  }

  // Writes the i-th row of tiles (16 x 16 kN).
  MMATTN_HD void store(int i, float* to, int ld) const {
#pragma unroll
    for (int j = 0; j < kN; ++j) {
#ifdef __CUDA_ARCH__
      nvcuda::wmma::store_matrix_sync(to + 16 * j, sums_[i][j], ld, nvcuda::wmma::mem_row_major);
#else
      check(to + 16 * j, ld);
      for (int e = 0; e < 256; ++e) to[e / 16 * ld + 16 * j + e % 16] = sums_[i][j][e];
#endif
    }
  }

 private:
#ifdef __CUDA_ARCH__
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums_[kM][kN];
#else
  // What wmma asks of a matrix in memory.
  template <typename Element>
  static void check(const Element* matrix, int ld) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(matrix) % 32 == 0;
    if (!aligned || ld * sizeof(Element) % 16 != 0) std::abort();
  }

  float sums_[kM][kN][256];
#endif
};

// Of each tile a lane holds rows 2 * (lane / 4) + {0, 1} and columns lane % 4 + {0, 4, 8, 12}:
// with rows of 4 words modulo 32 banks, the reads of a warp do not conflict.
template <typename T, int kM, int kN>
class SimtProduct {
 public:
  MMATTN_HD void clear() {
    for_each_lane([](int, Sums& sums) {
#pragma unroll
      for (int e = 0; e < kM * kN * 8; ++e) sums[e / (8 * kN)][e / 8 % kN][e % 8] = 0;
    });
  }

  template <bool kTransposed>
  MMATTN_HD void add(const T* a, int lda, const T* b, int ldb) {
    for_each_lane([&](int lane, Sums& sums) {
      const T* left_rows = a + lane / 4 * 2 * lda;
      const T* right_columns = b + lane % 4 * (kTransposed ? ldb : 1);
#pragma unroll 1
      for (int k = 0; k < 16; ++k) {
        float left[kM][2], right[kN][4];
#pragma unroll
        for (int i = 0; i < kM * 2; ++i) {
          left[i / 2][i % 2] = to_float(left_rows[(i / 2 * 16 + i % 2) * lda + k]);
        }
#pragma unroll
        for (int j = 0; j < kN * 4; ++j) {
          const int offset = kTransposed ? 4 * j * ldb + k : k * ldb + 4 * j;
          right[j / 4][j % 4] = to_float(right_columns[offset]);
        }
#pragma unroll
        for (int i = 0; i < kM; ++i) {
#pragma unroll
          for (int j = 0; j < kN; ++j) {
#pragma unroll
            for (int e = 0; e < 8; ++e) sums[i][j][e] += left[i][e / 4] * right[j][e % 4];
          }
        }
      }
    });
  }

  MMATTN_HD void store(int i, float* to, int ld) {
    for_each_lane([&](int lane, Sums& sums) {
      float* corner = to + lane / 4 * 2 * ld + lane % 4;
#pragma unroll
      for (int j = 0; j < kN; ++j) {
#pragma unroll
        for (int e = 0; e < 8; ++e) corner[e / 4 * ld + 16 * j + e % 4 * 4] = sums[i][j][e];
      }
    });
  }

 private:
  using Sums = float[kM][kN][8];

  template <typename Function>
  MMATTN_HD void for_each_lane(Function function) {
#ifdef __CUDA_ARCH__
    function(static_cast<int>(threadIdx.x % 32), sums_);
#else
    for (int lane = 0; lane < 32; ++lane) function(lane, sums_[lane]);
#endif
  }

#ifdef __CUDA_ARCH__
  Sums sums_;
#else
  Sums sums_[32];
#endif
};

// Tensor cores take half from sm_70 on and bfloat16 from sm_80 on.
template <typename T>
constexpr bool has_tensor_cores() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return std::is_same<T, __half>::value;
#else
  return !std::is_same<T, float>::value;
#endif
}

// What a GPU should use; a class of its own, so that kernels have one name on all architectures.
template <typename T, int kM, int kN>
class BestProduct
    : public std::conditional_t<has_tensor_cores<T>(), TensorProduct<T, kM, kN>,
                                SimtProduct<T, kM, kN>> {};

}  // namespace mmattn
