"""What every mechanism weighs can be asked of it, and is what its output is made of."""

import pytest
import torch
from torch import nn

from mmattn.attention import SE
from mmattn.attention.attending import Attention, ChannelAttending, path
from mmattn.attention.weighing import Selection, Weighing, can_be_asked, record
from mmattn.models.mechanisms import TABLE
from tests.attention.test_contract import MODULES, build, inputs

every_module = pytest.mark.parametrize('name', MODULES)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize('name', TABLE)
def test_every_mechanism_of_the_table_can_be_asked(name):
    assert can_be_asked(TABLE[name].module.__new__(TABLE[name].module))
    assert any(row.mechanism is TABLE[name].module for row in MODULES.values())


@every_module
def test_weights_times_values_give_the_output(name):
    module, batch = build(name), inputs(name)
    expected = module(*batch)
    actual = module(*batch, weigh=lambda weighing: weighing.explicit())
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@every_module
def test_the_output_depends_on_everything_that_is_weighed(name):
    module, batch = build(name), inputs(name)
    expected, count = module(*batch), len(record(module, *batch))
    assert count > 0
    for chosen in range(count):
        numbers = iter(range(count))

        def weigh(weighing: Weighing, numbers=numbers, chosen=chosen):
            out = weighing.explicit()
            return 2 * out + 1 if next(numbers) == chosen else out

        assert (module(*batch, weigh=weigh) - expected).abs().max() > 1e-6


@every_module
def test_each_sum_is_that_of_its_weights(name):
    for step in record(build(name), *inputs(name)):
        torch.testing.assert_close(step.explicit(), step.compute(), atol=1e-5, rtol=1e-5)


@every_module
def test_weights_that_are_a_softmax_sum_to_1(name):
    for step in record(build(name), *inputs(name)):
        if isinstance(step, Attention):
            weights = step.weights()
            shape = step.queries.count, step.keys.count
            assert weights.shape[0] == 2 and weights.shape[2:] == shape
            if step.normalised:
                assert (weights >= 0).all()
                torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        if isinstance(step, Selection):
            total = sum(step.weights)
            torch.testing.assert_close(total, torch.ones_like(total))


@every_module
def test_only_the_queries_that_are_asked_for_are_weighed(name):
    for step in record(build(name), *inputs(name)):
        if isinstance(step, Attention):
            chosen = torch.arange(0, step.queries.count, 3)
            weights = step.weights(chosen)
            assert weights.shape[2] == len(chosen)
            torch.testing.assert_close(weights, step.weights()[:, :, chosen])


@pytest.mark.parametrize('name', ['ChannelAttention(16)', 'CIAU(16)', 'FullyAttentional(16)'])
def test_channels_attend_at_a_pixel_as_in_the_whole_map(name):
    for step in record(build(name), *inputs(name)):
        if isinstance(step, ChannelAttending):
            weights, values, sums = step.at_pixel(2, 3)
            assert weights.shape == (2, 16, 16) and values.shape == (2, 16)
            whole = step.compute()
            whole = whole if whole.dim() == 4 else whole.unflatten(2, (7, 9))
            pixel = whole[:, :, 3, 2] if step.name == 'columns' else whole[:, :, 2, 3]
            torch.testing.assert_close(sums, pixel, atol=1e-5, rtol=1e-5)


def test_weighings_of_one_name_are_numbered():
    names = [step.name for step in record(build('CrissCross(16, recurrence=2)'), *_map())]
    assert names == ['cross', 'cross 2']


def test_one_step_of_criss_cross_attention_reaches_the_cross_and_two_reach_all():
    (once,) = record(build('CrissCross(16)'), *_map())
    reached = once.weights(torch.tensor([once.index(2, 3, (7, 9))]))[0, 0, 0].unflatten(0, (7, 9))
    cross = torch.zeros(7, 9, dtype=bool)
    cross[2], cross[:, 3] = True, True
    assert torch.equal(reached > 0, cross)

    steps = record(build('CrissCross(16, recurrence=2)'), *_map())
    first, weights = path(steps, torch.tensor([21]))
    assert first is steps[0] and (weights > 0).all()
    torch.testing.assert_close(weights, steps[1].weights()[:, :, [21]] @ steps[0].weights())


@pytest.mark.parametrize(
    'name', ['InterlacedSparse(16, down_factor=(2, 3))', 'ObjectContext(16, num_regions=5)']
)
def test_what_a_pixel_reaches_in_two_steps_is_a_map_of_pixels(name):
    steps = record(build(name), *_map())
    query = torch.tensor([steps[-1].index(2, 3, (7, 9))])
    first, weights = path(steps, query)
    assert first is steps[0]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 1))
    assert first.on_pixels(weights).shape == (2, 1, 1, 7, 9)
    torch.testing.assert_close(weights, steps[-1].weights(query) @ steps[0].weights())


def test_groups_of_interlaced_attention_are_lattices_and_blocks():
    far, near = record(build('InterlacedSparse(16, down_factor=(2, 3))'), *_map(size=(6, 9)))
    query = torch.tensor([far.index(3, 4, (6, 9))])
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(9), indexing='ij')
    lattice = (rows % 2 == 1) & (columns % 3 == 1)
    block = (rows // 2 == 1) & (columns // 3 == 1)
    for step, members in ((far, lattice), (near, block)):
        maps = step.on_pixels(step.weights(query))[0, 0, 0]
        assert torch.equal(maps > 0, members)


def test_weights_of_anchors_are_spread_over_their_pixels():
    module = build('AsymmetricNonLocal(8, 16, 4, 16)')
    low, high = inputs('AsymmetricNonLocal(8, 16, 4, 16)')
    (anchors,) = record(module, low, high)
    weights = anchors.weights(torch.tensor([5, 6]))
    maps = anchors.on_pixels(weights)
    assert maps.shape == (2, 1, 2, 7, 9)
    # The pixels' own values, weighed by these maps, are what the anchors give.
    expected = torch.einsum('bnqhw,bchw->bcq', maps, module.value_project(low))
    actual = anchors.compute().flatten(2)[:, :, [5, 6]]
    torch.testing.assert_close(expected, actual, atol=1e-5, rtol=1e-5)


def test_a_module_that_cannot_be_asked_is_told_apart():
    assert can_be_asked(SE(16)) and not can_be_asked(nn.Conv2d(1, 1, 1))


def _map(size: tuple[int, int] = (7, 9)) -> list[torch.Tensor]:
    return [torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(3))]
