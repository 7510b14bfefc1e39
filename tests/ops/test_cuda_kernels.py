"""The CUDA kernels without a GPU: their bodies run on the CPU, and nvcc compiles them.

The host run steps through the very code that runs on the device, thread by thread, under
AddressSanitizer, with poisoned memory. What it cannot show is the tensor cores' own layout, missing
barriers inside a warp and speed: that is for tests/gpu.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.slow  # nvcc takes half a minute for the host run alone

CSRC = Path(__file__).parents[2] / 'mmattn/ops/csrc'
KERNELS = CSRC / 'common/cuda'
ARCHITECTURES = (75, 80, 86, 89, 90, 120)
RESULTS = ('out', 'log_sum_exp', 'grad_query', 'grad_key', 'grad_value')
KINDS = [
    (torch.float32, 'simt'),
    (torch.float16, 'tensor'),
    (torch.bfloat16, 'tensor'),
    (torch.bfloat16, 'simt'),  # sm_75
]
kinds = pytest.mark.parametrize('kind', KINDS, ids=lambda kind: f'{str(kind[0])[6:]}-{kind[1]}')

# The kernels of every dtype, as the op launches them.
INSTANCES = """
#include "criss_cross_cuda_kernel.cuh"
struct Launch {
  template <typename Kernel>
  void run(int64_t blocks, const typename Kernel::Args& args) {
    mmattn::criss_cross_kernel<Kernel><<<blocks, mmattn::kThreads>>>(args);
  }
};
template <typename T>
void launch_all(T* x, float* y) {
  mmattn::CrissCross<mmattn::BestProduct, Launch> op(Launch(), {1, 1, 1, 1, 1});
  op.forward<T>(x, x, x, x, y, y, y);
  op.backward<T>(x, x, x, x, x, y, x, x, x, y);
}
template void launch_all(float*, float*);
template void launch_all(__half*, float*);
template void launch_all(__nv_bfloat16*, float*);
"""
# What torch.utils.cpp_extension defines for every extension.
TORCH_FLAGS = (
    '-D__CUDA_NO_HALF_OPERATORS__',
    '-D__CUDA_NO_HALF_CONVERSIONS__',
    '-D__CUDA_NO_BFLOAT16_CONVERSIONS__',
    '-D__CUDA_NO_HALF2_OPERATORS__',
    '--expt-relaxed-constexpr',
)


@pytest.fixture(scope='session')
def nvcc() -> Callable[..., str]:
    """Runs nvcc with the given arguments and returns what it printed."""
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    compiler = shutil.which('nvcc', path=f'{home}/bin' if home else None)
    if compiler is None:
        pytest.skip('needs nvcc (CUDA toolkit), on PATH or below CUDA_HOME')

    def run(*args: str | Path) -> str:
        result = subprocess.run(
            [compiler, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, result.stdout[-4000:]
        return result.stdout

    return run


HostRun = Callable[..., list[Tensor]]


@pytest.fixture(scope='session')
def host_run(nvcc, tmp_path_factory) -> HostRun:
    """Forward and backward of the kernels' bodies on the CPU."""
    folder = tmp_path_factory.mktemp('cuda_host_run')
    program = folder / 'cuda_host_run'
    nvcc(
        # The device pass wants an architecture that knows every dtype; nothing of it is used.
        *('-std=c++17', '-arch=sm_80', '-O1', '-I', KERNELS),
        # Shared memory holds several types at one place.
        *('-Xcompiler', '-fno-strict-aliasing'),
        *('-Xcompiler', '-fsanitize=address', '-Xcompiler', '-fsanitize=undefined'),
        *('-Xcompiler', '-fno-sanitize-recover=undefined'),
        *(Path(__file__).with_name('cuda_host_run.cu'), '-o', program),
    )

    def run(kind: tuple[torch.dtype, str], inputs: list[Tensor], order: str = 'forwards'):
        dtype, product = kind
        query, _, value, _ = inputs
        batch, query_channels, height, width = query.shape
        for name, tensor in zip(('query', 'key', 'value', 'grad_out'), inputs, strict=True):
            data = tensor.permute(0, 2, 3, 1).flatten().view(torch.uint8).numpy()
            data.tofile(folder / f'{name}.bin')
        sizes = (batch, query_channels, value.shape[1], height, width)
        result = subprocess.run(
            [program, str(dtype)[6:], product, order, *map(str, sizes)],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr[:4000]
        results = []
        for name in RESULTS:
            data = bytearray((folder / f'{name}.bin').read_bytes())
            if name == 'log_sum_exp':
                results.append(torch.frombuffer(data, dtype=torch.float32).view(query[:, 0].shape))
                continue
            tensor = torch.frombuffer(data, dtype=dtype).view(batch, height, width, -1)
            results.append(tensor.permute(0, 3, 1, 2))
        return results

    return run


def composition(query: Tensor, key: Tensor, value: Tensor, grad_out: Tensor) -> list[Tensor]:
    """RESULTS in plain PyTorch, in the dtype of the inputs: in float64 the definition."""
    inputs = [x.detach().requires_grad_() for x in (query, key, value)]
    query, key, value = inputs
    height = query.shape[2]
    column = torch.einsum('bchw,bcgw->bhwg', query, key)
    column = column.masked_fill(torch.eye(height, dtype=torch.bool)[:, None], float('-inf'))
    row = torch.einsum('bchw,bchx->bhwx', query, key)
    scores = torch.cat([column, row], dim=-1)
    weights = scores.softmax(-1)
    out = torch.einsum('bhwg,bcgw->bchw', weights[..., :height], value)
    out = out + torch.einsum('bhwx,bchx->bchw', weights[..., height:], value)
    return [
        out.detach(),
        scores.detach().logsumexp(-1),
        *torch.autograd.grad(out, inputs, grad_out),
    ]


def make_inputs(
    dtype: torch.dtype,
    height: int,
    width: int,
    query_channels: int,
    channels: int,
    batch: int,
    scale: float = 1,
) -> list[Tensor]:
    """Query, key, value and grad_out; scores have the standard deviation scale."""
    generator = torch.Generator().manual_seed(0)
    small = (scale**2 / query_channels) ** 0.25
    return [
        (torch.randn(batch, c, height, width, generator=generator) * factor).to(dtype)
        for c, factor in [(query_channels, small)] * 2 + [(channels, 1)] * 2
    ]


def assert_exact(inputs: list[Tensor], results: list[Tensor]) -> None:
    """Float32 to a few units of rounding, half and bfloat16 as well as their composition.

    That is, at most 1.25 times its root mean square of errors and twice its largest error.
    """
    exact = composition(*(x.double() for x in inputs))
    composed = composition(*inputs)
    for name, result, other, expected in zip(RESULTS, results, composed, exact, strict=True):
        size = expected.abs().max()
        error = (result.double() - expected).abs()
        if result.dtype == torch.float32:
            assert error.max() <= 2e-6 * size.clamp(min=1), name
            continue
        allowed = (other.double() - expected).abs()
        floor = 0.25 * torch.finfo(result.dtype).eps * size
        assert error.max() <= 2 * allowed.max() + floor, name
        rms, allowed_rms = error.square().mean().sqrt(), allowed.square().mean().sqrt()
        assert rms <= 1.25 * allowed_rms + floor, name


@kinds
@pytest.mark.parametrize(
    'size',  # H, W, Cq, C, B
    [
        (1, 1, 3, 1, 2),
        (1, 7, 8, 5, 2),
        (9, 1, 17, 40, 2),
        (5, 3, 64, 130, 2),
        (33, 17, 3, 5, 2),
        (64, 1, 3, 5, 1),
        (65, 3, 17, 40, 1),  # two tiles in a column
        (2, 70, 130, 8, 1),  # two tiles in a row, chunks of query channels
        (3, 4, 8, 520, 1),  # chunks of channels
    ],
    ids=str,
)
def test_host_run_equals_the_definition(host_run, kind, size):
    inputs = make_inputs(kind[0], *size)
    assert_exact(inputs, host_run(kind, inputs))


def test_host_run_with_two_tiles_both_ways(host_run):
    inputs = make_inputs(torch.float16, 65, 70, 8, 16, 1)
    assert_exact(inputs, host_run((torch.float16, 'tensor'), inputs))


@kinds
def test_threads_and_blocks_do_not_depend_on_their_order(host_run, kind):
    """A race or a missing barrier between phases would show; so would poisoned memory."""
    inputs = make_inputs(kind[0], 67, 2, 17, 130, 1)
    first = host_run(kind, inputs)
    for order in ('forwards', 'backwards'):
        for a, b in zip(first, host_run(kind, inputs, order), strict=True):
            assert torch.equal(a, b) and a.isfinite().all()


@kinds
def test_host_run_with_huge_scores(host_run, kind):
    """Float32 resolves scores of 1e4 to 1e-3, and no better with their log-sum-exp."""
    inputs = make_inputs(kind[0], 9, 11, 8, 5, 1, scale=1e4)
    exact = composition(*(x.double() for x in inputs))
    eps = torch.finfo(kind[0]).eps
    assert exact[1].abs().max() > 1e4
    for name, result, expected in zip(RESULTS, host_run(kind, inputs), exact, strict=True):
        size = expected.abs().max().clamp(min=1)  # gradients may vanish
        allowed = 1e-6 * size if name == 'log_sum_exp' else (5e-3 + 4 * eps) * size
        assert (result.double() - expected).abs().max() <= allowed, name


@kinds
def test_host_run_with_equal_scores(host_run, kind):
    inputs = make_inputs(kind[0], 9, 11, 8, 5, 1, scale=0)
    results = host_run(kind, inputs)
    assert_exact(inputs, results)
    _, log_sum_exp, grad_query, grad_key, _ = results
    torch.testing.assert_close(log_sum_exp, torch.full_like(log_sum_exp, 19).log())
    assert not grad_query.any() and not grad_key.any()


@kinds
def test_nan_stays_in_its_cross(host_run, kind):
    """What lies beyond a line, or is masked, is never multiplied, not even by zero."""
    inputs = make_inputs(kind[0], 6, 5, 8, 5, 2)
    clean = host_run(kind, inputs)[0]
    inputs[2][0, :, 2, 3] = float('nan')
    out = host_run(kind, inputs)[0]
    cross = torch.zeros(2, 1, 6, 5, dtype=torch.bool)
    cross[0, :, 2, :] = cross[0, :, :, 3] = True
    assert out.masked_select(cross).isnan().all()
    assert torch.equal(out.masked_select(~cross), clean.masked_select(~cross))


def test_kernels_compile_without_spills_for_all_architectures(nvcc, tmp_path):
    source = tmp_path / 'instances.cu'
    source.write_text(INSTANCES)
    codes = [('-gencode', f'arch=compute_{a},code=sm_{a}') for a in ARCHITECTURES]
    report = nvcc(
        *('-std=c++17', '-I', KERNELS, *TORCH_FLAGS, *(word for code in codes for word in code)),
        *('--threads', '0', '-Xptxas', '-v', '-fatbin', source),
        *('-o', tmp_path / 'instances.fatbin'),
    )
    kernels = re.findall(r'(\d+) bytes spill stores, (\d+) bytes spill loads', report)
    # Each dtype: LogSumExp, Delta, Attend and ScoreGradient in two widths.
    assert len(kernels) == 18 * len(ARCHITECTURES), report[-4000:]
    assert set(kernels) == {('0', '0')}, report


# Headers that a CUDA build of PyTorch or the toolkit's libraries bring and a CPU stack lacks.
STAND_INS = {
    'c10/cuda/impl/cuda_cmake_macros.h': '#define C10_CUDA_BUILD_SHARED_LIBS',
    'THC/THCAtomics.cuh': '#include <ATen/cuda/Atomic.cuh>',
    'cublas_v2.h': 'typedef struct cublasContext* cublasHandle_t; enum cublasStatus_t {};',
    'cublasLt.h': 'typedef struct cublasLtContext* cublasLtHandle_t;',
    'cusparse.h': 'typedef struct cusparseContext* cusparseHandle_t; enum cusparseStatus_t {};\n'
    'extern "C" const char* cusparseGetErrorString(cusparseStatus_t);',
    'cusolver_common.h': 'enum cusolverStatus_t {};',
    'cusolverDn.h': 'typedef struct cusolverDnContext* cusolverDnHandle_t;',
}


def test_the_op_compiles_against_torch_and_mmcv(nvcc, tmp_path):
    from torch.utils.cpp_extension import include_paths

    mmcv = Path(find_spec('mmcv').origin).parent / 'ops/csrc/common'
    if not mmcv.is_dir():
        pytest.skip(f'this mmcv comes without its sources ({mmcv})')
    for name, text in STAND_INS.items():
        header = tmp_path / 'stand_ins' / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(f'#pragma once\n{text}\n')
    folders = [*include_paths(), mmcv, mmcv / 'cuda']
    nvcc(
        *('-std=c++20', '-arch=sm_80', *TORCH_FLAGS, *(f'-I{folder}' for folder in folders)),
        # Searched last: real headers come first.
        *('-Xcompiler', f'-idirafter,{tmp_path / "stand_ins"}'),
        *('-c', CSRC / 'pytorch/cuda/criss_cross_cuda.cu', '-o', tmp_path / 'criss_cross_cuda.o'),
    )
