// Criss-cross attention (CCNet, https://arxiv.org/abs/1811.11721) on images in channels_last.
//
// There, a row or a column of an image is a (length x channels) matrix with a constant stride, so
// one kernel serves both directions: launched for the columns (where a pixel does not see itself),
// then for the rows, adding to what the columns gave. Four kernels make up the op:
//   LogSumExp      the maximum and the sum of exp(score) over each pixel's cross,
//   Attend         weighted sums: the output, and with the roles of query and key exchanged and
//                  grad_out for the values, the gradient of the values,
//   Delta          the dot product of grad_out and out,
//   ScoreGradient  the gradient of the query, and with the roles exchanged, that of the key.
// A block owns 64 pixels of one line and walks the line's other side in tiles of 64; scores and
// weights stay in shared memory. Every result element has one owner and one order of summation, so
// the backward is deterministic without atomics. It multiplies 1.6 times as often as one pass per
// line that keeps all gradients, but needs no more than 64 sums per thread and has a block for
// every tile and chunk of channels, where that pass has one block per line.
//
// Between the launches the partial sums stand in the result, in its dtype: one rounding, where the
// composition of PyTorch calls rounds both partial sums and then their total.
#pragma once

#include <cmath>

#include "warp_product.cuh"

namespace mmattn {

constexpr int kTile = 64;       // pixels on each side of a tile of scores
constexpr int kPerThread = 16;  // scores of a tile in each thread: a quarter of a row

// Channels of a staged tile of 128-byte rows.
template <typename T>
constexpr int kDepth = 128 / sizeof(T);
// Matrices in shared memory have rows longer by 16 bytes: rows then start in different banks.
template <typename T>
MMATTN_HD constexpr int padded(int columns) {
  return columns + 16 / static_cast<int>(sizeof(T));
}

constexpr int kTileBytes = kTile * (128 + 16);
constexpr int kScoresStride = kTile + 4;
constexpr int kScoresBytes = kTile * kScoresStride * sizeof(float);
constexpr int kStatisticsBytes = kTile * sizeof(float);

// The columns or the rows of a batch of images; distances in pixels.
struct Lines {
  int64_t count;      // in one image
  int length;         // pixels in a line
  int64_t line_step;  // from a line to the next
  int64_t step;       // from a pixel to the next
  bool columns;
};

// (batch, height, width, channels)
template <typename T>
struct Image {
  T* data;
  int channels;
  bool aligned;  // in 16 bytes, every pixel
};

template <typename T>
Image<T> image(T* data, int64_t channels) {
  const bool aligned =
      channels * sizeof(T) % 16 == 0 && reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  return {data, static_cast<int>(channels), aligned};
}

// One line of an image: a matrix of pixels and channels.
template <typename T>
struct Line {
  T* data;
  int64_t stride;
  int length;
  int channels;
  bool aligned;
};

// What a block works on.
struct Place {
  int64_t pixel;  // the first one of the line
  int row;        // in the line, the first one of the tile
  int chunk;      // of channels
};

MMATTN_HD Place find_place(const Lines& lines, int64_t block, int chunks) {
  const int tiles = divide_up(lines.length, kTile);
  const int chunk = static_cast<int>(block % chunks);
  block /= chunks;
  const int row = static_cast<int>(block % tiles) * kTile;
  block /= tiles;
  const int64_t first = block / lines.count * lines.count * lines.length;
  return {first + block % lines.count * lines.line_step, row, chunk};
}

template <typename T>
MMATTN_HD Line<T> line_of(const Image<T>& image, const Lines& lines, const Place& place) {
  return {image.data + place.pixel * image.channels, lines.step * image.channels, lines.length,
          image.channels, image.aligned};
}

// Copies rows x columns (at most kRows x kColumns) from (row, channel) on into shared memory, with
// zeros beyond the line: what is there may be inf or NaN, which no weight of zero would hide.
template <int kRows, int kColumns, typename T>
MMATTN_HD void stage(T* to, const Line<const T>& line, int row, int channel, int rows, int columns,
                     int thread) {
  constexpr int kVector = Vector<T>::kSize;
  constexpr int kVectors = kColumns / kVector;
#pragma unroll
  for (int i = thread; i < kRows * kVectors; i += kThreads) {
    const int r = i / kVectors;
    const int c = i % kVectors * kVector;
    if (r >= rows || c >= columns) continue;
    const T* from = line.data + (row + r) * line.stride + channel + c;
    T* corner = to + r * padded<T>(kColumns) + c;
    const int count = row + r < line.length ? minimum(kVector, line.channels - channel - c) : 0;
    if (line.aligned || count <= 0) {
      Vector<T> vector;
      if (count > 0) {
        load<true>(vector, from);
      } else {
#pragma unroll
        for (T& zero : vector.values) from_float(0, zero);
      }
      store(corner, vector);
    } else {
#pragma unroll 1
      for (int e = 0; e < kVector; ++e) {
        if (e < count) {
          corner[e] = from[e];
        } else {
          from_float(0, corner[e]);
        }
      }
    }
  }
}

// scores = the dot products of the 64 pixels of a from a_row on and the 64 of b from b_row on.
// a_stays: the tile of a is staged already (it has been, and fits at once).
template <template <typename, int, int> class Product, typename T>
MMATTN_HD void dot_products(float* scores, T* a_tile, T* b_tile, const Line<const T>& a, int a_row,
                            const Line<const T>& b, int b_row, bool a_stays) {
  constexpr int kStride = padded<T>(kDepth<T>);
  PerWarp<Product<T, 1, 2>> sums;
  for (int channel = 0; channel < a.channels; channel += kDepth<T>) {
    const int depth = minimum(kDepth<T>, round_up_to_16(a.channels - channel));
    for_each_thread([&](int thread) {
      if (!a_stays) stage<kTile, kDepth<T>>(a_tile, a, a_row, channel, kTile, depth, thread);
      stage<kTile, kDepth<T>>(b_tile, b, b_row, channel, kTile, depth, thread);
    });
    for_each_warp([&](int warp) {
      const int row = warp / 2 * 16;
      const int column = warp % 2 * 32;
      if (channel == 0) sums[warp].clear();
      for (int k = 0; k < depth; k += 16) {
        sums[warp].template add<true>(a_tile + row * kStride + k, kStride,
                                      b_tile + column * kStride + k, kStride);
      }
      if (channel + kDepth<T> >= a.channels) {
        sums[warp].store(0, scores + row * kScoresStride + column, kScoresStride);
      }
    });
  }
}

template <typename T>
struct Quarter {
  T values[kPerThread];
};

MMATTN_HD int quarter_row(int thread) { return thread / 4; }
MMATTN_HD int quarter_column(int thread, int i) { return thread % 4 + 4 * i; }

// A thread's scores, -inf where there is no pair of pixels.
MMATTN_HD Quarter<float> read_scores(const float* scores, const Lines& lines, int row, int column,
                                     int thread) {
  Quarter<float> result;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const int r = row + quarter_row(thread);
    const int c = column + quarter_column(thread, i);
    const bool pair = r < lines.length && c < lines.length && !(lines.columns && r == c);
    result.values[i] =
        pair ? scores[quarter_row(thread) * kScoresStride + quarter_column(thread, i)] : -INFINITY;
  }
  return result;
}

