"""Every leaf config builds, runs, is named for what it does, and agrees with its zoo twin.

What configs/README.md shows is tested in test_variants.py.
"""

import ast
import inspect
import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample

from mmattn.models import MECHANISMS, BandedFCNHead

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ZOO = Path(mmseg.__file__).parent / '.mim' / 'configs'
BASES = sorted((CONFIGS / '_base_').rglob('*.py'))
STUDIES = set(CONFIGS.glob('studies/*.py'))  # compare configs, and are none
LEAVES = sorted(set(CONFIGS.rglob('*.py')) - set(BASES) - STUDIES)
RECIPES = [path for path in BASES if path.parent.name == 'recipes']
NAME = re.compile(
    r'(?P<method>mmseg-danet|[a-z]+)(-(?P<part>[a-z0-9-]+))?'
    r'_(?P<backbone>r18-d8|r50-d8|r101-d8|r18|r50|hr18|hr48)_\d+xb(?P<batch>\d+)'
    r'-(?P<length>\d+)(?P<unit>k|it)_[a-z0-9]+-(?P<height>\d+)x(?P<width>\d+)'
)
# What a run reads at the top level of a config; all else is a variable of the files.
READ_BY_RUNS = {
    *inspect.signature(Runner).parameters,
    'custom_imports',
    'tta_model',
    'tta_pipeline',
}
HEADS = {
    'danet': 'DANetHead',
    'ccnet': 'CCNetHead',
    'anl': 'ANLHead',
    'gcnet': 'GCNetHead',
    'ocrnet': 'OCRNetHead',
    'fla': 'FLAHead',
    'fcn': 'FCNHead',
    'fpn': 'FPNHead',
    'attention': 'AttentionHead',
    'mmseg-danet': 'DAHead',
}
# Our folders -> those of MMSegmentation's zoo, which has no FLA.
ZOO_FOLDERS = {
    'danet': 'danet',
    'ccnet': 'ccnet',
    'anl': 'ann',
    'gcnet': 'gcnet',
    'ocrnet': 'ocrnet',
}

each_leaf = pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
each_recipe = pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)


@cache
def load(path: Path) -> Config:
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    return config


def build(config: Config) -> torch.nn.Module:
    """The model without pretrained weights, which `init_weights` would fetch."""
    return MODELS.build(deepcopy(config.model))  # mmseg writes into the config it builds from


def main_head(model: dict) -> dict:
    """The head that predicts: of a cascade the last one."""
    head = model.decode_head
    return head[-1] if isinstance(head, list) else head


def heads_of(model: dict) -> list[dict]:
    heads = model.decode_head if isinstance(model.decode_head, list) else [model.decode_head]
    return [*heads, model.auxiliary_head] if model.get('auxiliary_head') else heads


def mechanisms_in(model: dict) -> set[str]:
    """The mechanisms in backbone and heads, named as in the names of configs."""
    plugins = [plugin.cfg for plugin in model.backbone.get('plugins', [])]
    parts = [model.backbone.get('fusion'), model.backbone.get('conv2')]
    parts.append(model.get('neck', {}).get('fusion'))
    parts += [head.get('attention') for head in heads_of(model)]
    types = [part.type for part in plugins + parts if part]
    return {MECHANISMS[name].abbreviation.replace('_', '-') for name in types}


def code_lines(path: Path) -> int:
    lines = path.read_text().splitlines()
    return sum(bool(line.strip()) and not line.lstrip().startswith('#') for line in lines)


