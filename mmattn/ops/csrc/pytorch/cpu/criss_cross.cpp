// Criss-cross attention on the CPU: a pass over the rows of the images, then one over their columns,
// a strip of lines at a time, whose scores, weights and channels stay in a thread's scratch memory. The
// results of one direction are written, those of the other added. The batched products are ATen's.
#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "../../common/cpu/criss_cross_cpu_kernel.hpp"
#include "pytorch_cpp_helper.hpp"

namespace mmattn {
namespace {

constexpr int64_t kLines = 16;       // of a strip: they fill a cache line where they lie side by side
constexpr int64_t kGrain = 1 << 13;  // values that are worth a thread

Tensor dense(const Tensor& x) {
  return x.is_contiguous() || x.is_contiguous(MemoryFormat::ChannelsLast) ? x : x.contiguous();
}

// Adjacent rows or columns of one image of a (B, C, H, W) tensor.
struct Strip {
  bool columns;
  int64_t image, first, lines, pixels;

  Strides strides(const Tensor& x) const {
    return {x.stride(columns ? 3 : 2), x.stride(columns ? 2 : 3), x.stride(1)};
  }

  // Where the strip begins in a channel of a tensor, to read and to write.
  template <typename T>
  const T* in(const Tensor& x, int64_t channel = 0) const {
    return x.const_data_ptr<T>() + offset(x, channel);
  }

  template <typename T>
  T* into(const Tensor& x, int64_t channel = 0) const {
    return x.mutable_data_ptr<T>() + offset(x, channel);
  }

  int64_t offset(const Tensor& x, int64_t channel) const {
    return image * x.stride(0) + channel * x.stride(1) + first * strides(x).line;
  }
};

int64_t divide_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

template <typename T>
int64_t bytes(int64_t n) {
  constexpr int64_t kAlignment = 64;
  return divide_up(n * sizeof(T), kAlignment) * kAlignment;
}

// Memory of one thread for one strip. A copy hands out the same memory again.
class Scratch {
 public:
  explicit Scratch(char* next) : next_(next) {}

  template <typename T>
  T* take(int64_t n) {
    return reinterpret_cast<T*>(std::exchange(next_, next_ + bytes<T>(n)));
  }

  template <typename T>
  Tensor take(int64_t a, int64_t b, int64_t c) {
    return at::from_blob(take<T>(a * b * c), {a, b, c}, c10::CppTypeToScalarType<T>::value);
  }

 private:
  char* next_;
};

// The rows or the columns of all images of a (B, C, H, W) tensor.
class Direction {
 public:
  Direction(const Tensor& x, bool columns)
      : columns_(columns),
        channels_(x.size(1)),
        batch_(x.size(0)),
        lines_(x.size(columns ? 3 : 2)),
        pixels_(x.size(columns ? 2 : 3)) {
    grain_ = std::max<int64_t>(1, kGrain / (pixels_ * channels_));
    threads_ = std::min<int64_t>(at::get_num_threads(), divide_up(batch_ * lines_, grain_));
    strip_ = std::min({kLines, lines_, divide_up(batch_ * lines_, threads_)});
  }

  int64_t pixels() const { return pixels_; }
  int64_t lines_of_strip() const { return strip_; }

  // body(strip, scratch of so many bytes), in parallel.
  template <typename Body>
  void for_strips(int64_t scratch_bytes, const Body& body) const {
    const Tensor memory = at::empty({threads_ * scratch_bytes}, at::kByte);
    auto* const slots = reinterpret_cast<char*>(memory.mutable_data_ptr<uint8_t>());
    at::parallel_for(0, batch_ * lines_, grain_, [&](int64_t begin, int64_t end) {
      // The modes of the calling thread (inference, autograd) are not those of the others.
      const at::AutoDispatchBelowADInplaceOrView guard;
      for (int64_t line = begin; line < end;) {
        const int64_t image = line / lines_, first = line % lines_;
        const int64_t n = std::min({strip_, end - line, lines_ - first});
        body(Strip{columns_, image, first, n, pixels_},
             Scratch(slots + at::get_thread_num() * scratch_bytes));
        line += n;
      }
    });
  }

