"""Any file in place of a checkpoint is read or refused in one line, and none runs code."""

import io
import os
import pickle

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmattn.engine import checkpoints
from mmattn.errors import UserError
from mmattn.preflight.checkpoint import check_checkpoint

from .conftest import amount

CFG = Config(dict(model=dict(type='EncoderDecoder', decode_head=dict(num_classes=3))))
SHAPES = {'backbone.weight': (2, 3), 'decode_head.bias': (3,)}
leaves = st.one_of(
    st.integers(),
    st.text(max_size=5),
    st.none(),
    st.floats(),
    st.builds(torch.zeros, st.lists(st.integers(0, 3), max_size=3)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=6), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)
weights = st.dictionaries(
    st.sampled_from([*SHAPES, 'module.backbone.weight', 'x']),
    st.one_of(leaves, st.sampled_from([torch.zeros(shape) for shape in SHAPES.values()])),
)
PARTS = ('state_dict', 'meta', 'optimizer', 'message_hub', 'param_schedulers')
dictionaries = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(PARTS, trees), 'state_dict': st.one_of(weights, trees)}
)


@pytest.fixture(autouse=True)
def safe():
    checkpoints.install()


def look(data: bytes, resume: bool) -> None:
    with open('iter_1.pth', 'wb') as file:
        file.write(data)
    try:
        check_checkpoint('iter_1.pth', CFG, SHAPES, resume=resume)
    except UserError as error:
        assert 'iter_1.pth' in str(error)
        assert '\n' not in str(error)


def saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


@amount(40, 1000)
def test_any_content(cases):
    @settings(max_examples=cases)
    @given(st.one_of(dictionaries, trees), st.booleans())
    @example({0: torch.zeros(())}, False)
    def check(content, resume):
        look(saved(content), resume)

    check()


@amount(40, 1000)
def test_any_damage(cases):
    whole = saved({'state_dict': {key: torch.zeros(shape) for key, shape in SHAPES.items()}})

    @settings(max_examples=cases)
    @given(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=5),
        st.integers(0, len(whole)),
    )
    @example([(len(whole) - 22 - 20 + 16, 2)], 1)  # an archive of two disks
    def check(changes, end):
        data = bytearray(whole)
        for place, byte in changes:
            data[place] = byte
        look(bytes(data if end % 2 else data[:end]), resume=False)

    check()


class Runs:
    """A pickle that would write a file."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@amount(20, 300)
def test_no_pickle_runs_code(untouched, cases):
    calls = [(os.system, f'touch {untouched}/ran'), (open, f'{untouched}/ran', 'w')]
    calls += [(eval, f'open("{untouched}/ran", "w")'), (os.mkdir, f'{untouched}/ran')]

    @settings(max_examples=cases)
    @given(st.sampled_from(calls), st.sampled_from(PARTS), trees, st.integers(0, 5), st.booleans())
    def check(call, part, beside, protocol, plain):
        content = {'beside': beside, part: Runs(*call)}
        look(pickle.dumps(content, protocol) if plain else saved(content), resume=False)
        assert not (untouched / 'ran').exists()

    check()
