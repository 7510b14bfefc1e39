"""CamVidDataset, through MMSegmentation's own registry and transforms."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

import mmattn.datasets  # noqa: F401  registers
from tests.scenes import FRAMES

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def build(root, split='train'):
    prefix = dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(
            dict(type='CamVidDataset', data_root=str(root), data_prefix=prefix, pipeline=pipeline)
        )


def check_sample(sample):
    assert sample['img'].shape == (360, 480, 3)
    assert sample['gt_seg_map'].shape == (360, 480)
    assert set(np.unique(sample['gt_seg_map'])) <= {*range(11), 255}


@pytest.mark.parametrize('split', ['train', 'val'])
def test_finds_all_frames_with_their_labels(scenes_dir, split):
    dataset = build(scenes_dir, split)
    assert len(dataset) == FRAMES[split]
    for sample in dataset:
        check_sample(sample)


def test_names_and_colours_of_the_classes(scenes_dir):
    metainfo = build(scenes_dir).metainfo
    assert len(metainfo['classes']) == len(metainfo['palette']) == 11
    assert metainfo['palette'][metainfo['classes'].index('car')] == [64, 0, 128]


def test_camvid_itself_has_its_frames_and_the_indices_mean_what_the_names_say(camvid_dir):
    assert len(build(camvid_dir, 'train')) == 367
    dataset = build(camvid_dir, 'val')
    assert len(dataset) == 101
    check_sample(dataset[50])
    classes = dataset.metainfo['classes']
    rows = {name: [] for name in ('sky', 'road')}
    for sample in (dataset[i] for i in range(0, len(dataset), 10)):
        for name, found in rows.items():
            found.extend(np.nonzero(sample['gt_seg_map'] == classes.index(name))[0][::50])
    assert np.mean(rows['sky']) < 120 and np.mean(rows['road']) > 220


def test_class_weights_of_the_cpu_benchmark_follow_from_its_labels(camvid_dir):
    recipe = '_base_/recipes/r18-d8_1xb8-1200it_camvid-180x240.py'
    weights = np.array(Config.fromfile(CONFIGS / recipe).loss.class_weight)
    labels = (cv2.imread(str(path), 0) for path in (camvid_dir / 'labels/train').glob('*.png'))
    pixels = sum(np.bincount(label.ravel(), minlength=256)[:11] for label in labels)
    share = pixels / pixels.sum()
    expected = 1 / np.log(1.1 + share)
    np.testing.assert_allclose(weights, expected / (share @ expected), atol=0.01)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_takes_the_image_suffix_that_the_folder_holds(scenes_dir, tmp_path, suffix):
    image = next((scenes_dir / 'images/val').glob('*.jpg'))
    for folder in ('images/train', 'labels/train'):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(image, tmp_path / 'images/train' / f'{image.stem}{suffix}')
    shutil.copy(scenes_dir / 'labels/val' / f'{image.stem}.png', tmp_path / 'labels/train')
    dataset = build(tmp_path)
    assert len(dataset) == 1 and dataset[0]['img_path'].endswith(suffix)
