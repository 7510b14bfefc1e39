// Criss-cross attention on the CPU. Pixel-major maps make every row and every column of an image a
// matrix that ATen's batched products take as it is (a leading dimension, no copy); channel-major inputs
// are brought to that form a block of channels at a time, in scratch memory that every block reuses.
#include <ATen/Parallel.h>

#include <algorithm>
#include <tuple>

#include "../../common/cpu/criss_cross_cpu_kernel.hpp"
#include "pytorch_cpp_helper.hpp"

namespace mmattn {
namespace {

constexpr int64_t kBlock = 64;            // channels at a time, of a large image
constexpr int64_t kBlockValues = 1 << 18;  // of a small image, as many as make so many values
constexpr int64_t kGrain = 256;            // pixels that are worth a thread

struct Size {
  int64_t height;
  int64_t width;

  int64_t pixels() const { return height * width; }
};

// Memory for one pixel-major map of up to `channels` channels, allocated once: fresh pages for every
// block take time of their own.
class Scratch {
 public:
  Scratch(Size size, int64_t channels, const TensorOptions& options)
      : size_(size), memory_(at::empty({size.pixels() * channels}, options)) {}

  Tensor rows(int64_t n) const { return view(size_.height, size_.width, n); }
  Tensor columns(int64_t n) const { return view(size_.width, size_.height, n); }

 private:
  Tensor view(int64_t lines, int64_t pixels, int64_t n) const {
    return memory_.narrow(0, 0, lines * pixels * n).view({lines, pixels, n});
  }

  Size size_;
  Tensor memory_;
};

Tensor as_image_batch(const Tensor& x) {
  const bool dense = x.is_contiguous() || x.is_contiguous(MemoryFormat::ChannelsLast);
  return dense ? x : x.contiguous();
}

// Channels [begin, begin + n) of a (C, H, W) image as (H, W, n): a view where the channels of a pixel
// lie side by side, else a copy in the scratch memory.
Tensor pixels_of(const Tensor& image, int64_t begin, int64_t n, const Scratch& scratch) {
  const Tensor block = image.narrow(0, begin, n);
  const Tensor view = block.permute({1, 2, 0});
  if (view.stride(2) == 1) return view;
  const Tensor pixels = scratch.rows(n);
  AT_DISPATCH_FLOATING_TYPES_AND2(kHalf, kBFloat16, image.scalar_type(), "planes_to_pixels", [&] {
    const auto* from = block.const_data_ptr<scalar_t>();
    auto* to = pixels.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, view.size(0) * view.size(1), kGrain, [&](int64_t first, int64_t last) {
      planes_to_pixels(from, block.stride(0), to, n, first, last);
    });
  });
  return pixels;
}

// Scores, probabilities or their gradients of one image, for its rows and for its columns.
struct Maps {
  Tensor row;     // (H, W, W)
  Tensor column;  // (W, H, H)

  Maps(Size size, const TensorOptions& options)
      : row(at::empty({size.height, size.width, size.width}, options)),
        column(at::empty({size.width, size.height, size.height}, options)) {}
};

// map <- map * keep + left @ right
void accumulate_product(const Tensor& map, const Tensor& left, const Tensor& right, bool keep) {
  if (map.scalar_type() == left.scalar_type())
    map.baddbmm_(left, right, keep ? 1 : 0);
  else if (keep)
    map.add_(at::bmm(left, right));
  else
    map.copy_(at::bmm(left, right));
}

// Products over the channels of two (H, W, n) pixel maps, for all pairs in a row and in a column.
void accumulate_products(const Maps& maps, const Tensor& left, const Tensor& right, bool keep) {
  accumulate_product(maps.row, left, right.transpose(1, 2), keep);
  accumulate_product(maps.column, left.transpose(0, 1), right.permute({1, 2, 0}), keep);
}

// out[p] = sum over the cross of p of map[p, p'] * pixels[p'] (transposed: map[p', p]), where out is a
// block of channels of a (C, H, W) image.
void gather(const Maps& maps, bool transposed, const Tensor& pixels, const Tensor& out,
            const Scratch& row_scratch, const Scratch& column_scratch) {
  const int64_t height = pixels.size(0), width = pixels.size(1), channels = pixels.size(2);
  Tensor from_rows = row_scratch.rows(channels), from_columns = column_scratch.columns(channels);
  at::bmm_out(from_rows, transposed ? maps.row.transpose(1, 2) : maps.row, pixels);
  at::bmm_out(from_columns, transposed ? maps.column.transpose(1, 2) : maps.column,
              pixels.transpose(0, 1));
  const int64_t pixel_stride = out.stride(2), grain = std::max<int64_t>(1, kGrain / width);
  AT_DISPATCH_FLOATING_TYPES_AND2(kHalf, kBFloat16, out.scalar_type(), "sum_of_directions", [&] {
    const auto* rows = from_rows.const_data_ptr<scalar_t>();
    const auto* columns = from_columns.const_data_ptr<scalar_t>();
    auto* to = out.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, height, grain, [&](int64_t first, int64_t last) {
      sum_of_directions(rows, columns, to, pixel_stride, out.stride(0), channels, height, width, first,
                        last);
    });
  });
}

