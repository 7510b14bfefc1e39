"""What `browse` draws is what goes into the model."""

import numpy as np
import pytest
from PIL import Image

from mmattn.apis import browse, train
from mmattn.datasets.toy import ToyScenesDataset
from mmattn.errors import UserError

CONFIG = 'configs/danet/danet_r18-d8_1xb4-300it_toy-128x256.py'
PALETTE = np.array(ToyScenesDataset.METAINFO['palette'])
LEFT = 8  # of the first panel in its picture


@pytest.fixture(autouse=True)
def data(toy_root, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', str(toy_root))
    return toy_root


def panels(picture, width: int, height: int) -> list[np.ndarray]:
    """Those of a picture, below their titles."""
    pixels = np.asarray(Image.open(picture)).astype(int)
    top = next(y for y in range(20, 60) if (pixels[y, LEFT] != 255).any())
    return [pixels[top : top + height, x : x + width] for x in (LEFT, 2 * LEFT + width)]


def first(data, kind: str) -> np.ndarray:
    return np.asarray(Image.open(min((data / 'toy' / kind / 'val').rglob('*.png')))).astype(int)


def test_images_without_augmentation_are_those_of_the_files(data, tmp_path):
    page = browse(CONFIG, split='val', count=2, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['001.png', '002.png', 'index.html']
    image, labels = panels(tmp_path / '001.png', 256, 128)
    expected = first(data, 'leftImg8bit')
    assert (image == expected).all()
    classes = first(data, 'gtFine')
    known = classes != 255
    colours = PALETTE[np.where(known, classes, 0)]
    assert abs(labels - (expected + colours) / 2)[known].max() <= 1
    text = page.read_text()
    assert text.count('data:image/png;base64,') == 2
    assert '256x128 (width x height): seen at 256x128<' in text


def test_a_seed_draws_the_same_pictures_again_and_another_one_others(tmp_path):
    pictures = []
    for name, seed in [('a', 1), ('b', 1), ('c', 2)]:
        options = {'train_dataloader.prefetch_factor': 4, 'train_dataloader.timeout': 9}
        browse(CONFIG, count=3, seed=seed, out=tmp_path / name, cfg_options=options)
        pictures.append([path.read_bytes() for path in sorted((tmp_path / name).glob('*.png'))])
    assert pictures[0] == pictures[1] != pictures[2]
    assert len(set(pictures[0])) == 3


def test_padding_has_the_mean_colour_and_labels_that_are_loaded_late_fit_the_image(data, tmp_path):
    pipeline = ['LoadImageFromFile', 'Resize', 'LoadAnnotations', 'PackSegInputs']
    steps = [{'type': name} for name in pipeline]
    steps[1] |= {'scale': (128, 64), 'keep_ratio': True}
    options = {
        'val_dataloader.dataset.pipeline': steps,
        'model.data_preprocessor.test_cfg': {'size': (100, 140)},
    }
    browse(CONFIG, split='val', count=1, out=tmp_path, cfg_options=options)
    image, labels = panels(tmp_path / '001.png', 140, 100)
    assert (image[64:] == [124, 116, 104]).all() and (image[:, 128:] == [124, 116, 104]).all()
    assert (labels[64:].max(-1) - labels[64:].min(-1) < 30).all()  # grey lines, no class
    small = np.asarray(Image.fromarray(first(data, 'gtFine').astype(np.uint8)).resize((128, 64), 0))
    known = small != 255
    colours = PALETTE[np.where(known, small, 0)]
    assert abs(labels[:64, :128] - (image[:64, :128] + colours) / 2)[known].max() <= 1


def test_test_images_without_labels_are_drawn_alone(tmp_path):
    options = {'test_dataloader.dataset.data_prefix.seg_map_path': None}
    browse(CONFIG, split='test', count=1, out=tmp_path, cfg_options=options)
    assert Image.open(tmp_path / '001.png').width < 2 * 256


def test_what_cannot_be_browsed_is_told(data, tmp_path):
    inside = data / 'toy/leftImg8bit/train/pictures'
    for arguments, message in [
        ({'count': 0}, 'count is 0: it must be at least 1'),
        ({'out': inside}, 'lies in the train data'),
        ({'cfg_options': {'val_dataloader': None}, 'split': 'val'}, 'has no val_dataloader'),
        ({'cfg_options': {'model.data_preprocessor': None}}, 'has no model.data_preprocessor'),
    ]:
        with pytest.raises(UserError, match=message):
            browse(CONFIG, **{'out': tmp_path, **arguments})
    assert not inside.exists()


@pytest.mark.parametrize('seed', [-1, 2**32])
def test_a_seed_that_random_generators_do_not_take_is_told(tmp_path, seed):
    with pytest.raises(UserError, match=f'the seed is {seed}: .* from 0 to 4294967295'):
        browse(CONFIG, seed=seed, out=tmp_path)
    with pytest.raises(UserError, match=f'the seed is {seed}: '):
        train(CONFIG, seed=seed, work_dir=tmp_path)
