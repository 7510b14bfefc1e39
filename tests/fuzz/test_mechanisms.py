"""Every mechanism takes the arguments of a config or refuses them in one line."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import init_default_scope

from mmattn.errors import UserError, is_of_libraries
from mmattn.models.mechanisms import MECHANISMS, build_mechanism

from .conftest import amount

ROLES = {'fusion': 'fusion', 'convolution': 'conv2'}
WORDS = ('max', 'sum', 'product', 'both', 'spatial', 'channel', 'theta', 'avg', 'low8', 'positions')
odd = st.one_of(
    st.integers(-3, 40),
    st.floats(-2, 4),
    st.booleans(),
    st.none(),
    st.sampled_from(WORDS),
    st.lists(st.integers(-1, 9), max_size=3),
    st.fixed_dictionaries({'type': st.sampled_from(['BN', 'GN', 'LN', 'ReLU', 'SE'])}),
)


def arguments(name: str) -> st.SearchStrategy[dict]:
    """Some arguments of a mechanism: of the type of their default, or of any."""
    choices = {}
    for key, parameter in list(inspect.signature(MECHANISMS[name].module).parameters.items())[1:]:
        if key in ('device', 'dtype'):  # torch's own, which it refuses in words of its own
            continue
        default = parameter.default
        near = odd
        if isinstance(default, bool):
            near = st.booleans()
        elif isinstance(default, int):
            near = st.integers(0, 2 * default + 2)
        choices[key] = near if default is inspect.Parameter.empty else st.one_of(near, odd)
    return st.fixed_dictionaries({}, optional=choices)


@pytest.mark.parametrize('name', sorted(MECHANISMS))
@amount(6, 40)
def test_any_arguments_of_a_config(name, cases):
    init_default_scope('mmseg')
    kind = MECHANISMS[name].kind

    @settings(max_examples=cases)
    @given(
        arguments(name),
        st.sampled_from([1, 3, 8, 16, 24]),
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.sampled_from([None, dict(type='BN'), dict(type='GN', num_groups=1)]),
    )
    def check(options, channels, size, norm_cfg):
        places = dict(in_channels=channels)
        if kind == 'convolution':
            places.update(out_channels=channels, stride=1)
        try:
            cfg = dict(options, type=name)
            _, module = build_mechanism(ROLES.get(kind, 'attention'), cfg, norm_cfg, **places)
        except UserError as error:
            assert '\n' not in str(error)
            return
        maps = [torch.randn(2, channels, *size) for _ in range(2 if kind == 'fusion' else 1)]
        try:
            output = module.eval()(*maps)
        except Exception as error:  # the look at a model before a run tells it in one line
            assert is_of_libraries(error, skip=1)
            return
        assert output.shape[0] == 2

    check()
