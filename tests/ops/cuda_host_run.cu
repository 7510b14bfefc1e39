// Runs the CUDA kernels' bodies on the CPU over raw files, all tensors in channels_last.
//
//   cuda_host_run dtype tensor|simt forwards|backwards batch query_channels channels height width
//
// Reads query, key, value and grad_out, writes out, log_sum_exp, grad_query, grad_key and
// grad_value (.bin) in the current folder. All memory is on the heap and of exactly the size it is
// said to be, for AddressSanitizer, and starts as NaN, so that what is read before it was written
// shows in the results.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "criss_cross_cuda_kernel.cuh"

namespace {

struct File {
  File(const std::string& name, const char* mode) : handle(std::fopen(name.c_str(), mode)) {
    if (!handle) {
      std::perror(name.c_str());
      std::exit(1);
    }
  }
  ~File() { std::fclose(handle); }
  std::FILE* handle;
};

template <typename T>
class Buffer {
 public:
  explicit Buffer(int64_t count) : bytes_(count * sizeof(T)) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 128, bytes_)) std::abort();
    data_ = static_cast<T*>(memory);
    poison();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  T* get() { return data_; }
  void poison() { std::memset(static_cast<void*>(data_), 0xff, bytes_); }  // NaN in every dtype
  void read(const std::string& name) {
    File file(name + ".bin", "rb");
    if (std::fread(data_, 1, bytes_, file.handle) != bytes_) std::abort();
  }
  void write(const std::string& name) {
    File file(name + ".bin", "wb");
    if (std::fwrite(data_, 1, bytes_, file.handle) != bytes_) std::abort();
  }

 private:
  size_t bytes_;
  T* data_;
};

struct HostLaunch {
  template <typename Kernel>
  void run(int64_t blocks, const typename Kernel::Args& args) {
    mmattn::host_loop(blocks, [&](int64_t block) {
      Buffer<unsigned char> shared(Kernel::kSharedBytes);
      Kernel::run(args, block, shared.get());
    });
  }
};

template <typename T, template <typename, int, int> class Product>
void run(const mmattn::Shape& shape) {
  const int64_t pixels = shape.batch * shape.height * shape.width;
  const int64_t few = pixels * shape.query_channels;
  const int64_t many = pixels * shape.channels;
  Buffer<T> query(few), key(few), value(many), grad_out(many);
  Buffer<T> out(many), grad_query(few), grad_key(few), grad_value(many);
  Buffer<float> log_sum_exp(pixels), shift(pixels), scale(pixels), delta(pixels);
  query.read("query");
  key.read("key");
  value.read("value");
  grad_out.read("grad_out");
  mmattn::CrissCross<Product, HostLaunch> op(HostLaunch(), shape);
  op.template forward<T>(query.get(), key.get(), value.get(), out.get(), log_sum_exp.get(),
                         shift.get(), scale.get());
  op.template backward<T>(grad_out.get(), query.get(), key.get(), value.get(), out.get(),
                          log_sum_exp.get(), grad_query.get(), grad_key.get(), grad_value.get(),
                          delta.get());
  out.write("out");
  log_sum_exp.write("log_sum_exp");
  grad_query.write("grad_query");
  grad_key.write("grad_key");
  grad_value.write("grad_value");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "expected 8 arguments\n");
    return 2;
  }
  const std::string kind = std::string(argv[1]) + " " + argv[2];
  mmattn::host_runs_backwards() = std::string(argv[3]) == "backwards";
  mmattn::Shape shape;
  shape.batch = std::atoll(argv[4]);
  shape.query_channels = std::atoll(argv[5]);
  shape.channels = std::atoll(argv[6]);
  shape.height = std::atoll(argv[7]);
  shape.width = std::atoll(argv[8]);
  if (kind == "float32 simt") {
    run<float, mmattn::SimtProduct>(shape);
  } else if (kind == "float16 tensor") {
    run<__half, mmattn::TensorProduct>(shape);
  } else if (kind == "bfloat16 tensor") {
    run<__nv_bfloat16, mmattn::TensorProduct>(shape);
  } else if (kind == "bfloat16 simt") {
    run<__nv_bfloat16, mmattn::SimtProduct>(shape);
  } else {
    std::fprintf(stderr, "unknown kind %s\n", kind.c_str());
    return 2;
  }
}