template <typename T>
MMATTN_HD void write_weights(T* weights, const Quarter<T>& quarter, int thread) {
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    weights[quarter_row(thread) * padded<T>(kTile) + quarter_column(thread, i)] = quarter.values[i];
  }
}

// A number for each pixel of a tile; zero beyond the line.
MMATTN_HD void stage_statistics(float* to, const float* from, const Lines& lines,
                                const Place& place, int row, int thread) {
  if (thread < kTile) {
    const int r = row + thread;
    to[thread] = r < lines.length ? from[place.pixel + r * lines.step] : 0;
  }
}

// The sums of a block, 64 pixels x kChunk channels, and how they lie in its warps.
template <template <typename, int, int> class Product, typename T, int kChunk>
struct Sums {
  static constexpr int kWarpColumns = kChunk / 16 < kWarps ? kChunk / 16 : kWarps;
  static constexpr int kWarpRows = kWarps / kWarpColumns;
  static constexpr int kM = kTile / 16 / kWarpRows;
  static constexpr int kN = kChunk / 16 / kWarpColumns;
  static constexpr int kStride = padded<T>(kChunk);
  // Values are staged in pieces that fit into two tiles.
  static constexpr int kFit = 2 * kTileBytes / (kStride * sizeof(T)) / 16 * 16;
  static constexpr int kRows = kFit < kTile ? kFit : kTile;
  static_assert(kRows > 0 && kTile % kRows == 0, "whole pieces");
  static_assert(kWarpRows * 16 * (kChunk + 4) * sizeof(float) <= kScoresBytes, "room to write");