 private:
  bool columns_;
  int64_t channels_, batch_, lines_, pixels_, grain_, threads_, strip_;
};

// Channels [first, first + channels) of a strip, (lines, pixels, channels).
template <typename T>
Tensor load(const Strip& strip, const Tensor& from, int64_t first, int64_t channels,
            Scratch& scratch) {
  const T* const source = strip.in<T>(from, first);
  const Strides strides = strip.strides(from);
  const bool channel_major = strides.channel != 1;
  // Products of 16-bit numbers copy operands that are not dense; the others take any rows.
  if (sizeof(T) > 2 && (!channel_major || strides.pixel == 1))
    return at::from_blob(const_cast<T*>(source), {strip.lines, strip.pixels, channels},
                         {strides.line, strides.pixel, strides.channel},
                         c10::CppTypeToScalarType<T>::value);
  const Tensor packed = channel_major ? scratch.take<T>(strip.lines, channels, strip.pixels)
                                      : scratch.take<T>(strip.lines, strip.pixels, channels);
  pack(source, strides, packed.mutable_data_ptr<T>(), {strip.lines, strip.pixels, channels});
  return channel_major ? packed.transpose(1, 2) : packed;
}

// The products over the channels of all pairs of pixels of a line, (lines, pixels, pixels).
void multiply_pairs(const Tensor& left, const Tensor& right, Tensor& pairs) {
  at::bmm_out(pairs, left, right.transpose(1, 2));
}

// weights @ from, for the pixels of every line, into channels [first, ...) of a tensor: written, or
// added to `keep` times what is there.
template <typename T>
void gather(const Strip& strip, const Tensor& weights, const Tensor& from, const Tensor& to,
            int64_t first, const accumulate_t<T>* keep, Scratch scratch) {
  const Strides strides = strip.strides(to);
  const int64_t channels = from.size(2);
  Tensor sums;
  if (strides.channel == 1) {
    sums = scratch.take<T>(strip.lines, strip.pixels, channels);
    at::bmm_out(sums, weights, from);
  } else {
    sums = scratch.take<T>(strip.lines, channels, strip.pixels);
    at::bmm_out(sums, from.transpose(1, 2), weights.transpose(1, 2));
  }
  unpack(sums.const_data_ptr<T>(), strip.into<T>(to, first), strides,
         {strip.lines, strip.pixels, channels}, keep);
}

// Channels of the values at a time. Partial sums of 16-bit products would be rounded once more.
template <typename T>
int64_t channel_block(int64_t channels) {
  constexpr int64_t kChannels = 128;
  return sizeof(T) == 2 ? channels : std::min(channels, kChannels);
}

template <typename T, typename Body>
void for_channel_blocks(int64_t channels, const Body& body) {
  const int64_t block = channel_block<T>(channels);
  for (int64_t begin = 0; begin < channels; begin += block)
    body(begin, std::min(block, channels - begin));
}

template <typename T>
void forward(const Direction& direction, const Tensor& query, const Tensor& key,
             const Tensor& value, const Tensor& out, const Tensor& log_sum_exp) {
  using A = accumulate_t<T>;
  const int64_t key_channels = key.size(1), channels = value.size(1), pixels = direction.pixels();
  const int64_t n = direction.lines_of_strip() * pixels;
  const int64_t widest = std::max(key_channels, channel_block<T>(channels));
  const int64_t scratch_bytes = bytes<T>(n * pixels) + bytes<A>(n) + 2 * bytes<T>(n * widest);
  direction.for_strips(scratch_bytes, [&](const Strip& strip, Scratch scratch) {
    Tensor weights = scratch.take<T>(strip.lines, pixels, pixels);
    A* const keep = strip.columns ? scratch.take<A>(strip.lines * pixels) : nullptr;
    {
      Scratch rest = scratch;
      const Tensor queries = load<T>(strip, query, 0, key_channels, rest);
      multiply_pairs(queries, load<T>(strip, key, 0, key_channels, rest), weights);
    }
    auto* const probs = weights.mutable_data_ptr<T>();
    auto* const lse = strip.into<double>(log_sum_exp);
    if (strip.columns)
      softmax_of_columns(probs, lse, strip.strides(log_sum_exp), keep, strip.lines, pixels);
    else
      softmax_of_rows(probs, lse, strip.strides(log_sum_exp), strip.lines, pixels);
    for_channel_blocks<T>(channels, [&](int64_t begin, int64_t size) {
      Scratch rest = scratch;
      const Tensor values = load<T>(strip, value, begin, size, rest);
      gather<T>(strip, weights, values, out, begin, keep, rest);
    });
  });
}

// The gradients of the scores need delta, the sum over the cross of probability times its gradient.
// Hence three passes: over the rows, whose gradients of the probabilities are kept, over the columns,
// and over the rows again. With delta as the dot product of output and its gradient two would do, but
// 16-bit outputs made the errors of grad_query and grad_key up to a quarter larger.
template <typename T>
class Backward {
 public:
  Backward(const Tensor& grad_out, const Tensor& query, const Tensor& key, const Tensor& value,
           const Tensor& log_sum_exp)
      : grad_out_(grad_out),
        query_(query),
        key_(key),
        value_(value),
        log_sum_exp_(log_sum_exp),
        grad_query_(at::empty_like(query)),
        grad_key_(at::empty_like(key)),
        grad_value_(at::empty_like(value)),
        delta_(at::empty(log_sum_exp.sizes(), c10::CppTypeToScalarType<A>::value)),
        ones_(kLines * std::max(value.size(2), value.size(3)), 1) {}

