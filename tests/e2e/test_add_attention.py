"""A module from outside of mmattn plugs in, as docs/add_attention.md says."""

import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmattn.engine.checkpoints import safe_load
from mmattn.probes import STEPS
from mmattn.probes.results import append_cell, read_cells
from mmattn.studies.plan import load_study
from tests.probes.test_results import cell
from tests.processes import run_forked

from .conftest import REPO, SMALL

GUIDE = (REPO / 'docs' / 'add_attention.md').read_text()
MODULE, ROW, STUDY = re.findall(r'```python\n(.*?)```', GUIDE, re.DOTALL)
BASE = re.search(r"_base_ = '\.\./(.+)'", ROW)[1]
(TOY_RECIPE,) = REPO.glob('configs/_base_/recipes/r18-d8_*_toy-*.py')
SHORT = ('train_cfg.max_iters=2', 'val_dataloader.dataset.indices=2')
SHORT += ('test_dataloader.dataset.indices=2',)
# The base of the guide on the toy scenes.
TOY_BASE = f"""
_base_ = '{TOY_RECIPE}'
in_blocks = dict(position='after_conv2', stages=(False, True, True, True))
model = dict(backbone=dict(type='AttnResNetV1c'), decode_head=dict(type='FCNHead'))
"""


def test_guide_needs_no_more_than_20_lines():
    lines = [line for line in (MODULE + ROW).splitlines() if line.strip()]
    assert len(lines) <= 20


def test_module_of_an_outside_package_trains(run, environment, tmp_path):
    mine, base = tmp_path / 'mine', tmp_path / BASE
    mine.mkdir()
    (mine / 'mean_gate.py').write_text(MODULE)
    (mine / 'row.py').write_text(ROW)
    base.parent.mkdir(parents=True)
    base.write_text(TOY_BASE)
    result = run(
        'train.py',
        mine / 'row.py',
        '--work-dir',
        tmp_path / 'run',
        options=('train_cfg.max_iters=2',),
        PYTHONPATH=os.pathsep.join([environment['PYTHONPATH'], str(mine)]),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    weights = safe_load(tmp_path / 'run' / 'iter_2.pth')['state_dict']
    gates = {key.split('.mean_gate')[0] for key in weights if '.mean_gate.project.weight' in key}
    assert gates == {f'backbone.layer{i}.{j}' for i in (2, 3, 4) for j in (0, 1)}


def test_row_of_the_guide_stands_on_an_ablation(tmp_path):
    row = tmp_path / 'row.py'
    row.write_text(ROW.replace(f'../{BASE}', f'{REPO}/{BASE}'))
    config = Config.fromfile(row, import_custom_modules=False)
    imports = Config.fromfile(REPO / BASE).custom_imports.imports
    assert config.custom_imports.imports == [*imports, 'mean_gate']
    (plugin,) = config.model.backbone.plugins
    assert plugin.cfg.type == 'MeanGate'


@pytest.fixture
def guide(environment, tmp_path):
    """Run the command of the guide that begins so, where `mine` has the files of the guide."""
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'mean_gate.py').write_text(MODULE)
    (mine / 'fcn-mean-gate.py').write_text(ROW)
    (mine / 'does_mean_gate_help.py').write_text(STUDY)

    def run(begin: str, *more: str) -> Path:
        (line,) = re.findall(rf'^(?:PYTHONPATH=mine )?mmattn {begin} .*', GUIDE, re.M)
        path = environment['PYTHONPATH']
        if line.startswith('PYTHONPATH'):
            path = os.pathsep.join([path, str(mine)])
        call = shlex.split(line.partition('mmattn ')[2])
        result = run_forked(
            ['mmattn', *call, *more], {**environment, 'PYTHONPATH': path}, cwd=tmp_path
        )
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
        return mine

    return run


def test_module_of_the_guide_is_probed(guide):
    mine = guide('probe none', '--probes', 'position', '--seeds', '0', '--steps', '1')
    names = [each.mechanism for each in read_cells(mine / 'probes.csv')]
    assert names == ['none', 'MeanGate']
    append_cell(mine / 'probes.csv', cell(mechanism='MeanGate', steps=STEPS))
    guide('probe --report')
    assert '| `MeanGate` |' in (mine / 'probes.md').read_text()
    assert (mine / 'probes.png').is_file()


def test_study_of_the_guide_has_the_row_as_a_variant(tmp_path):
    (tmp_path / 'configs').symlink_to(REPO / 'configs')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/fcn-mean-gate.py').write_text(ROW)
    (tmp_path / 'mine/study.py').write_text(STUDY)
    variants = load_study(tmp_path / 'mine/study.py').variants
    backbones = {name: v.settings['model']['backbone'] for name, v in variants.items()}
    plugins = {
        name: [plugin['cfg']['type'] for plugin in backbone.get('plugins') or []]
        for name, backbone in backbones.items()
    }
    assert plugins == dict(none=[], se=['SE'], mean_gate=['MeanGate'])
    assert 'mean_gate' in variants['mean_gate'].settings['custom_imports']['imports']


@pytest.mark.slow
def test_study_of_the_guide_runs(guide, tmp_path):
    for name in re.findall(r"'\.\./(configs/\S+)'", STUDY):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TOY_BASE)
    pairs = (option.partition('=') for option in (*SMALL, *SHORT))
    options = {key: eval(value) for key, _, value in pairs}
    with (tmp_path / 'mine/does_mean_gate_help.py').open('a') as file:
        file.write(f'options = {options}\n')
    guide('ablate', '--seeds', '0')
    report = tmp_path / 'work_dirs/studies/does_mean_gate_help/report/report.md'
    assert 'mean_gate' in report.read_text()


def test_configs_of_the_guide_exist():
    named = set(re.findall(r'configs/\w+/[\w-]+\.py', GUIDE))
    assert len(named) > 3
    assert not [name for name in named if not (REPO / name).is_file()]


def build(config: Config):
    init_default_scope(config.default_scope)
    return MODELS.build(config.model)


def losses(model, size=(64, 96)) -> dict[str, torch.Tensor]:
    """Of a forward pass in training through backbone, neck and all heads."""
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, *size).long()))] * 2
    with torch.no_grad():
        return model.train().loss(torch.randn(2, 3, *size), samples)


PLACES = re.findall(r'^\| ([a-z ,]+) \| `(\w+=.*)` \|$', GUIDE.split('## Other places')[1], re.M)


def test_every_place_of_the_guide_is_a_row_to_try():
    table = [line for line in GUIDE.splitlines() if line.startswith('| ')]
    assert len(PLACES) == len(table) - 2 == 8


@pytest.mark.parametrize('row', [row for _, row in PLACES], ids=[place for place, _ in PLACES])
def test_places_of_the_guide_train(row):
    (base,) = re.findall(r'`(configs/ablations/fcn_r50-\S+)`', GUIDE)
    config = Config.fromfile(REPO / base)
    config.merge_from_dict(dict(model=eval(f'dict({row})')))
    assert all(loss.isfinite() for loss in losses(build(config)).values())


@pytest.mark.parametrize('command', re.findall(r'tools/train.py .* --cfg-options .*', GUIDE))
def test_options_of_the_guide_change_the_mechanism(command):
    _, config_file, _, option = command.split()
    config = Config.fromfile(REPO / config_file)
    key, value = option.split('=')
    config.merge_from_dict({key: value})
    model = build(config)
    assert any(type(module).__name__ == value for module in model.modules())
    assert all(loss.isfinite() for loss in losses(model).values())