  PerWarp<Product<T, kM, kN>> products;

  MMATTN_HD void clear() {
    for_each_warp([&](int warp) { products[warp].clear(); });
  }

  // Adds weights (64 x 64) times the pixels of line from row on. prepare(thread) runs before the
  // weights are read, in the phase that loads the first values.
  template <typename Prepare>
  MMATTN_HD void add(const T* weights, T* values, const Line<const T>& line, int row, int channel,
                     Prepare prepare) {
    const int depth = minimum(kTile, round_up_to_16(line.length - row));
    const int columns = minimum(kChunk, round_up_to_16(line.channels - channel));
    for (int piece = 0; piece < depth; piece += kRows) {
      const int rows = minimum(kRows, depth - piece);
      for_each_thread([&](int thread) {
        if (piece == 0) prepare(thread);
        stage<kRows, kChunk>(values, line, row + piece, channel, rows, columns, thread);
      });
      for_each_warp([&](int warp) {
        const int first_row = warp / kWarpColumns * kM * 16;
        const int first_column = warp % kWarpColumns * kN * 16;
        if (first_column >= columns) return;
#pragma unroll 1  // one set of fragments in registers
        for (int k = 0; k < rows; k += 16) {
          products[warp].template add<false>(
              weights + first_row * padded<T>(kTile) + piece + k, padded<T>(kTile),
              values + k * kStride + first_column, kStride);
        }
      });
    }
  }

  // Writes the sums, or adds them to what is there. buffer: kScoresBytes of shared memory.
  MMATTN_HD void write(float* buffer, const Line<T>& line, int row, int channel, bool accumulate) {
    constexpr int kBufferStride = kChunk + 4;
    constexpr int kVector = Vector<T>::kSize;
    constexpr int kVectors = kChunk / kVector;
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      for_each_warp([&](int warp) {
        float* corner = buffer + warp / kWarpColumns * 16 * kBufferStride;
        products[warp].store(i, corner + warp % kWarpColumns * kN * 16, kBufferStride);
      });
      for_each_thread([&](int thread) {
        for (int v = thread; v < kWarpRows * 16 * kVectors; v += kThreads) {
          const int buffer_row = v / kVectors;
          const int column = v % kVectors * kVector;
          const int r = row + buffer_row / 16 * kM * 16 + 16 * i + buffer_row % 16;
          const int count = minimum(kVector, line.channels - channel - column);
          if (r >= line.length || count <= 0) continue;
          T* to = line.data + r * line.stride + channel + column;
          const float* from = buffer + buffer_row * kBufferStride + column;
          if (line.aligned) {
            Vector<T> vector;
            if (accumulate) load(vector, to);
#pragma unroll
            for (int e = 0; e < kVector; ++e) {
              const float old = accumulate ? to_float(vector.values[e]) : 0;
              from_float(old + from[e], vector.values[e]);
            }
            store(to, vector);
          } else {
#pragma unroll 1
            for (int e = 0; e < count; ++e) {
              from_float((accumulate ? to_float(to[e]) : 0) + from[e], to[e]);
            }
          }
        }
      });
    }
  }
};