  std::tuple<Tensor, Tensor, Tensor> run() {
    const Direction rows(value_, false), columns(value_, true);
    const int64_t height = value_.size(2), width = value_.size(3);
    const bool has_columns = height > 1;  // without: a pixel itself is in its row
    const Tensor row_grads = at::empty({value_.size(0) * height, width, width}, value_.options());
    const auto grads_of = [&](const Strip& strip) {
      return row_grads.narrow(0, strip.image * height + strip.first, strip.lines);
    };
    rows.for_strips(scratch_bytes(rows), [&](const Strip& strip, Scratch scratch) {
      const Weights weights(*this, strip, scratch);
      of_value(strip, weights.probs, grads_of(strip), scratch);
    });
    if (has_columns)
      columns.for_strips(scratch_bytes(columns), [&](const Strip& strip, Scratch scratch) {
        const Weights weights(*this, strip, scratch);
        const Tensor grads = scratch.take<T>(strip.lines, strip.pixels, strip.pixels);
        of_value(strip, weights.probs, grads, scratch);
        of_query_and_key(strip, weights, grads, nullptr, scratch);
      });
    rows.for_strips(scratch_bytes(rows), [&](const Strip& strip, Scratch scratch) {
      const Weights weights(*this, strip, scratch);
      of_query_and_key(strip, weights, grads_of(strip), has_columns ? ones_.data() : nullptr,
                       scratch);
    });
    return {grad_query_, grad_key_, grad_value_};
  }

 private:
  using A = accumulate_t<T>;

  // The probabilities of a strip and what they are made of.
  struct Weights {
    Tensor queries, keys, probs;

    Weights(const Backward& op, const Strip& strip, Scratch& scratch)
        : queries(load<T>(strip, op.query_, 0, op.query_.size(1), scratch)),
          keys(load<T>(strip, op.key_, 0, op.key_.size(1), scratch)),
          probs(scratch.take<T>(strip.lines, strip.pixels, strip.pixels)) {
      multiply_pairs(queries, keys, probs);
      probabilities(probs.mutable_data_ptr<T>(), strip.in<double>(op.log_sum_exp_),
                    strip.strides(op.log_sum_exp_), strip.columns, strip.lines, strip.pixels);
    }
  };

  int64_t scratch_bytes(const Direction& direction) const {
    const int64_t n = direction.lines_of_strip() * direction.pixels();
    const int64_t block = channel_block<T>(value_.size(1)), key_channels = key_.size(1);
    return 2 * bytes<T>(n * direction.pixels()) + 2 * bytes<T>(n * key_channels) +
           std::max(3 * bytes<T>(n * block), bytes<T>(n * key_channels));
  }

