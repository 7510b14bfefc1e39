"""The op, compiled and composed of PyTorch's operators, against its definition."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmattn.attention import CrissCross
from mmattn.ops import composed_criss_cross_attention, criss_cross_attention
from mmattn.ops.extension import EXTENSION

needs_kernel = pytest.mark.skipif(
    'cpu' not in EXTENSION.devices, reason=f'no compiled kernel: {EXTENSION.missing("cpu")}'
)
each_implementation = pytest.mark.parametrize(
    'attend',
    [pytest.param(criss_cross_attention, marks=needs_kernel), composed_criss_cross_attention],
    ids=['kernel', 'composed'],
)


def naive(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One softmax over the H + W - 1 pixels of each cross, in float64, pixel by pixel."""
    query, key, value = query.double(), key.double(), value.double()
    out = torch.empty_like(value)
    batch, _, height, width = query.shape
    for b in range(batch):
        for h in range(height):
            for w in range(width):
                cross = [(i, w) for i in range(height) if i != h] + [(h, j) for j in range(width)]
                scores = torch.stack([query[b, :, h, w] @ key[b, :, i, j] for i, j in cross])
                values = torch.stack([value[b, :, i, j] for i, j in cross], dim=1)
                out[b, :, h, w] = values @ scores.softmax(0)
    return out