// A maximum and the sum of exp(score - maximum), of no score yet.
struct Softmax {
  float maximum = -INFINITY;
  float sum = 0;

  MMATTN_HD void rescale(float to) {
    if (sum != 0) sum *= expf(maximum - to);
    maximum = to;
  }
  MMATTN_HD void add(const Quarter<float>& scores) {
    float top = maximum;
#pragma unroll
    for (float score : scores.values) top = score > top ? score : top;
    rescale(top);
#pragma unroll
    for (float score : scores.values) sum += score == -INFINITY ? 0 : expf(score - top);
  }
  MMATTN_HD void add(Softmax other) {
    const float top = maximum > other.maximum ? maximum : other.maximum;
    rescale(top);
    other.rescale(top);
    sum += other.sum;
  }
};

// The columns leave maximum and sum; the rows complete them: exp(score - shift) * scale is the
// weight. That is exact where the log-sum-exp, rounded to float32, is not (scores beyond 1e3).
template <typename T, template <typename, int, int> class Product>
struct LogSumExp {
  struct Args {
    Lines lines;
    Image<const T> query, key;
    float* shift;
    float* scale;
    float* log_sum_exp;
  };
  static constexpr int kSharedBytes = 2 * kTileBytes + kScoresBytes;

  static int64_t blocks(const Args& args, int64_t batch) {
    return batch * args.lines.count * divide_up(args.lines.length, kTile);
  }

  MMATTN_HD static void run(const Args& args, int64_t block, unsigned char* shared) {
    T* query_tile = reinterpret_cast<T*>(shared);
    T* key_tile = reinterpret_cast<T*>(shared + kTileBytes);
    float* scores = reinterpret_cast<float*>(shared + 2 * kTileBytes);
    const Lines& lines = args.lines;
    const Place place = find_place(lines, block, 1);
    const Line<const T> query = line_of(args.query, lines, place);
    const Line<const T> key = line_of(args.key, lines, place);

    PerThread<Softmax> states;
    for_each_thread([&](int thread) { states[thread] = Softmax(); });
    for (int column = 0; column < lines.length; column += kTile) {
      const bool stays = column > 0 && query.channels <= kDepth<T>;
      dot_products<Product>(scores, query_tile, key_tile, query, place.row, key, column, stays);
      for_each_thread([&](int thread) {
        states[thread].add(read_scores(scores, lines, place.row, column, thread));
      });
    }
    Softmax* quarters = reinterpret_cast<Softmax*>(scores);
    for_each_thread([&](int thread) { quarters[thread] = states[thread]; });
    for_each_thread([&](int thread) {
      const int row = place.row + thread;
      if (thread >= kTile || row >= lines.length) return;
      const int64_t pixel = place.pixel + row * lines.step;
      Softmax state = quarters[4 * thread];
      for (int i = 1; i < 4; ++i) state.add(quarters[4 * thread + i]);
      if (!lines.columns) {
        Softmax column;
        column.maximum = args.shift[pixel];
        column.sum = args.scale[pixel];
        state.add(column);
        args.log_sum_exp[pixel] = state.maximum + logf(state.sum);
      }
      args.shift[pixel] = state.maximum;
      args.scale[pixel] = lines.columns ? state.sum : 1 / state.sum;
    });
  }
};

// out = weights of (fixed, moving) times values, where a weight is exp(score - shift) * scale.
template <typename T, template <typename, int, int> class Product, int kChunk>
struct Attend {
  struct Args {
    Lines lines;
    Image<const T> fixed, moving, values;
    Image<T> out;
    const float* shift;
    const float* scale;  // null: 1
    bool of_moving;      // shift belongs to the pixels of moving
  };
  static constexpr int kSharedBytes = 3 * kTileBytes + kScoresBytes + 2 * kStatisticsBytes;

  static int64_t blocks(const Args& args, int64_t batch) {
    return batch * args.lines.count * divide_up(args.lines.length, kTile) *
           divide_up(args.out.channels, kChunk);
  }