  // The gradients of the values and of the probabilities, and the strip's part of delta.
  void of_value(const Strip& strip, const Tensor& probs, Tensor grads, Scratch scratch) {
    for_channel_blocks<T>(value_.size(1), [&](int64_t begin, int64_t size) {
      Scratch rest = scratch;
      const Tensor grad_outs = load<T>(strip, grad_out_, begin, size, rest);
      const Tensor values = load<T>(strip, value_, begin, size, rest);
      grads.baddbmm_(grad_outs, values.transpose(1, 2), begin == 0 ? 0 : 1);
      gather<T>(strip, probs.transpose(1, 2), grad_outs, grad_value_, begin,
                strip.columns ? ones_.data() : nullptr, rest);
    });
    add_dots(probs.const_data_ptr<T>(), grads.const_data_ptr<T>(), strip.into<A>(delta_),
             strip.strides(delta_), !strip.columns, strip.lines, strip.pixels);
  }

  void of_query_and_key(const Strip& strip, const Weights& weights, const Tensor& grads,
                        const A* keep, const Scratch& scratch) {
    score_gradients(weights.probs.template mutable_data_ptr<T>(), grads.const_data_ptr<T>(),
                    strip.in<A>(delta_), strip.strides(delta_), strip.lines, strip.pixels);
    gather<T>(strip, weights.probs, weights.keys, grad_query_, 0, keep, scratch);
    gather<T>(strip, weights.probs.transpose(1, 2), weights.queries, grad_key_, 0, keep, scratch);
  }

  Tensor grad_out_, query_, key_, value_, log_sum_exp_, grad_query_, grad_key_, grad_value_, delta_;
  std::vector<A> ones_;
};

// What the dispatcher lets through and the Python function has refused with better words.
void check_inputs(const Tensor& query, const Tensor& key, const Tensor& value) {
  TORCH_CHECK(query.dim() == 4 && value.dim() == 4 && query.numel() > 0 && value.numel() > 0 &&
                  key.sizes() == query.sizes() && value.size(0) == query.size(0) &&
                  value.sizes().slice(2) == query.sizes().slice(2),
              "criss_cross_attention: expected non-empty query and key (B, Cq, H, W) and value (B, C, "
              "H, W), got ",
              query.sizes(), ", ", key.sizes(), " and ", value.sizes());
}

std::tuple<Tensor, Tensor> criss_cross_attention_cpu(const Tensor& query, const Tensor& key,
                                                     const Tensor& value) {
  check_inputs(query, key, value);
  const Tensor q = dense(query), k = dense(key), v = dense(value);
  const Tensor out = at::empty_like(v);
  const Tensor log_sum_exp =
      at::empty({v.size(0), 1, v.size(2), v.size(3)}, v.options().dtype(kDouble));
  AT_DISPATCH_FLOATING_TYPES_AND2(kHalf, kBFloat16, v.scalar_type(), "criss_cross_attention", [&] {
    forward<scalar_t>(Direction(v, false), q, k, v, out, log_sum_exp);
    // Images of height 1 have no columns: a pixel itself is in its row.
    if (v.size(2) > 1) forward<scalar_t>(Direction(v, true), q, k, v, out, log_sum_exp);
  });
  return {out, log_sum_exp.squeeze(1)};
}

std::tuple<Tensor, Tensor, Tensor> criss_cross_attention_backward_cpu(
    const Tensor& grad_out, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& /*out*/, const Tensor& log_sum_exp) {
  check_inputs(query, key, value);
  const std::vector<int64_t> pixels{value.size(0), value.size(2), value.size(3)};
  TORCH_CHECK(grad_out.sizes() == value.sizes() && log_sum_exp.sizes() == pixels,
              "criss_cross_attention_backward: expected grad_out ", value.sizes(),
              " and log_sum_exp ", pixels, ", got ", grad_out.sizes(), " and ", log_sum_exp.sizes());
  std::tuple<Tensor, Tensor, Tensor> grads;
  const at::ScalarType dtype = value.scalar_type();
  AT_DISPATCH_FLOATING_TYPES_AND2(kHalf, kBFloat16, dtype, "criss_cross_attention_backward", [&] {
    grads = Backward<scalar_t>(dense(grad_out), dense(query), dense(key), dense(value),
                               log_sum_exp.contiguous().unsqueeze(1))
                .run();
  });
  return grads;
}

}  // namespace
}  // namespace mmattn

TORCH_LIBRARY_IMPL(mmattn, CPU, m) {
  m.impl("criss_cross_attention", mmattn::criss_cross_attention_cpu);
  m.impl("criss_cross_attention_backward", mmattn::criss_cross_attention_backward_cpu);
}
