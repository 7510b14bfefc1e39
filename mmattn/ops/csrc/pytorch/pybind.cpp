// mmattn._ext: the module whose import registers the kernels, and what it was built with. The setup
// script passes the three strings.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.attr("torch_version") = MMATTN_TORCH_VERSION;
  m.attr("mmcv_version") = MMATTN_MMCV_VERSION;
  m.attr("cuda_version") = MMATTN_CUDA_VERSION;  // empty: no CUDA kernels
  m.attr("cuda_archs") = MMATTN_CUDA_ARCHS;
}
