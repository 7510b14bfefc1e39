"""Every study asks a question, and every one of its variants is a model that trains."""

import ast
import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample

import mmattn.datasets  # noqa: F401  registers
from mmattn.models import MECHANISMS
from mmattn.studies.plan import Study, load_study

from .test_configs import build, heads_of, settings_of_a_run

STUDIES = sorted((Path(__file__).resolve().parents[2] / 'configs' / 'studies').glob('*.py'))
CPU_RECIPES = ('camvid-180x240', 'camvidclips-180x240', 'toy-128x256')

each_study = pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
load = cache(load_study)


@cache
def configs(path: Path) -> dict[str, Config]:
    found = {name: Config(variant.settings) for name, variant in load(path).variants.items()}
    init_default_scope(next(iter(found.values())).default_scope)
    return found


@each_study
def test_asks_a_question_of_variants_and_has_a_baseline(path):
    study: Study = load(path)
    assert study.question.endswith('?')
    assert study.baseline in study.variants
    assert len(study.variants) >= 2
    assert study.data in ('CamVid', 'Cityscapes', 'ADE20K', 'toy scenes')


@each_study
def test_no_two_variants_are_equal(path):
    seen = {}
    for name, config in configs(path).items():
        settings = json.dumps(settings_of_a_run(config), sort_keys=True)
        assert seen.setdefault(settings, name) == name


@each_study
def test_variants_differ_in_the_model_alone_or_in_the_precision_that_is_asked_for(path):
    rest = set()
    for config in configs(path).values():
        settings = settings_of_a_run(config)
        settings.pop('model')
        if path.stem.startswith('precision'):
            settings['optim_wrapper'].pop('type')
        rest.add(json.dumps(settings, sort_keys=True))
    assert len(rest) == 1


@each_study
def test_groups_are_of_classes_that_the_data_has(path):
    (data_set,) = {config.train_dataloader.dataset.type for config in configs(path).values()}
    classes = DATASETS.get(data_set).METAINFO['classes']
    named = [name for group in load(path).class_groups.values() for name in group]
    assert set(named) <= set(classes)
    assert len(set(named)) == len(named)


def test_every_study_for_gpus_has_one_for_cpus():
    small = {path.stem for path in STUDIES if Config.fromfile(path).base[:-3].endswith(CPU_RECIPES)}
    for path in STUDIES:
        question = path.stem.removesuffix('_cityscapes').removesuffix('_ade20k')
        assert {question, f'{question}_camvid'} & small, path.stem


@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_names_are_assigned_and_nothing_is_changed_in_place(path):
    assert all(isinstance(node, ast.Assign) for node in ast.parse(path.read_text()).body)


@each_study
def test_baseline_and_last_variant_build(path):
    """All of them are built and trained by the slow test."""
    for name in (load(path).baseline, list(configs(path))[-1]):
        with torch.device('meta'):
            build(configs(path)[name])


def shrink(config: Config) -> Config:
    """The same with half the channels in backbone and neck."""
    config = deepcopy(config)
    model = config.model
    width = model.backbone.get('base_channels', 64) // 2
    model.backbone.update(base_channels=width, stem_channels=width)
    readers = heads_of(model)
    if 'neck' in model:
        readers = [model.neck]
    for reader in readers:
        channels = reader.in_channels
        one = isinstance(channels, int)
        reader.in_channels = channels // 2 if one else [number // 2 for number in channels]
    return config


@pytest.mark.slow
@each_study
def test_every_variant_trains_three_iterations(path):
    for name, config in configs(path).items():
        train(name, shrink(config))


def train(name: str, config: Config) -> None:
    torch.manual_seed(0)
    model = build(config).train()
    num_classes = len(DATASETS.get(config.train_dataloader.dataset.type).METAINFO['classes'])
    frames = config.train_dataloader.dataset.get('num_frames', 2)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    before = {key: value.clone() for key, value in model.named_parameters()}
    for _ in range(3):
        images = torch.randn(frames, 3, 33, 49)
        labels = torch.randint(0, num_classes, (frames, 1, 33, 49))
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        loss, _ = model.parse_losses(model.loss(images, samples))
        optimizer.update_params(loss)
        assert torch.isfinite(loss), name
    assert any(not torch.equal(value, before[key]) for key, value in model.named_parameters()), name
    assert all(torch.isfinite(value).all() for value in model.state_dict().values()), name


def test_the_page_lists_the_studies_of_papers_with_their_questions():
    page = (STUDIES[0].parents[1] / 'README.md').read_text()
    rows = [row.split(' | ') for row in page.partition('| study |')[2].splitlines()[2:]]
    listed = {name: row[1] for row in rows for name in re.findall('`(.+?)`', row[0])}
    questions = {path.stem: Config.fromfile(path).question for path in STUDIES}
    assert listed == {name: questions.get(name) for name in listed}
    assert {path.stem for path in STUDIES if 'arxiv.org' in path.read_text()} <= set(listed)


def test_of_the_study_fla_the_convolution_after_the_attention_alone_is_named_in_two_ways():
    """As docs/studies.md says of what is paired."""
    path = next(path for path in STUDIES if path.stem == 'fla')
    names = {}
    for name in ('none', 'fla'):
        with torch.device('meta'):
            names[name] = {key for key, _ in build(configs(path)[name]).named_parameters()}
    only = {key.removeprefix('decode_head.') for key in names['none'] - names['fla']}
    assert only == {f'attention.1.{key}' for key in ('conv.weight', 'bn.weight', 'bn.bias')}
    assert 'decode_head.attention.conv.conv.weight' in names['fla']


def test_every_row_of_the_ablations_names_the_studies_that_ask_it():
    page = (STUDIES[0].parents[1] / 'ablations' / 'README.md').read_text()
    rows = [row.split(' | ') for row in page.partition('| --- |')[2].splitlines()[1:]]
    rows = [row for row in rows if len(row) > 1]
    assert [row[0][:5] for row in rows] == [f'| ({letter})' for letter in 'aabcde']
    known = {path.stem for path in STUDIES}
    for question, studies, _ in rows:
        named = re.findall(r'`(\w+)`', studies)
        assert named and set(named) <= known, question


def test_short_skips_are_joined_in_resnext_too_on_cpus_and_gpus():
    for path in STUDIES:
        if path.stem.startswith('aff_short_skips'):
            kinds = [config.model.backbone.type for config in configs(path).values()]
            assert kinds.count('AttnResNeXt') * 2 == len(kinds)


def test_toy_context_compares_every_mechanism_that_takes_one_map():
    path = next(path for path in STUDIES if path.stem == 'toy_context')
    heads = [config.model.decode_head for config in configs(path).values()]
    compared = {head.attention.type for head in heads if 'attention' in head}
    assert compared == {name for name, row in MECHANISMS.items() if row.kind != 'fusion'}