def bases_of(path: Path) -> list[Path]:
    """The files that a config names in `_base_`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            value = ast.literal_eval(node.value)
            names = [value] if isinstance(value, str) else value
            return [(path.parent / name).resolve() for name in names]
    return []


@each_leaf
def test_builds_trains_and_predicts(path):
    config = load(path)
    model = build(config)
    num_classes = len(DATASETS.get(config.train_dataloader.dataset.type).METAINFO['classes'])
    torch.manual_seed(0)
    size = (33, 49)
    frames = config.train_dataloader.dataset.get('num_frames', 1)
    images = torch.randn(2 * frames, 3, *size)  # two: norms of maps of one pixel need them
    labels = torch.randint(0, num_classes, (2 * frames, 1, *size))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=size, ori_shape=size))

    with torch.no_grad():
        losses = model.train().loss(images, samples)
        prediction = model.eval().predict(images[:frames], samples[:frames])[0]

    assert all(torch.isfinite(loss).all() for loss in losses.values())
    assert prediction.seg_logits.data.shape == (num_classes, *size)
    assert prediction.pred_sem_seg.data.shape == (1, *size)


@each_leaf
def test_heads_classify_what_the_data_set_has(path):
    config = load(path)
    head_classes = {head.num_classes for head in heads_of(config.model)}
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert head_classes == {len(DATASETS.get(loader.dataset.type).METAINFO['classes'])}


@each_leaf
def test_name_says_what_it_is(path):
    check_name(path, load(path))


def check_name(path: Path, config: Config) -> None:
    name = NAME.fullmatch(path.stem)
    assert name, f'{path.name}: expected METHOD[-PART]_BACKBONE_GPUSxbBATCH-LENGTH_DATA-SIZE.py'

    head = main_head(config.model)
    assert head.type == HEADS[name['method']]
    if 'recurrence' in path.stem:
        assert name['part'] == f'recurrence{head.recurrence}'
    else:
        assert mechanisms_in(config.model) == {name['part']} - {None}
    backbone = config.model.backbone
    assert name['backbone'] == (
        f'r{backbone.depth}' + ('-d8' if max(backbone.dilations) > 1 else '')
        if backbone.type in ('ResNetV1c', 'AttnResNetV1c')
        else f'hr{backbone.extra.stage2.num_channels[0]}'
    )
    pretrained = {'r': 'resnet{}_v1c', 'h': 'msra/hrnetv2_w{}'}[name['backbone'][0]]
    number = re.search(r'\d+', name['backbone'])[0]
    assert config.model.pretrained in (None, f'open-mmlab://{pretrained.format(number)}')

    iterations = int(name['length']) * (1000 if name['unit'] == 'k' else 1)
    assert config.train_cfg.max_iters == iterations
    assert [scheduler.end for scheduler in config.param_scheduler] == [iterations]
    assert iterations % config.train_cfg.val_interval == 0
    assert config.default_hooks.checkpoint.interval == config.train_cfg.val_interval

    assert config.train_dataloader.batch_size == int(name['batch'])
    crop_size = (int(name['height']), int(name['width']))
    crop = [step for step in config.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    assert [step.crop_size for step in crop] == [crop_size]
    assert config.model.data_preprocessor.size == crop_size
    assert path.parent.name in (name['method'], 'camvid_cpu', 'plugins', 'temporal', 'ablations')


@each_leaf
def test_dump_reloads_equal(path, tmp_path):
    config = load(path)
    config.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == config.to_dict()


@each_leaf
def test_leaf_is_a_short_delta(path):
    assert 2 <= code_lines(path) <= 8
    assert len(bases_of(path)) == 1


def test_no_leaf_repeats_another():
    """Nor has one the settings of another under a second name."""
    seen = {}
    for path in LEAVES:
        settings = json.dumps(settings_of_a_run(load(path)), sort_keys=True)
        assert seen.setdefault(settings, path) == path


def settings_of_a_run(config: Config) -> dict:
    """A config without the variables of its files."""
    return {key: value for key, value in config.to_dict().items() if key in READ_BY_RUNS}


@pytest.mark.parametrize('path', [*LEAVES, *BASES], ids=lambda path: path.stem)
def test_names_are_assigned_and_nothing_is_changed_in_place(path):
    for node in ast.parse(path.read_text()).body:
        assert isinstance(node, ast.Assign)
        assert all(isinstance(target, ast.Name) for target in node.targets)


def test_every_base_serves_a_leaf_or_a_study():
    used, found = set(), {*LEAVES, *STUDIES}
    while found:
        used |= found
        found = {base for path in found for base in bases_of(path)} - used
    assert used == {*LEAVES, *STUDIES, *BASES}


@pytest.mark.parametrize('method', [*ZOO_FOLDERS, 'fla'])
def test_every_method_has_every_recipe(method):
    residual = {path.stem for path in RECIPES if path.stem.startswith('r')}
    assert {f'{method}_{recipe}' for recipe in residual} <= {path.stem for path in LEAVES}


@pytest.mark.parametrize('method', ZOO_FOLDERS)
def test_names_of_the_zoo_are_found(method):
    """Those of our recipes, with every backbone that the zoo has them for."""
    recipes = {path.stem for path in RECIPES}
    ours = {path.stem for path in CONFIGS.glob(f'{method}/*.py')}
    zoo = {path.stem.partition('_')[2] for path in (ZOO / ZOO_FOLDERS[method]).glob('*.py')}
    of_recipes = {name for name in zoo if name.replace('r101', 'r50') in recipes}
    assert of_recipes
    assert {f'{method}_{name}' for name in of_recipes} <= ours


def test_every_mechanism_has_a_leaf():
    leaves = [mechanisms_in(load(path).model) for path in CONFIGS.glob('plugins/fcn-*_r18-*.py')]
    names = {mechanism.abbreviation.replace('_', '-') for mechanism in MECHANISMS.values()}
    assert sorted(map(list, leaves)) == sorted([name] for name in names)


@each_recipe
def test_pipelines_turn_a_file_into_model_input(path, tmp_path):
    config = load(path)
    classes = {*range(config.num_classes), 255}

    crop = one_image_dataset(config.train_dataloader.dataset, tmp_path / 'train')[0]
    label = crop['data_samples'].gt_sem_seg.data
    assert label.shape[1:] == crop['inputs'].shape[1:]
    assert all(side <= limit for side, limit in zip(label.shape[1:], config.crop_size, strict=True))
    assert set(label.unique().tolist()) <= classes

    whole = one_image_dataset(config.val_dataloader.dataset, tmp_path / 'val')
    label = whole[0]['data_samples'].gt_sem_seg.data
    assert label.shape == (1, 360, 480)  # scored at the size of the label file
    assert set(label.unique().tolist()) <= classes

    whole.pipeline = Compose(config.tta_pipeline)
    views = whole[0]
    assert len(views['inputs']) == len(views['data_samples']) == 12


def one_image_dataset(dataset_config: dict, root: Path):
    """The data set of a config over one generated image of 360x480."""
    dataset = DATASETS.build({**dataset_config, 'data_root': str(root), 'lazy_init': True})
    rng = np.random.default_rng(0)
    for key, name, shape in (
        ('img_path', f'one{dataset.img_suffix or ".png"}', (360, 480, 3)),
        ('seg_map_path', f'one{dataset.seg_map_suffix}', (360, 480)),
    ):
        folder = Path(dataset.data_prefix[key])
        folder.mkdir(parents=True)
        assert cv2.imwrite(str(folder / name), rng.integers(0, 8, shape, np.uint8))
    dataset.full_init()
    return dataset


@each_recipe
def test_one_variable_moves_all_data(path, monkeypatch):
    monkeypatch.setenv('MMATTN_DATA', '/elsewhere')
    config = Config.fromfile(path, import_custom_modules=False)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        assert loader.dataset.data_root.startswith('/elsewhere/')


def test_yardstick_differs_from_ours_in_the_head_alone():
    ours, theirs = (
        load(CONFIGS / 'camvid_cpu' / f'{method}_r18-d8_1xb8-1200it_camvid-180x240.py').to_dict()
        for method in ('danet', 'mmseg-danet')
    )
    assert ours['model']['decode_head'].pop('type') == 'DANetHead'
    assert theirs['model']['decode_head'].pop('type') == 'DAHead'
    assert ours == theirs


def zoo_twins() -> list:
    twins = []
    for path in LEAVES:
        folder = ZOO_FOLDERS.get(path.parent.name, 'none')
        twin = ZOO / folder / path.name.replace(path.parent.name, folder, 1)
        if twin.is_file():
            twins.append(pytest.param(path, twin, id=path.stem))
    return twins


@pytest.mark.parametrize('path, twin_path', zoo_twins())
def test_agrees_with_the_zoo(path, twin_path):
    """Published numbers are comparable: same model, data, schedule and test mode as in the zoo."""
    config, twin = load(path), Config.fromfile(twin_path)
    ours, zoo = config.to_dict(), twin.to_dict()
    # Our head takes the arguments of the zoo's. (One of the zoo's does not build without compiled
    # mmcv; that both compute the same is tested with the heads.)
    main_head(twin.model).type = HEADS[path.parent.name]
    # Our metric is the zoo's to the last digit, which is tested with it.
    for key in ('val_evaluator', 'test_evaluator'):
        assert zoo[key]['type'] == 'IoUMetric'
        zoo[key]['type'] = 'SegmentationMetric'
    with torch.device('meta'):
        built, zoo_built = build(config), build(twin)
    assert shapes(built) == shapes(zoo_built)
    assert [facts(head) for head in decode_heads(built)] == [
        facts(head) for head in decode_heads(zoo_built)
    ]

    for key in ('data_preprocessor', 'pretrained', 'backbone', 'test_cfg'):
        assert plain(ours['model'][key]) == plain(zoo['model'][key])
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'val_evaluator', 'test_evaluator'):
        assert plain(ours[key]) == plain(zoo[key])
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert ours[key]['batch_size'] == zoo[key]['batch_size']
        for part in ('type', 'data_prefix', 'pipeline'):
            assert plain(ours[key]['dataset'][part]) == plain(zoo[key]['dataset'][part])


def decode_heads(model: torch.nn.Module) -> list[BaseDecodeHead]:
    return [module for module in model.modules() if isinstance(module, BaseDecodeHead)]


def facts(head: BaseDecodeHead) -> tuple:
    """What a head does that its weights do not show."""
    dropout = max(head.dropout_ratio, 0)  # the zoo also writes -1 for none
    in_index = plain(head.in_index)
    kind = FCNHead if isinstance(head, BandedFCNHead) else type(head)  # has its numbers
    return kind, dropout, head.align_corners, in_index, head.loss_decode.loss_weight


def shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


def plain(value):
    """Tuples as lists, so that only contents count."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