  MMATTN_HD static void run(const Args& args, int64_t block, unsigned char* shared) {
    T* fixed_tile = reinterpret_cast<T*>(shared);
    T* moving_tile = reinterpret_cast<T*>(shared + kTileBytes);  // and the values after it
    float* scores = reinterpret_cast<float*>(shared + 3 * kTileBytes);
    T* weights = reinterpret_cast<T*>(scores);
    float* shift = reinterpret_cast<float*>(shared + 3 * kTileBytes + kScoresBytes);
    float* scale = shift + kTile;
    const Lines& lines = args.lines;
    const Place place = find_place(lines, block, divide_up(args.out.channels, kChunk));
    const int channel = place.chunk * kChunk;
    const Line<const T> fixed = line_of(args.fixed, lines, place);
    const Line<const T> moving = line_of(args.moving, lines, place);
    const Line<const T> values = line_of(args.values, lines, place);

    Sums<Product, T, kChunk> sums;
    sums.clear();
    for (int column = 0; column < lines.length; column += kTile) {
      if (column == 0 || args.of_moving) {
        for_each_thread([&](int thread) {
          const int first = args.of_moving ? column : place.row;
          stage_statistics(shift, args.shift, lines, place, first, thread);
          if (args.scale) stage_statistics(scale, args.scale, lines, place, first, thread);
        });
      }
      const bool stays = column > 0 && fixed.channels <= kDepth<T>;
      dot_products<Product>(scores, fixed_tile, moving_tile, fixed, place.row, moving, column,
                            stays);
      PerThread<Quarter<T>> quarters;
      for_each_thread([&](int thread) {
        const Quarter<float> quarter = read_scores(scores, lines, place.row, column, thread);
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
          const int of = args.of_moving ? quarter_column(thread, i) : quarter_row(thread);
          const float weight = expf(quarter.values[i] - shift[of]) * (args.scale ? scale[of] : 1);
          from_float(quarter.values[i] == -INFINITY ? 0 : weight, quarters[thread].values[i]);
        }
      });
      sums.add(weights, moving_tile, values, column, channel,
               [&](int thread) { write_weights(weights, quarters[thread], thread); });
    }
    sums.write(scores, line_of(args.out, lines, place), place.row, channel, !lines.columns);
  }
};

// delta = the dot product of grad_out and out, for each pixel.
template <typename T>
struct Delta {
  struct Args {
    int64_t pixels;
    Image<const T> grad_out, out;
    float* delta;
  };
  static constexpr int kLanes = 8;  // threads of a pixel
  static constexpr int kPixels = kThreads / kLanes;
  static constexpr int kSharedBytes = kThreads * sizeof(float);

  static int64_t blocks(const Args& args, int64_t) { return (args.pixels + kPixels - 1) / kPixels; }

  MMATTN_HD static void run(const Args& args, int64_t block, unsigned char* shared) {
    constexpr int kVector = Vector<T>::kSize;
    float* partial = reinterpret_cast<float*>(shared);
    const int channels = args.out.channels;
    const bool aligned = args.out.aligned && args.grad_out.aligned;
    for_each_thread([&](int thread) {
      const int64_t pixel = block * kPixels + thread / kLanes;
      float sum = 0;
      if (pixel < args.pixels) {
        const T* a = args.grad_out.data + pixel * channels;
        const T* b = args.out.data + pixel * channels;
        for (int c = thread % kLanes * kVector; c < channels; c += kLanes * kVector) {
          if (aligned) {
            Vector<T> left, right;
            load<true>(left, a + c);
            load<true>(right, b + c);
#pragma unroll
            for (int e = 0; e < kVector; ++e) {
              sum += to_float(left.values[e]) * to_float(right.values[e]);
            }
          } else {
            for (int e = c; e < minimum(channels, c + kVector); ++e) {
              sum += to_float(a[e]) * to_float(b[e]);
            }
          }
        }
      }
      partial[thread] = sum;
    });
    for_each_thread([&](int thread) {
      const int64_t pixel = block * kPixels + thread;
      if (thread >= kPixels || pixel >= args.pixels) return;
      float sum = 0;
      for (int i = 0; i < kLanes; ++i) sum += partial[thread * kLanes + i];
      args.delta[pixel] = sum;
    });
  }
};

