// A thread block that also runs on the host.
//
// A kernel body is a sequence of phases. On the device a phase runs once in every thread and ends
// with a barrier; on the host it is a loop over the threads (or warps) of the block. What a thread
// keeps from one phase to the next lives in PerThread or PerWarp: registers on the device, arrays
// on the host. So one body serves the GPU and a run on the CPU under a sanitizer.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>

#define MMATTN_HD __host__ __device__ __forceinline__

namespace mmattn {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// The order of a host run. Threads of one phase must not depend on each other, nor blocks of one
// launch; if they do, the two orders give different results.
inline bool& host_runs_backwards() {
  static bool backwards = false;
  return backwards;
}

template <typename Function>
void host_loop(int64_t count, Function function) {
  for (int64_t i = 0; i < count; ++i) function(host_runs_backwards() ? count - 1 - i : i);
}

template <typename Function>
MMATTN_HD void for_each_thread(Function function) {
#ifdef __CUDA_ARCH__
  function(static_cast<int>(threadIdx.x));
  __syncthreads();
#else
  host_loop(kThreads, [&](int64_t thread) { function(static_cast<int>(thread)); });
#endif
}

template <typename Function>
MMATTN_HD void for_each_warp(Function function) {
#ifdef __CUDA_ARCH__
  function(static_cast<int>(threadIdx.x / 32));
  __syncthreads();
#else
  host_loop(kWarps, [&](int64_t warp) { function(static_cast<int>(warp)); });
#endif
}

template <typename T, int kCount>
class Private {
 public:
  MMATTN_HD T& operator[](int index) {
#ifdef __CUDA_ARCH__
    return value_;
#else
    return values_[index];
#endif
  }

 private:
#ifdef __CUDA_ARCH__
  T value_;
#else
  T values_[kCount];
#endif
};

template <typename T>
using PerThread = Private<T, kThreads>;
template <typename T>
using PerWarp = Private<T, kWarps>;

// Conversions by name: PyTorch builds extensions with the implicit ones switched off.
MMATTN_HD float to_float(float x) { return x; }
MMATTN_HD float to_float(__half x) { return __half2float(x); }
MMATTN_HD float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
MMATTN_HD void from_float(float x, float& to) { to = x; }
MMATTN_HD void from_float(float x, __half& to) { to = __float2half_rn(x); }
MMATTN_HD void from_float(float x, __nv_bfloat16& to) { to = __float2bfloat16_rn(x); }

// 16 bytes, the widest access to memory; where it is read or written, memory must be aligned so.
template <typename T>
struct alignas(16) Vector {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

// kReadOnly: from global memory that nobody writes during the launch.
template <bool kReadOnly = false, typename T>
MMATTN_HD void load(Vector<T>& to, const T* from) {
#ifdef __CUDA_ARCH__
  const uint4* source = reinterpret_cast<const uint4*>(from);
  const uint4 word = kReadOnly ? __ldg(source) : *source;
  memcpy(&to, &word, sizeof(word));
#else
  std::memcpy(static_cast<void*>(&to), from, sizeof(to));
#endif
}

template <typename T>
MMATTN_HD void store(T* to, const Vector<T>& from) {
#ifdef __CUDA_ARCH__
  uint4 word;
  memcpy(&word, &from, sizeof(word));
  *reinterpret_cast<uint4*>(to) = word;
#else
  std::memcpy(static_cast<void*>(to), &from, sizeof(from));
#endif
}

template <typename T>
MMATTN_HD T minimum(T a, T b) {
  return b < a ? b : a;
}

MMATTN_HD int divide_up(int a, int b) { return a / b + (a % b != 0); }
MMATTN_HD int round_up_to_16(int x) { return (x + 15) / 16 * 16; }

}  // namespace mmattn
