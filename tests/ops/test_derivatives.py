"""Second derivatives, forward-mode derivatives and torch.func transforms of criss-cross attention.

The kernel has none of its own: whoever asks gets the composition's, and nobody else pays for it.
"""

from collections import Counter

import pytest
import torch
from torch import Tensor, func, nn
from torch.autograd import forward_ad
from torch.autograd.functional import hvp, jacobian
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from mmattn.attention import CrissCross
from mmattn.ops import composed_criss_cross_attention, criss_cross_attention

from .test_criss_cross import each_implementation, needs_kernel, tensors


def small(height: int = 3, width: int = 2) -> tuple[Tensor, ...]:
    return tensors(height, width, channels=(2, 3), batch=1)


def assert_close(results, exact, tolerance: float = 1e-5) -> None:
    """Relative to the largest number of each tensor."""
    for result, expected in zip(results, exact, strict=True):
        scale = expected.abs().max()
        assert result.dtype == expected.dtype
        assert scale > 0
        torch.testing.assert_close(result / scale, expected / scale, atol=tolerance, rtol=0)


@each_implementation
@pytest.mark.parametrize('size', [(3, 4), (1, 3), (1, 1)])
def test_second_derivatives(attend, size):
    assert torch.autograd.gradgradcheck(attend, [x.requires_grad_() for x in small(*size)])


@needs_kernel
@pytest.mark.parametrize('chosen', [[0], [1], [2], [0, 2]], ids=str)
def test_second_derivatives_of_some_of_the_tensors(chosen):
    args = small()
    for number in chosen:
        args[number].requires_grad_()
    assert torch.autograd.gradgradcheck(criss_cross_attention, args)


@needs_kernel
def test_second_and_third_derivatives_of_one_tensor_in_three_places():
    def attend(x: Tensor) -> Tensor:
        return criss_cross_attention(x, x, x)

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(attend(x).sin().sum(), x, create_graph=True)[0]

    x = small(2, 2)[0].requires_grad_()
    assert torch.autograd.gradgradcheck(attend, x)
    assert torch.autograd.gradgradcheck(gradient, x)


@needs_kernel
@pytest.mark.parametrize('create_graph', [False, True])
def test_gradients_of_many_vectors_at_once(create_graph):
    """The backward pass runs under vmap here, the forward pass does not."""
    results = jacobian(criss_cross_attention, small(), create_graph, vectorize=True)
    exact = jacobian(composed_criss_cross_attention, small())
    torch.testing.assert_close(results, exact)


@needs_kernel
def test_products_of_the_hessian_and_a_vector():
    args = small()
    results, exact = (
        hvp(lambda *x, attend=attend: attend(*x).sin().sum(), args, args)[1]
        for attend in (criss_cross_attention, composed_criss_cross_attention)
    )
    torch.testing.assert_close(results, exact)


def make_module() -> CrissCross:
    torch.manual_seed(0)
    module = CrissCross(16, recurrence=2)
    nn.init.ones_(module.gamma.scale)
    return module


def composed_module(module: CrissCross):
    """The same parameters, without the kernel."""
    return lambda x: module(x, lambda c: composed_criss_cross_attention(c.query, c.key, c.value))


def image(batch: int = 2) -> Tensor:
    return torch.randn(batch, 16, 9, 7, generator=torch.Generator().manual_seed(1))


@needs_kernel
@pytest.mark.parametrize('checkpointed', [False, True])
def test_a_gradient_penalty_is_that_of_the_composition(checkpointed):
    module = make_module()

    def penalized(forward) -> tuple[Tensor, ...]:
        x = image().requires_grad_()
        out = checkpoint(forward, x, use_reentrant=False) if checkpointed else forward(x)
        (grad,) = torch.autograd.grad(out.square().mean(), x, create_graph=True)
        # The bias of the keys changes no softmax.
        weights = [w for name, w in module.named_parameters() if name != 'key_conv.bias']
        return torch.autograd.grad(grad.square().sum(), weights)

    assert_close(penalized(module), penalized(composed_module(module)))