def tensors(
    height: int,
    width: int,
    dtype: torch.dtype = torch.float64,
    channels: tuple[int, int] = (3, 5),
    batch: int = 2,
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    key_channels, value_channels = channels
    return tuple(
        torch.randn(batch, n, height, width, generator=generator, dtype=torch.float64).to(dtype)
        for n in (key_channels, key_channels, value_channels)
    )


def forward_and_gradients(attend, args: tuple[Tensor, ...], grad_out: Tensor) -> list[Tensor]:
    args = [x.detach().requires_grad_() for x in args]
    out = attend(*args)
    return [x.double() for x in (out, *torch.autograd.grad(out, args, grad_out.to(out.dtype)))]


def errors(attend, args: tuple[Tensor, ...], exact: list[Tensor], grad_out: Tensor) -> list[float]:
    """Root mean square errors of the output and the three gradients."""
    results = forward_and_gradients(attend, args, grad_out)
    return [(x - y).pow(2).mean().sqrt().item() for x, y in zip(results, exact, strict=True)]


@pytest.mark.skipif(os.environ.get('MMATTN_WITH_OPS') != '1', reason='kernels are optional here')
def test_kernels_that_were_demanded_are_there():
    assert 'cpu' in EXTENSION.devices, EXTENSION.problem


@each_implementation
@pytest.mark.parametrize('size', [(5, 7), (7, 5), (1, 6), (6, 1), (1, 1)])
def test_equals_the_definition(attend, size):
    args = tensors(*size)
    torch.testing.assert_close(attend(*args), naive(*args))


SCORES = {
    'huge': lambda q, k, v: (1e4 * q, k, v),
    'all equal': lambda q, k, v: (0 * q, k, v),
    'one dominating pixel': lambda q, k, v: (
        q,
        k.index_fill(3, torch.tensor([2]), 300.0),
        v,
    ),
}


@each_implementation
@pytest.mark.parametrize('change', SCORES.values(), ids=SCORES)
def test_adversarial_scores(attend, change):
    args = change(*tensors(4, 6, torch.float32))
    torch.testing.assert_close(attend(*args).double(), naive(*args), atol=1e-5, rtol=1e-5)
    grads = forward_and_gradients(attend, args, torch.ones_like(args[2]))
    exact = forward_and_gradients(
        composed_criss_cross_attention, [x.double() for x in args], torch.ones_like(args[2])
    )
    for grad, expected in zip(grads, exact, strict=True):
        scale = expected.abs().max().clamp(min=1)
        torch.testing.assert_close(grad / scale, expected / scale, atol=2e-5, rtol=0)


@needs_kernel
@pytest.mark.parametrize(
    ('size', 'channels', 'batch'),
    [((97, 97), (8, 64), 1), ((65, 129), (8, 70), 1), ((33, 20), (150, 140), 2)],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_kernel_equals_the_composition_in_float64(size, channels, batch, dtype):
    """Also where channels do not fill a block, and where queries are wider than values."""
    args = tensors(*size, channels=channels, batch=batch)
    grad_out = torch.randn(args[2].shape, generator=torch.Generator().manual_seed(1)).double()
    exact = forward_and_gradients(composed_criss_cross_attention, args, grad_out)
    results = forward_and_gradients(
        criss_cross_attention, [x.to(dtype) for x in args], grad_out.to(dtype)
    )
    tolerance = 1e-11 if dtype == torch.float64 else 1e-5
    for result, expected in zip(results, exact, strict=True):
        scale = expected.abs().max()
        torch.testing.assert_close(result / scale, expected / scale, atol=tolerance, rtol=0)


@needs_kernel
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_kernel_in_half_precision_is_no_less_exact_than_the_composition(dtype):
    args = tensors(19, 33, dtype, channels=(16, 200))
    grad_out = torch.randn(args[2].shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    doubles = [x.double() for x in args]
    exact = forward_and_gradients(composed_criss_cross_attention, doubles, grad_out.double())
    kernel = errors(criss_cross_attention, args, exact, grad_out)
    composed = errors(composed_criss_cross_attention, args, exact, grad_out)
    for ours, theirs in zip(kernel, composed, strict=True):
        assert ours <= 1.02 * theirs  # the same roundings, summed in another order


LAYOUTS = {
    'channels_last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'transposed': lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    'sliced': lambda x: torch.cat([x, x], dim=3)[..., : x.shape[3]],
    'expanded': lambda x: x[:, :, :, :1].expand(x.shape),
}


@each_implementation
@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_give_the_same_numbers(attend, layout):
    args = [layout(x) for x in tensors(5, 7, channels=(3, 70))]
    grad_out = torch.ones(()).double().expand(args[2].shape)
    dense = [x.contiguous() for x in args]
    torch.testing.assert_close(attend(*args), naive(*dense))
    results = forward_and_gradients(attend, args, grad_out)
    exact = forward_and_gradients(composed_criss_cross_attention, dense, grad_out.contiguous())
    for result, expected in zip(results, exact, strict=True):
        torch.testing.assert_close(result, expected)


@each_implementation
@pytest.mark.parametrize('size', [(3, 4), (1, 3), (1, 1)])
def test_gradients(attend, size):
    args = [x.requires_grad_() for x in tensors(*size)]
    assert torch.autograd.gradcheck(attend, args)


@needs_kernel
def test_gives_the_same_bits_on_any_number_of_threads():
    args = tensors(30, 40, torch.float32, channels=(8, 130))
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 2, 5):
            torch.set_num_threads(number)
            grad_out = torch.ones_like(args[2])
            results.append(forward_and_gradients(criss_cross_attention, args, grad_out))
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@needs_kernel
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_what_is_not_finite_is_not_hidden(bad):
    args = tensors(4, 5)
    args[0][0, 1, 2, 3] = bad
    grad_out = torch.ones_like(args[2])
    results = forward_and_gradients(criss_cross_attention, args, grad_out)
    exact = forward_and_gradients(composed_criss_cross_attention, args, grad_out)
    for result, expected in zip(results, exact, strict=True):
        assert torch.equal(result.isfinite(), expected.isfinite())


@needs_kernel
def test_scores_of_minus_infinity_weigh_nothing():
    """Of two rows one has such keys: all of the other's columns, all of its own row."""
    args = [x.half() for x in tensors(2, 5, channels=(1, 4), batch=1)]
    args[0].fill_(300)
    args[1].fill_(1)
    args[1][:, :, 1] = -300  # 300 * -300 is beyond float16
    out = criss_cross_attention(*args)
    assert out.isfinite().all()
    torch.testing.assert_close(out, composed_criss_cross_attention(*args))


@needs_kernel
@pytest.mark.parametrize(
    'shapes',
    [
        [(2, 3, 0, 7), (2, 3, 0, 7), (2, 5, 0, 7)],
        [(2, 3, 4, 7), (2, 5, 4, 7), (2, 5, 4, 7)],
        [(2, 3, 4, 7), (2, 3, 4, 7), (2, 5, 7, 4)],
        [(3, 4, 7), (3, 4, 7), (5, 4, 7)],
    ],
)
def test_the_dispatched_operator_checks_shapes_too(shapes):
    args = [torch.rand(shape) for shape in shapes]
    with pytest.raises(RuntimeError, match='expected non-empty query and key'):
        torch.ops.mmattn.criss_cross_attention(*args)
    with pytest.raises(RuntimeError, match='expected'):
        rest = args[2], torch.rand(2, 4, 7, dtype=torch.float64)
        torch.ops.mmattn.criss_cross_attention_backward(args[2][:, :1], *args, *rest)


@needs_kernel
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_kernel_reads_no_memory_that_it_has_not_written(dtype, monkeypatch):
    args = tensors(18, 35, dtype, channels=(3, 150))
    expected = forward_and_gradients(criss_cross_attention, args, args[2])
    monkeypatch.setattr(torch.utils.deterministic, 'fill_uninitialized_memory', True)
    torch.use_deterministic_algorithms(True)  # from now on fresh memory is NaN
    try:
        assert torch.empty(1, dtype=dtype).isnan()
        results = forward_and_gradients(criss_cross_attention, args, args[2])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))


@needs_kernel
def test_runs_in_inference_mode():
    args = tensors(40, 40, torch.float32, channels=(8, 64))
    with torch.inference_mode():
        out = criss_cross_attention(*args)
    torch.testing.assert_close(out, criss_cross_attention(*args))


