// Criss-cross attention on CUDA tensors: layouts, workspaces and launches.
#include <torch/library.h>

#include <tuple>

#include "../../common/cuda/criss_cross_cuda_kernel.cuh"
#include "pytorch_cuda_helper.hpp"

namespace {

// The kernels' name of a PyTorch dtype.
template <typename T>
struct CudaType {
  using type = T;
};
template <>
struct CudaType<at::Half> {
  using type = __half;
};
template <>
struct CudaType<at::BFloat16> {
  using type = __nv_bfloat16;
};

#define MMATTN_DISPATCH(TYPE, NAME, ...)                                  \
  AT_DISPATCH_SWITCH(TYPE, NAME,                                          \
                     AT_DISPATCH_CASE(at::ScalarType::Float, __VA_ARGS__) \
                     AT_DISPATCH_CASE(at::ScalarType::Half, __VA_ARGS__)  \
                     AT_DISPATCH_CASE(at::ScalarType::BFloat16, __VA_ARGS__))

template <typename T>
const typename CudaType<T>::type* input(const Tensor& tensor) {
  return reinterpret_cast<const typename CudaType<T>::type*>(tensor.const_data_ptr<T>());
}

template <typename T>
typename CudaType<T>::type* output(const Tensor& tensor) {
  return reinterpret_cast<typename CudaType<T>::type*>(tensor.mutable_data_ptr<T>());
}

struct StreamLaunch {
  cudaStream_t stream;

  template <typename Kernel>
  void run(int64_t blocks, const typename Kernel::Args& args) {
    TORCH_CHECK(blocks <= INT32_MAX, "criss_cross_attention: the input needs ", blocks,
                " thread blocks, more than a launch can have");
    mmattn::criss_cross_kernel<Kernel>
        <<<static_cast<unsigned>(blocks), mmattn::kThreads, 0, stream>>>(args);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
};

using CrissCross = mmattn::CrissCross<mmattn::BestProduct, StreamLaunch>;

Tensor channels_last(const Tensor& tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor empty_like_channels_last(const Tensor& tensor) {
  return at::empty(tensor.sizes(), tensor.options(), at::MemoryFormat::ChannelsLast);
}

// Gives a result in channels_last the layout of the input it belongs to; contiguous, where that is
// neither contiguous nor channels_last.
Tensor with_layout_of(const Tensor& input, const Tensor& result) {
  const bool dense =
      input.is_contiguous() || input.is_contiguous(at::MemoryFormat::ChannelsLast);
  if (dense && input.strides() == result.strides()) return result;
  const auto format = dense ? at::MemoryFormat::Preserve : at::MemoryFormat::Contiguous;
  return at::empty_like(input, input.options(), format).copy_(result);
}

Tensor empty_float(const Tensor& query) {
  return at::empty({query.size(0), query.size(2), query.size(3)},
                   query.options().dtype(at::kFloat));
}

void check(const Tensor& tensor, const char* name, at::IntArrayRef sizes, const Tensor& query,
           at::ScalarType dtype) {
  TORCH_CHECK(tensor.sizes() == sizes && tensor.device() == query.device() &&
                  tensor.scalar_type() == dtype,
              "criss_cross_attention: expected ", name, " of shape ", sizes, " and dtype ", dtype,
              " on ", query.device(), ", got ", tensor.sizes(), " and ", tensor.scalar_type(),
              " on ", tensor.device());
}

mmattn::Shape check_inputs(const Tensor& query, const Tensor& key, const Tensor& value) {
  TORCH_CHECK(query.is_cuda() && query.dim() == 4 && value.dim() == 4 && query.numel() > 0 &&
                  value.numel() > 0,
              "criss_cross_attention: expected non-empty CUDA tensors (B, C, H, W), got query ",
              query.sizes(), " and value ", value.sizes());
  const mmattn::Shape shape{query.size(0), query.size(2), query.size(3), query.size(1),
                            value.size(1)};
  check(key, "key", query.sizes(), query, query.scalar_type());
  check(value, "value", {shape.batch, shape.channels, shape.height, shape.width}, query,
        query.scalar_type());
  return shape;
}

}  // namespace

std::tuple<Tensor, Tensor> criss_cross_attention_cuda(const Tensor& query, const Tensor& key,
                                                      const Tensor& value) {
  const mmattn::Shape shape = check_inputs(query, key, value);
  const at::cuda::CUDAGuard device_guard(query.device());
  const Tensor q = channels_last(query);
  const Tensor k = channels_last(key);
  const Tensor v = channels_last(value);
  const Tensor out = empty_like_channels_last(value);
  const Tensor log_sum_exp = empty_float(query);
  const Tensor shift = empty_float(query);
  const Tensor scale = empty_float(query);
  CrissCross op({at::cuda::getCurrentCUDAStream()}, shape);
  MMATTN_DISPATCH(query.scalar_type(), "criss_cross_attention", [&] {
    op.forward<CudaType<scalar_t>::type>(
        input<scalar_t>(q), input<scalar_t>(k), input<scalar_t>(v), output<scalar_t>(out),
        log_sum_exp.mutable_data_ptr<float>(), shift.mutable_data_ptr<float>(),
        scale.mutable_data_ptr<float>());
  });
  return {with_layout_of(value, out), log_sum_exp};
}

std::tuple<Tensor, Tensor, Tensor> criss_cross_attention_backward_cuda(
    const Tensor& grad_out, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& out, const Tensor& log_sum_exp) {
  const mmattn::Shape shape = check_inputs(query, key, value);
  check(grad_out, "grad_out", value.sizes(), query, query.scalar_type());
  check(out, "out", value.sizes(), query, query.scalar_type());
  check(log_sum_exp, "log_sum_exp", {shape.batch, shape.height, shape.width}, query, at::kFloat);
  const at::cuda::CUDAGuard device_guard(query.device());
  const Tensor g = channels_last(grad_out);
  const Tensor q = channels_last(query);
  const Tensor k = channels_last(key);
  const Tensor v = channels_last(value);
  const Tensor o = channels_last(out);
  const Tensor lse = log_sum_exp.contiguous();
  const Tensor grad_query = empty_like_channels_last(query);
  const Tensor grad_key = empty_like_channels_last(key);
  const Tensor grad_value = empty_like_channels_last(value);
  const Tensor delta = empty_float(query);
  CrissCross op({at::cuda::getCurrentCUDAStream()}, shape);
  MMATTN_DISPATCH(query.scalar_type(), "criss_cross_attention_backward", [&] {
    op.backward<CudaType<scalar_t>::type>(
        input<scalar_t>(g), input<scalar_t>(q), input<scalar_t>(k), input<scalar_t>(v),
        input<scalar_t>(o), lse.const_data_ptr<float>(), output<scalar_t>(grad_query),
        output<scalar_t>(grad_key), output<scalar_t>(grad_value),
        delta.mutable_data_ptr<float>());
  });
  return {with_layout_of(query, grad_query), with_layout_of(key, grad_key),
          with_layout_of(value, grad_value)};
}

TORCH_LIBRARY_IMPL(mmattn, CUDA, m) {
  m.impl("criss_cross_attention", &criss_cross_attention_cuda);
  m.impl("criss_cross_attention_backward", &criss_cross_attention_backward_cuda);
}