@needs_kernel
def test_a_backward_pass_inside_autocast_is_as_exact_as_the_forward_pass_was():
    args = [x.requires_grad_() for x in tensors(4, 5, torch.float32)]
    out = criss_cross_attention(*args).sin().sum()
    exact = torch.autograd.grad(out, args, create_graph=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        results = torch.autograd.grad(out, args, create_graph=True)
    assert all(torch.equal(*pair) for pair in zip(results, exact, strict=True))


@needs_kernel
def test_second_derivatives_of_a_forward_pass_in_autocast():
    def derivatives(attend) -> tuple[Tensor, ...]:
        args = [x.requires_grad_() for x in tensors(4, 5, torch.float32)]
        with torch.autocast('cpu', dtype=torch.bfloat16):
            out = attend(*args)
        grads = torch.autograd.grad(out.float().sin().sum(), args, create_graph=True)
        return torch.autograd.grad(sum(grad.square().sum() for grad in grads), args)

    results, exact = map(derivatives, (criss_cross_attention, composed_criss_cross_attention))
    assert_close(results, exact, 0.05)


def total(attend):
    return lambda *args: attend(*args).sin().sum()


def mixed(attend):
    """A gradient of the norm of another one."""
    inner = func.grad(total(attend), 2)
    return func.grad(lambda *args: inner(*args).square().sum())


def stacked(*args: Tensor) -> list[Tensor]:
    return [torch.stack([x, 2 * x, -x]) for x in args]


ALL = (0, 1, 2)
TRANSFORMS = {
    'grad': lambda f, *x: func.grad(total(f), ALL)(*x),
    'grad of grad': lambda f, *x: mixed(f)(*x),
    'vjp': lambda f, *x: func.vjp(f, *x)[1](x[2].cos()),
    'jvp': lambda f, *x: func.jvp(f, x, tuple(y.cos() for y in x)),
    'linearize': lambda f, *x: func.linearize(f, *x)[1](*(y.cos() for y in x)),
    'jacrev': lambda f, *x: func.jacrev(f, ALL)(*x),
    'jacfwd': lambda f, *x: func.jacfwd(f, ALL)(*x),
    'hessian': lambda f, *x: func.hessian(total(f), ALL)(*x),
    'vmap': lambda f, *x: func.vmap(f)(*stacked(*x)),
    'vmap of one': lambda f, *x: func.vmap(f, (None, 1, None), 2)(
        x[0], stacked(x[1])[0].transpose(0, 1), x[2]
    ),
    'vmap of grad': lambda f, *x: func.vmap(func.grad(total(f), ALL))(*stacked(*x)),
}


@needs_kernel
@pytest.mark.parametrize('transform', TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_are_those_of_the_composition(transform):
    results = transform(criss_cross_attention, *small())
    torch.testing.assert_close(results, transform(composed_criss_cross_attention, *small()))


@needs_kernel
def test_gradients_of_each_sample():
    module, batch = make_module(), image(3)
    parameters = dict(module.named_parameters())

    def criterion(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        return func.functional_call(module, parameters, sample[None]).square().mean()

    results = func.vmap(func.grad(criterion), (None, 0))(parameters, batch)
    for number, sample in enumerate(batch):
        exact = torch.autograd.grad(criterion(parameters, sample), list(parameters.values()))
        for name, grad in zip(parameters, exact, strict=True):
            torch.testing.assert_close(results[name][number], grad, atol=1e-5, rtol=1e-4)


@needs_kernel
def test_a_transform_of_the_operator_that_exported_programs_call():
    args = small()
    expected = func.jvp(composed_criss_cross_attention, args, args)
    results = func.jvp(lambda *x: torch.ops.mmattn.criss_cross_attention(*x)[0], args, args)
    torch.testing.assert_close(results, expected)


def tangent(attend, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    with forward_ad.dual_level():
        value = forward_ad.make_dual(value, value.cos())
        return forward_ad.unpack_dual(attend(query, key, value)).tangent


@needs_kernel
@pytest.mark.parametrize('requires_grad', [False, True])
def test_tangents_are_not_dropped(requires_grad):
    args = [x.requires_grad_(requires_grad) for x in small()]
    expected = tangent(composed_criss_cross_attention, *args)
    torch.testing.assert_close(tangent(criss_cross_attention, *args), expected)


@needs_kernel
def test_tangents_are_not_dropped_by_what_was_compiled_without():
    compiled = torch.compile(criss_cross_attention, fullgraph=True, backend='aot_eager')
    compiled(*small())
    expected = tangent(composed_criss_cross_attention, *small())
    torch.testing.assert_close(tangent(compiled, *small()), expected)


@needs_kernel
def test_a_transform_compiles():
    gradient = func.grad(total(criss_cross_attention), ALL)
    compiled = torch.compile(gradient, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*small()), gradient(*small()))


class Calls(TorchDispatchMode):
    """Counts the operators of torch and of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.of = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.of[function.overloadpacket] += 1
        return function(*args, **(kwargs or {}))


@needs_kernel
def test_a_step_of_training_runs_on_the_kernels_and_keeps_no_map():
    args = [x.requires_grad_() for x in tensors(30, 40, torch.float32, batch=1)]
    kept = []
    with (
        Calls() as calls,
        torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x),
    ):
        criss_cross_attention(*args).sum().backward()
    assert calls.of[torch.ops.mmattn.criss_cross_attention] == 1
    assert calls.of[torch.ops.mmattn.criss_cross_attention_backward] == 1
    assert calls.of[torch.ops.aten.bmm] == 0
    assert kept == [*(x.shape for x in args), (0,), (1, 30, 40)]