@needs_kernel
@pytest.mark.parametrize('layout', [LAYOUTS['channels_last'], LAYOUTS['transposed'], Tensor.clone])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_passes_opcheck(layout, dtype):
    args = tuple(layout(x).requires_grad_() for x in tensors(5, 7, dtype))
    torch.library.opcheck(torch.ops.mmattn.criss_cross_attention.default, args, atol=1e-2, rtol=0)


def twice(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return criss_cross_attention(query, key, criss_cross_attention(query, key, value))


@needs_kernel
def test_compiles_and_exports_as_one_graph():
    args = tensors(5, 7, torch.float32)
    expected = forward_and_gradients(twice, args, torch.ones_like(args[2]))
    compiled = torch.compile(twice, fullgraph=True, backend='aot_eager')
    results = forward_and_gradients(compiled, args, torch.ones_like(args[2]))
    for result, value in zip(results, expected, strict=True):
        torch.testing.assert_close(result, value)

    class Twice(nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return twice(query, key, value)

    program = torch.export.export(Twice(), args)
    torch.testing.assert_close(program.module()(*args), twice(*args))


@needs_kernel
def test_autocast_computes_in_its_dtype_and_returns_float32_gradients():
    args = [x.requires_grad_() for x in tensors(5, 7, torch.float32)]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = criss_cross_attention(*args)
    assert out.dtype == torch.bfloat16
    assert all(grad.dtype == torch.float32 for grad in torch.autograd.grad(out.sum(), args))


@pytest.mark.parametrize('dynamo', [False, True], ids=['traced', 'exported'])
def test_onnx_holds_standard_operators_only(tmp_path, dynamo):
    onnx = pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    module = CrissCross(16).eval()
    nn.init.ones_(module.gamma.scale)
    x = torch.rand(1, 16, 5, 7, generator=torch.Generator().manual_seed(0))
    path = tmp_path / 'criss_cross.onnx'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(module, (x,), path, input_names=['x'], dynamo=dynamo)
    assert {node.domain for node in onnx.load(path).graph.node} <= {''}
    out = onnxruntime.InferenceSession(path).run(None, {'x': x.numpy()})[0]
    np.testing.assert_allclose(out, module(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ('change', 'error', 'words'),
    [
        (lambda q, k, v: (q[0], k, v), ValueError, r'\(B, C, H, W\), got query \(3, 5, 7\)'),
        (lambda q, k, v: (q, k[:, :2], v), ValueError, 'query and key must have one shape'),
        (lambda q, k, v: (q, k, v[:, :, :4]), ValueError, 'value must share B, H and W'),
        (lambda q, k, v: (q, k, v[:1]), ValueError, r'value \(1, 5, 5, 7\)'),
        (lambda q, k, v: (q[:0], k[:0], v[:0]), ValueError, 'must not be empty'),
        (lambda q, k, v: (q[:, :, :0], k[:, :, :0], v[:, :, :0]), ValueError, r'\(2, 3, 0, 7\)'),
        (lambda q, k, v: (q[..., :0], k[..., :0], v[..., :0]), ValueError, r'\(2, 3, 5, 0\)'),
        (lambda q, k, v: (q, k, v.half()), TypeError, 'one dtype.*torch.float16'),
        (lambda q, k, v: (q.long(), k.long(), v.long()), TypeError, 'floating.*torch.int64'),
        (lambda q, k, v: (q, k, v.to('meta')), TypeError, 'one device.*meta'),
    ],
)
def test_wrong_inputs_are_named(change, error, words):
    with pytest.raises(error, match=words):
        criss_cross_attention(*change(*tensors(5, 7)))


def run_python(code: str) -> subprocess.CompletedProcess:
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


# A None in sys.modules is how Python itself marks a module that cannot be imported.
WITHOUT_EXTENSION = "import sys; sys.modules['mmattn._ext'] = None\n"


def test_without_the_extension_the_composition_runs_and_says_so_once():
    result = run_python(
        WITHOUT_EXTENSION + 'import torch\n'
        'from mmattn.ops import criss_cross_attention\n'
        'for _ in range(3): out = criss_cross_attention(*torch.rand(3, 1, 4, 5, 6).unbind())\n'
        'print(tuple(out.shape))'
    )
    assert '(1, 4, 5, 6)' in result.stdout
    assert result.stderr.count('slower PyTorch implementation on cpu') == 1
    assert 'pip install --no-build-isolation -e .' in result.stderr


def test_report_names_what_is_built_and_what_to_do():
    code = "import runpy; runpy.run_module('mmattn.ops', run_name='__main__')"
    without = run_python(WITHOUT_EXTENSION + code).stdout
    assert 'the operators are not compiled' in without
    assert 'MMATTN_WITH_OPS=1 pip install --no-build-isolation -e .' in without
    report = run_python(code).stdout
    for device in ('cpu', 'cuda'):
        path = 'compiled kernel' if device in EXTENSION.devices else 'PyTorch implementation'
        assert f'criss_cross_attention on {device}: {path}' in report
