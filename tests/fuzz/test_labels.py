"""Any bytes in place of an image or its label are read or refused in one line with the file."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from mmattn.datasets.watch import watch_labels
from mmattn.errors import UserError
from mmattn.preflight.data_pairs import look_at_pair

from .conftest import amount

STEPS = ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')
FORMATS = ('PNG', 'BMP', 'TIFF', 'GIF', 'WEBP', 'PPM')
MODES = ('L', 'RGB', 'P', '1', 'I;16', 'RGBA', 'CMYK', 'F')


@pytest.fixture
def dataset(untouched):
    """One image with its label, three classes."""
    init_default_scope('mmseg')
    Image.new('RGB', (6, 4)).save('a.jpg')
    Image.new('L', (6, 4)).save('a.png')
    cfg = dict(type='BaseSegDataset', data_prefix=dict(img_path='.', seg_map_path='.'))
    cfg |= dict(pipeline=[dict(type=step) for step in STEPS])
    built = DATASETS.build(cfg | dict(metainfo=dict(classes=('a', 'b', 'c'))))
    watch_labels(built, 3, {255})
    return built


def read(dataset) -> tuple[bool, bool]:
    """Whether the look before a run takes the pair, and whether a run does."""
    taken = []
    for look in (lambda: look_at_pair(dataset, 3, dataset.get_data_info(0)), lambda: dataset[0]):
        try:
            look()
            taken.append(True)
        except UserError as error:
            assert './a.' in str(error) or 'a.png' in str(error)
            assert '\n' not in str(error)
            taken.append(False)
    return tuple(taken)


@st.composite
def damaged(draw) -> bytes:
    """A picture in some format, cut off, with other bytes in it, or whole."""
    image = Image.new(draw(st.sampled_from(MODES)), draw(st.sampled_from([(6, 4), (1, 1)])))
    out = io.BytesIO()
    try:
        image.save(out, draw(st.sampled_from(FORMATS)))
    except (OSError, ValueError, KeyError):  # formats do not hold all modes
        image.convert('L').save(out, 'PNG')
    data = bytearray(out.getvalue())
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@amount(60, 1000)
@pytest.mark.parametrize('file', ['a.jpg', 'a.png'])
def test_any_file(dataset, file, cases):
    whole = Path(file).read_bytes()

    @settings(max_examples=cases)
    @given(st.one_of(damaged(), st.binary(max_size=64)))
    def check(data):
        Path(file).write_bytes(data)
        read(dataset)

    check()
    Path(file).write_bytes(whole)


@amount(60, 1000)
def test_any_values_are_taken_exactly_where_they_are_classes_or_void(dataset, cases):
    values = st.one_of(st.integers(0, 4), st.integers(0, 255), st.just(255))
    wide = st.one_of(values, st.integers(0, 65535))

    @settings(max_examples=cases)
    @given(
        st.one_of(
            arrays.arrays(np.uint8, (4, 6), elements=values, fill=st.just(0)),
            arrays.arrays(np.uint16, (4, 6), elements=wide, fill=st.just(0)),
        )
    )
    def check(label):
        Image.fromarray(label).save('a.png')
        sound = bool(np.isin(label, [0, 1, 2, 255]).all())
        assert read(dataset) == (sound, sound)

    check()
