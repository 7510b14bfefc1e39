"""The hook, in MMSegmentation's own test loop."""

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.utils import register_all_modules
from PIL import Image

from mmattn.engine import PredictionPanelHook
from mmattn.errors import UserError
from mmattn.visualization import prediction_panel

CLASSES = ('left', 'right', 'élsewhere')
PALETTE = [[0, 130, 180], [128, 64, 0], [0, 200, 142]]
MODEL = {
    'type': 'EncoderDecoder',
    'data_preprocessor': {'type': 'SegDataPreProcessor'},
    'backbone': {'type': 'ResNet', 'depth': 18, 'base_channels': 4, 'norm_cfg': {'type': 'BN'}},
    'decode_head': {
        'type': 'FCNHead',
        'in_channels': 32,
        'channels': 4,
        'num_convs': 1,
        'num_classes': 3,
        'norm_cfg': {'type': 'BN'},
    },
    'test_cfg': {'mode': 'whole'},
}


class Recorder(Hook):
    """Keeps what the model predicted."""

    def __init__(self):
        self.predictions = {}

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for sample in outputs:
            self.predictions[sample.img_path] = sample.pred_sem_seg.data[0].numpy()


def run_test(tmp_path, dataset: dict, labelled: bool = True) -> dict[str, np.ndarray]:
    """Test an untrained model with the hook on; what it predicted, by image path."""
    register_all_modules(init_default_scope=True)
    pipeline = [
        {'type': 'LoadImageFromFile'},
        {'type': 'Resize', 'scale': (64, 48)},
        *([{'type': 'LoadAnnotations'}] if labelled else []),
        {'type': 'PackSegInputs'},
    ]
    metric = {'type': 'IoUMetric'}
    if not labelled:
        metric |= {'format_only': True, 'output_dir': str(tmp_path / 'formatted')}
    recorder = Recorder()
    runner = Runner(
        ConfigDict(MODEL),
        str(tmp_path / 'work_dir'),
        test_dataloader={
            'batch_size': 1,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': dataset | {'pipeline': pipeline},
        },
        test_cfg={'type': 'TestLoop'},
        test_evaluator=metric,
        custom_hooks=[recorder, {'type': 'PredictionPanelHook', 'out_dir': str(tmp_path / 'show')}],
        default_scope='mmseg',
        log_level='ERROR',
        experiment_name=str(tmp_path),
    )
    runner.test()
    return recorder.predictions


@pytest.fixture
def dataset(tmp_path) -> dict:
    """Four images of two folders, two of which are called the same, with void in their labels."""
    generator = np.random.default_rng(0)
    for name in ('a/same', 'b/same', 'a/ä 1', 'b/2.5'):
        for kind in ('images', 'labels'):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        image = generator.integers(0, 256, (48, 200, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / 'images' / f'{name}.png')
        label = np.zeros((48, 200), dtype=np.uint8)
        label[:, 100:] = 1
        label[:9] = 255
        Image.fromarray(label).save(tmp_path / 'labels' / f'{name}.png')
    return {
        'type': 'BaseSegDataset',
        'data_root': str(tmp_path),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'labels'},
        'img_suffix': '.png',
        'seg_map_suffix': '.png',
        'metainfo': {'classes': CLASSES, 'palette': PALETTE},
    }


def read(path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == 'PNG'
        return np.asarray(picture)


def test_every_image_gets_the_panel_of_its_prediction(tmp_path, dataset):
    predictions = run_test(tmp_path, dataset)
    names = sorted(path.name for path in (tmp_path / 'show').iterdir())
    assert len(names) == len(predictions) == 4
    assert {'2.5.png', 'ä 1.png'} < set(names)
    assert all(name.startswith('same-') for name in names if name not in ('2.5.png', 'ä 1.png'))
    panels = [read(tmp_path / 'show' / name) for name in names]
    for image_path, prediction in predictions.items():
        label = read(image_path.replace('images', 'labels'))
        panel = prediction_panel(read(image_path), label, prediction, PALETTE, CLASSES)
        assert sum(np.array_equal(panel, other) for other in panels) == 1


def test_without_labels_the_panel_has_no_ground_truth(tmp_path, dataset):
    predictions = run_test(tmp_path, dataset, labelled=False)
    path = str(tmp_path / 'images/b/2.5.png')
    expected = prediction_panel(read(path), None, predictions[path], PALETTE, CLASSES)
    assert (read(tmp_path / 'show/2.5.png') == expected).all()


def test_street_scenes_of_a_folder(tmp_path, scenes_dir):
    dataset = {
        'type': 'BaseSegDataset',
        'data_root': str(scenes_dir),
        'data_prefix': {'img_path': 'images/val', 'seg_map_path': 'labels/val'},
        'metainfo': {'classes': ['a', 'b', 'c', *'defghijk']},
        'indices': 2,
    }
    predictions = run_test(tmp_path, dataset)
    names = sorted(path.name for path in (scenes_dir / 'images/val').iterdir())[:2]
    shown = sorted(path.name for path in (tmp_path / 'show').iterdir())
    assert shown == [name.replace('.jpg', '.png') for name in names]
    panel = read(tmp_path / 'show' / shown[0])
    image = np.asarray(Image.open(scenes_dir / 'images/val' / names[0]))
    (prediction,) = (p for path, p in predictions.items() if path.endswith(names[0]))
    assert prediction.shape == image.shape[:2]
    assert panel.shape[1] > 3 * image.shape[1]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / 'show').write_text('')
    with pytest.raises(UserError, match='pictures .*show is a file'):
        PredictionPanelHook(tmp_path / 'show')