// out = the gradients of the scores of (fixed, moving) times moving, where that gradient is
// weight * (dot product of fixed_values and moving_values - delta).
template <typename T, template <typename, int, int> class Product, int kChunk>
struct ScoreGradient {
  struct Args {
    Lines lines;
    Image<const T> fixed, moving, fixed_values, moving_values;
    Image<T> out;
    const float* log_sum_exp;
    const float* delta;
    bool of_moving;  // log_sum_exp and delta belong to the pixels of moving
  };
  static constexpr int kSharedBytes = 2 * kTileBytes + kScoresBytes + 2 * kStatisticsBytes;

  static int64_t blocks(const Args& args, int64_t batch) {
    return batch * args.lines.count * divide_up(args.lines.length, kTile) *
           divide_up(args.out.channels, kChunk);
  }

  MMATTN_HD static void run(const Args& args, int64_t block, unsigned char* shared) {
    T* a_tile = reinterpret_cast<T*>(shared);
    T* b_tile = reinterpret_cast<T*>(shared + kTileBytes);
    float* scores = reinterpret_cast<float*>(shared + 2 * kTileBytes);
    T* weights = reinterpret_cast<T*>(scores);
    float* shift = reinterpret_cast<float*>(shared + 2 * kTileBytes + kScoresBytes);
    float* delta = shift + kTile;
    const Lines& lines = args.lines;
    const Place place = find_place(lines, block, divide_up(args.out.channels, kChunk));
    const int channel = place.chunk * kChunk;
    const Line<const T> fixed = line_of(args.fixed, lines, place);
    const Line<const T> moving = line_of(args.moving, lines, place);
    const Line<const T> fixed_values = line_of(args.fixed_values, lines, place);
    const Line<const T> moving_values = line_of(args.moving_values, lines, place);

    Sums<Product, T, kChunk> sums;
    sums.clear();
    for (int column = 0; column < lines.length; column += kTile) {
      if (column == 0 || args.of_moving) {
        for_each_thread([&](int thread) {
          const int first = args.of_moving ? column : place.row;
          stage_statistics(shift, args.log_sum_exp, lines, place, first, thread);
          stage_statistics(delta, args.delta, lines, place, first, thread);
        });
      }
      dot_products<Product>(scores, a_tile, b_tile, fixed, place.row, moving, column, false);
      PerThread<Quarter<float>> probabilities;
      for_each_thread([&](int thread) {
        const Quarter<float> quarter = read_scores(scores, lines, place.row, column, thread);
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
          const int of = args.of_moving ? quarter_column(thread, i) : quarter_row(thread);
          const float weight = expf(quarter.values[i] - shift[of]);
          probabilities[thread].values[i] = quarter.values[i] == -INFINITY ? 0 : weight;
        }
      });
      dot_products<Product>(scores, a_tile, b_tile, fixed_values, place.row, moving_values, column,
                            false);
      PerThread<Quarter<T>> quarters;
      for_each_thread([&](int thread) {
        const Quarter<float> quarter = read_scores(scores, lines, place.row, column, thread);
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) {
          const int of = args.of_moving ? quarter_column(thread, i) : quarter_row(thread);
          const float weight = probabilities[thread].values[i];
          const float gradient = weight * (quarter.values[i] - delta[of]);
          from_float(weight == 0 ? 0 : gradient, quarters[thread].values[i]);
        }
      });
      sums.add(weights, a_tile, moving, column, channel,
               [&](int thread) { write_weights(weights, quarters[thread], thread); });
    }
    sums.write(scores, line_of(args.out, lines, place), place.row, channel, !lines.columns);
  }
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kBlocksPerSm = 1;  // as many as fit into the 64 KiB of shared memory of sm_75
#else
constexpr int kBlocksPerSm = 2;
#endif

