"""The toy set is complete, always the same, and a fair question about context."""

import hashlib
import shutil

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from mmattn.datasets.toy import generate_toy_scenes
from mmattn.datasets.toy_scenes import (
    BOAT,
    BUILDING,
    CAR,
    CLASSES,
    LAMP,
    ROAD,
    SKY,
    TREE,
    VOID,
    WATER,
    render_scene,
)
from mmattn.errors import UserError


@pytest.fixture(scope='module')
def toy_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'toy'
    generate_toy_scenes(root)
    return root


@pytest.fixture(scope='module')
def scenes(toy_dir):
    """RGB images (40, 128, 256, 3) and labels (40, 128, 256) of the train split."""
    images = sorted((toy_dir / 'leftImg8bit/train').rglob('*.png'))
    labels = sorted((toy_dir / 'gtFine/train').rglob('*.png'))
    return (
        np.stack([cv2.imread(str(file))[..., ::-1] for file in images]),
        np.stack([cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in labels]),
    )


def rng(seed):
    return np.random.Generator(np.random.PCG64([99, seed]))


def digest(root):
    files = sorted(file for file in root.rglob('*') if file.is_file())
    pixels = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED).tobytes() for file in files]
    return len(files), hashlib.sha256(b''.join(pixels)).hexdigest()


@pytest.mark.parametrize(('split', 'count'), [('train', 40), ('val', 16)])
def test_data_set_class_reads_the_generated_files(toy_dir, split, count):
    prefix = dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(
            dict(
                type='ToyScenesDataset',
                data_root=str(toy_dir),
                data_prefix=prefix,
                pipeline=pipeline,
            )
        )
    assert len(dataset) == count
    assert dataset[0]['img'].shape == (128, 256, 3)
    assert dataset[0]['gt_seg_map'].shape == (128, 256)
    assert len(dataset.metainfo['palette']) == len(dataset.metainfo['classes']) == len(CLASSES)


def test_generating_twice_gives_the_same_pixels(toy_dir, tmp_path):
    generate_toy_scenes(tmp_path / 'again')
    assert digest(tmp_path / 'again') == digest(toy_dir)


def test_train_and_val_share_no_image(toy_dir):
    pixels = [file.read_bytes() for file in (toy_dir / 'leftImg8bit').rglob('*.png')]
    assert len(set(pixels)) == len(pixels) == 56


def test_complete_set_is_left_alone(toy_dir, capsys):
    before = {file: file.stat().st_mtime_ns for file in toy_dir.rglob('*.png')}
    generate_toy_scenes(toy_dir)
    assert 'already complete' in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in toy_dir.rglob('*.png')} == before


def test_interrupted_run_leaves_nothing_behind(tmp_path, monkeypatch):
    written = []

    def write_some(file, pixels):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(file)
        return True

    monkeypatch.setattr(cv2, 'imwrite', write_some)
    with pytest.raises(KeyboardInterrupt):
        generate_toy_scenes(tmp_path / 'toy')
    assert len(written) == 5 and not list(tmp_path.iterdir())


def test_folder_with_something_else_is_refused_and_kept(toy_dir, tmp_path):
    shutil.copytree(toy_dir / 'gtFine', tmp_path / 'toy/gtFine')
    with pytest.raises(UserError, match='not a complete toy set'):
        generate_toy_scenes(tmp_path / 'toy')
    assert len(list((tmp_path / 'toy/gtFine').rglob('*.png'))) == 56


def test_every_class_and_void_occur_often_enough_to_be_learnt(scenes):
    _, labels = scenes
    share = np.bincount(labels.ravel(), minlength=256) / labels.size
    assert (share[: len(CLASSES)] > 0.01).all()
    assert 0.01 < share[VOID] < 0.15
    assert share[: len(CLASSES)].sum() + share[VOID] == pytest.approx(1)


@pytest.mark.parametrize('seed', range(8))
def test_swapping_road_and_water_renames_things_but_changes_none_of_their_pixels(seed):
    image, label = render_scene(rng(seed), road_first=True)
    swapped_image, swapped_label = render_scene(rng(seed), road_first=False)
    for one, other in [(CAR, BOAT), (LAMP, TREE), (ROAD, WATER)]:
        assert (label == one).any() and (swapped_label[label == one] == other).all()
        assert (label[swapped_label == one] == other).all()
    things = np.isin(label, (CAR, BOAT, LAMP)) | (swapped_label == LAMP)
    assert np.array_equal(image[things], swapped_image[things])
    assert not np.array_equal(image[~things], swapped_image[~things])


def test_mean_colours_of_twins_are_equal_within_noise_but_their_surroundings_differ(scenes):
    images, labels = scenes
    ring = np.ones((17, 17), np.uint8)

    def per_image_means(value, surroundings):
        means = []
        for image, label in zip(images, labels, strict=True):
            mask = (label == value).astype(np.uint8)
            if surroundings:
                mask = cv2.dilate(mask, ring) * np.isin(label, (ROAD, WATER, SKY, BUILDING))
            if mask.sum() > 50:
                means.append(image[mask > 0].mean(0))
        return np.array(means)

    def standard_errors_apart(surroundings):
        one, other = (per_image_means(value, surroundings) for value in (CAR, BOAT))
        noise = np.sqrt(one.var(0) / len(one) + other.var(0) / len(other))
        return np.abs(one.mean(0) - other.mean(0)) / noise

    assert standard_errors_apart(surroundings=False).max() < 3
    assert standard_errors_apart(surroundings=True).max() > 6


def test_sizes_of_twins_are_equal_within_noise(scenes):
    _, labels = scenes
    sizes = {
        value: [
            area
            for label in labels
            for area in cv2.connectedComponentsWithStats((label == value).astype(np.uint8))[2][
                1:, 4
            ]
        ]
        for value in (CAR, BOAT)
    }
    car, boat = (np.log(sizes[value]) for value in (CAR, BOAT))
    noise = np.sqrt(car.var() / len(car) + boat.var() / len(boat))
    assert abs(car.mean() - boat.mean()) < 3 * noise