// body(a zero of the maps' scalar type, first pixel, last pixel), in parallel over the image.
template <typename Body>
void for_pixels(const Maps& maps, const Body& body) {
  const int64_t pixels = maps.row.size(0) * maps.row.size(1);
  AT_DISPATCH_FLOATING_TYPES_AND2(kHalf, kBFloat16, maps.row.scalar_type(), "criss_cross_cpu", [&] {
    at::parallel_for(0, pixels, kGrain,
                     [&](int64_t first, int64_t last) { body(scalar_t(0), first, last); });
  });
}

void scores_to_probabilities(const Maps& maps, const Tensor& log_sum_exp = {}) {
  for_pixels(maps, [&](auto zero, int64_t first, int64_t last) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    A* lse = log_sum_exp.defined() ? log_sum_exp.mutable_data_ptr<A>() : nullptr;
    softmax_of_crosses(maps.column.mutable_data_ptr<T>(), maps.row.mutable_data_ptr<T>(), lse,
                       maps.row.size(0), maps.row.size(1), first, last);
  });
}

void probabilities_to_score_gradients(const Maps& probs, const Maps& grads) {
  for_pixels(probs, [&](auto zero, int64_t first, int64_t last) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    softmax_backward_of_crosses(probs.column.mutable_data_ptr<T>(), probs.row.mutable_data_ptr<T>(),
                                grads.column.const_data_ptr<A>(), grads.row.const_data_ptr<A>(),
                                probs.row.size(0), probs.row.size(1), first, last);
  });
}

int64_t block_of(Size size, int64_t channels) {
  return std::min(channels, std::max(kBlock, kBlockValues / size.pixels()));
}

template <typename Body>
void for_channel_blocks(int64_t channels, int64_t block, const Body& body) {
  for (int64_t begin = 0; begin < channels; begin += block)
    body(begin, std::min(block, channels - begin));
}

TensorOptions accumulate_options(const Tensor& x) {
  return x.options().dtype(x.scalar_type() == kDouble ? kDouble : kFloat);
}

std::tuple<Tensor, Tensor> criss_cross_attention_cpu(const Tensor& query_, const Tensor& key_,
                                                     const Tensor& value_) {
  const Tensor query = as_image_batch(query_), key = as_image_batch(key_);
  const Tensor value = as_image_batch(value_);
  const int64_t batch = value.size(0), key_channels = key.size(1), channels = value.size(1);
  const Size size{value.size(2), value.size(3)};
  const Tensor out = at::empty_like(value);
  const Tensor log_sum_exp =
      at::empty({batch, size.height, size.width}, accumulate_options(value));
  const Maps maps(size, value.options());
  const int64_t block = block_of(size, channels), widest = std::max(key_channels, block);
  const Scratch first(size, widest, value.options()), second(size, widest, value.options());
  const Scratch third(size, block, value.options());
  for (int64_t b = 0; b < batch; ++b) {
    accumulate_products(maps, pixels_of(query[b], 0, key_channels, first),
                        pixels_of(key[b], 0, key_channels, second), false);
    scores_to_probabilities(maps, log_sum_exp[b]);
    for_channel_blocks(channels, block, [&](int64_t begin, int64_t n) {
      gather(maps, false, pixels_of(value[b], begin, n, first), out[b].narrow(0, begin, n), second,
             third);
    });
  }
  return {out, log_sum_exp};
}

std::tuple<Tensor, Tensor, Tensor> criss_cross_attention_backward_cpu(
    const Tensor& grad_out_, const Tensor& query_, const Tensor& key_, const Tensor& value_,
    const Tensor& /*out*/, const Tensor& /*log_sum_exp*/) {
  const Tensor grad_out = as_image_batch(grad_out_), value = as_image_batch(value_);
  const Tensor query = as_image_batch(query_), key = as_image_batch(key_);
  const int64_t batch = value.size(0), key_channels = key.size(1), channels = value.size(1);
  const Size size{value.size(2), value.size(3)};
  const Tensor grad_query = at::empty_like(query), grad_key = at::empty_like(key);
  const Tensor grad_value = at::empty_like(value);
  const Maps probs(size, value.options()), grads(size, accumulate_options(value));
  const int64_t block = block_of(size, channels), widest = std::max(key_channels, block);
  const Scratch first(size, widest, value.options()), second(size, widest, value.options());
  const Scratch third(size, widest, value.options());
  for (int64_t b = 0; b < batch; ++b) {
    accumulate_products(probs, pixels_of(query[b], 0, key_channels, first),
                        pixels_of(key[b], 0, key_channels, second), false);
    scores_to_probabilities(probs);
    for_channel_blocks(channels, block, [&](int64_t begin, int64_t n) {
      const Tensor grad_pixels = pixels_of(grad_out[b], begin, n, first);
      accumulate_products(grads, grad_pixels, pixels_of(value[b], begin, n, second), begin > 0);
      gather(probs, true, grad_pixels, grad_value[b].narrow(0, begin, n), second, third);
    });
    probabilities_to_score_gradients(probs, grads);
    gather(probs, false, pixels_of(key[b], 0, key_channels, first), grad_query[b], second, third);
    gather(probs, true, pixels_of(query[b], 0, key_channels, first), grad_key[b], second, third);
  }
  return {grad_query, grad_key, grad_value};
}

}  // namespace
}  // namespace mmattn

TORCH_LIBRARY_IMPL(mmattn, CPU, m) {
  m.impl("criss_cross_attention", mmattn::criss_cross_attention_cpu);
  m.impl("criss_cross_attention_backward", mmattn::criss_cross_attention_backward_cpu);
}