template <typename Kernel>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
    criss_cross_kernel(const typename Kernel::Args args) {
  __shared__ alignas(128) unsigned char shared[Kernel::kSharedBytes];
  Kernel::run(args, blockIdx.x, shared);
}

// The launches, in order. launch.run<Kernel>(blocks, args) runs one kernel: on a stream of a GPU,
// or on the host.
struct Shape {
  int64_t batch, height, width, query_channels, channels;

  Lines columns() const { return {width, static_cast<int>(height), 1, width, true}; }
  Lines rows() const { return {height, static_cast<int>(width), width, 1, false}; }
};

template <template <typename, int, int> class Product, typename Launch>
class CrissCross {
 public:
  CrissCross(Launch launch, const Shape& shape) : launch_(launch), shape_(shape) {}

  // shift, scale: workspaces, a float for each pixel.
  template <typename T>
  void forward(const T* query, const T* key, const T* value, T* out, float* log_sum_exp,
               float* shift, float* scale) {
    const Image<const T> q = image(query, shape_.query_channels);
    const Image<const T> k = image(key, shape_.query_channels);
    for (const Lines& lines : {shape_.columns(), shape_.rows()}) {
      run<LogSumExp<T, Product>>({lines, q, k, shift, scale, log_sum_exp});
    }
    attend<T>(q, k, image(value, shape_.channels), image(out, shape_.channels), shift, scale,
              false);
  }

  // delta: a workspace, a float for each pixel.
  template <typename T>
  void backward(const T* grad_out, const T* query, const T* key, const T* value, const T* out,
                const float* log_sum_exp, T* grad_query, T* grad_key, T* grad_value,
                float* delta) {
    const Image<const T> g = image(grad_out, shape_.channels);
    const Image<const T> q = image(query, shape_.query_channels);
    const Image<const T> k = image(key, shape_.query_channels);
    const Image<const T> v = image(value, shape_.channels);
    run<Delta<T>>(
        {shape_.batch * shape_.height * shape_.width, g, image(out, shape_.channels), delta});
    score_gradient<T>(q, k, g, v, image(grad_query, shape_.query_channels), log_sum_exp, delta,
                      false);
    score_gradient<T>(k, q, v, g, image(grad_key, shape_.query_channels), log_sum_exp, delta, true);
    attend<T>(k, q, g, image(grad_value, shape_.channels), log_sum_exp, nullptr, true);
  }

 private:
  template <typename Kernel>
  void run(const typename Kernel::Args& args) {
    launch_.template run<Kernel>(Kernel::blocks(args, shape_.batch), args);
  }

  template <typename T>
  void attend(Image<const T> fixed, Image<const T> moving, Image<const T> values, Image<T> out,
              const float* shift, const float* scale, bool of_moving) {
    for (const Lines& lines : {shape_.columns(), shape_.rows()}) {
      if (out.channels > 128) {
        run<Attend<T, Product, 256>>(
            {lines, fixed, moving, values, out, shift, scale, of_moving});
      } else {
        run<Attend<T, Product, 128>>(
            {lines, fixed, moving, values, out, shift, scale, of_moving});
      }
    }
  }

  template <typename T>
  void score_gradient(Image<const T> fixed, Image<const T> moving, Image<const T> fixed_values,
                      Image<const T> moving_values, Image<T> out, const float* log_sum_exp,
                      const float* delta, bool of_moving) {
    for (const Lines& lines : {shape_.columns(), shape_.rows()}) {
      if (out.channels > 64) {
        run<ScoreGradient<T, Product, 128>>({lines, fixed, moving, fixed_values, moving_values,
                                             out, log_sum_exp, delta, of_moving});
      } else {
        run<ScoreGradient<T, Product, 64>>({lines, fixed, moving, fixed_values, moving_values,
                                            out, log_sum_exp, delta, of_moving});
      }
    }
  }

  Launch launch_;
  Shape shape_;
};

}  // namespace mmattn
