"""Curves, from the scalars of real runs of mmengine."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from PIL import Image

from mmattn.engine import checkpoints
from mmattn.errors import UserError
from mmattn.visualization import plot_curves
from mmattn.visualization.curves import curve_figure, read_curves


class ConstantLoss(BaseModel):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, mode):
        return {'loss': self.loss + self.weight * 0} if mode == 'loss' else [0]


class ConstantMetric(BaseMetric):
    def __init__(self, miou):
        super().__init__(prefix='')
        self.miou = miou

    def process(self, data_batch, data_samples):
        self.results.append(None)

    def compute_metrics(self, results):
        return {'mIoU': self.miou}


def run(work_dir: Path, iterations: int, value: float, resume_from: int | None = None) -> Path:
    """Train from ``resume_from`` to ``iterations`` with loss and mIoU at ``value``; the scalars.

    Logs every second iteration, evaluates every fourth and at the end, as mmseg's schedules do.
    """
    loader = {'batch_size': 1, 'dataset': [{'inputs': torch.zeros(1)}] * 2}
    runner = Runner(
        ConstantLoss(value),
        str(work_dir),
        train_dataloader=loader | {'sampler': {'type': 'InfiniteSampler'}},
        val_dataloader=loader | {'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': iterations, 'val_interval': 4},
        val_cfg={},
        val_evaluator=Evaluator(ConstantMetric(value)),
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_hooks={
            'logger': {'type': 'LoggerHook', 'interval': 2, 'log_metric_by_epoch': False},
            'checkpoint': {'type': 'CheckpointHook', 'interval': 4, 'by_epoch': False},
        },
        log_processor={'by_epoch': False, 'window_size': 1},
        log_level='ERROR',
        load_from=str(work_dir.parent / f'first/iter_{resume_from}.pth') if resume_from else None,
        resume=resume_from is not None,
        experiment_name=str(work_dir),
    )
    runner.train()
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    return scalars


@pytest.fixture(scope='module')
def starts(tmp_path_factory) -> list[Path]:
    """A run of 10 iterations, and its continuation from iteration 8 to 14."""
    checkpoints.install()
    folder = tmp_path_factory.mktemp('runs')
    return [run(folder / 'first', 10, 1.0), run(folder / 'second', 14, 2.0, resume_from=8)]


def write(path: Path, *lines: dict | str) -> Path:
    path.write_text(''.join(x if isinstance(x, str) else json.dumps(x) + '\n' for x in lines))
    return path


def test_reads_loss_and_miou_at_the_iterations_of_a_real_run(starts):
    loss, miou = read_curves(starts[:1])
    assert loss == dict.fromkeys([2, 4, 6, 8, 10], 1.0)
    assert miou == dict.fromkeys([4, 8, 10], 1.0)


def test_a_resumed_run_replaces_what_the_interrupted_one_did_after_its_checkpoint(starts):
    loss, miou = read_curves(starts)
    assert loss == {2: 1, 4: 1, 6: 1, 8: 1, 10: 2, 12: 2, 14: 2}
    assert miou == {4: 1, 8: 1, 12: 2, 14: 2}  # the mIoU of the first start at 10 is history


def test_an_evaluation_alone_replaces_no_curve(starts, tmp_path):
    evaluation = write(tmp_path / 'scalars.json', {'mIoU': 5.0, 'step': 0})
    loss, miou = read_curves([*starts[:1], evaluation])
    assert len(loss) == 5
    assert miou == {0: 5, 4: 1, 8: 1, 10: 1}


@pytest.mark.parametrize('resumed', [False, True])
def test_writes_one_valid_picture_and_no_other_file(starts, tmp_path, resumed):
    out = tmp_path / 'new' / 'curves.png'
    assert plot_curves(starts if resumed else starts[0], out) == out
    with Image.open(out) as picture:
        picture.load()
        assert picture.format == 'PNG'
        assert min(picture.size) > 600
        colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 20)}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (255, 255, 255)} <= colours
    assert list(out.parent.iterdir()) == [out]
    assert plt.get_fignums() == []  # none of pyplot's figures, which stay in memory


def test_the_same_scalars_give_the_same_bytes(starts, tmp_path):
    pictures = [plot_curves(starts, tmp_path / name).read_bytes() for name in ('a.png', 'b.png')]
    assert pictures[0] == pictures[1]
    assert plot_curves(starts[0], tmp_path / 'c.png').read_bytes() != pictures[0]


def test_axes_name_their_quantities_and_the_best_miou_is_marked():
    loss_axes, miou_axes = curve_figure({50: 2.0, 1500: 1.0}, {500: 20.0, 1000: 57.854}).axes
    assert loss_axes.get_ylabel() == 'training loss'
    assert miou_axes.get_ylabel() == 'validation mIoU (%)'
    assert miou_axes.get_xlabel() == 'iteration'
    assert loss_axes.get_xlim() == miou_axes.get_xlim()
    star = miou_axes.lines[-1]
    assert (*star.get_xdata(), *star.get_ydata()) == (1000, 57.854)
    assert star.get_label() == 'best: 57.85 % at iteration 1,000'


@pytest.mark.parametrize(
    ('validations', 'ticks'),
    [
        ([300], [300]),
        ([4, 8, 10], [4, 8, 10]),
        (range(150, 1201, 150), range(150, 1201, 150)),
        (range(100, 1201, 100), range(200, 1201, 200)),
        (range(1000, 20001, 1000), range(4000, 20001, 4000)),
        (range(800, 80001, 800), range(16000, 80001, 16000)),
        ([*range(100, 1201, 100), 1250], range(200, 1201, 200)),
    ],
)
def test_ticks_are_validations_evenly_thinned(validations, ticks):
    figure = curve_figure({10: 2.0, max(validations): 1.0}, dict.fromkeys(validations, 50.0))
    for axes in figure.axes:
        assert list(axes.get_xticks()) == list(ticks)


def test_a_run_without_validation_has_round_ticks():
    (axes,) = curve_figure(dict.fromkeys(range(10, 731, 10), 1.0), {}).axes
    assert list(axes.get_xticks()) == list(range(0, 801, 100))


def test_the_first_of_equally_good_evaluations_is_the_best():
    (axes,) = curve_figure({}, {8: 30.0, 4: 30.0, 12: 10.0}).axes
    assert list(axes.lines[-1].get_xdata()) == [4]


def test_long_losses_are_smoothed_from_their_first_value_on():
    steps = np.arange(10, 2010, 10)
    noise = np.where(np.arange(200) % 2, 0.3, -0.3)
    values = 1 + np.exp(-steps / 300) + noise
    (axes,) = curve_figure(dict(zip(steps.tolist(), values.tolist(), strict=True)), {}).axes
    logged, smoothed = (line.get_ydata() for line in axes.lines)
    assert logged.tolist() == values.tolist()
    assert smoothed[0] == values[0]
    assert np.abs(smoothed - values + noise)[10:].max() < 0.06
    assert axes.lines[0].get_alpha() < 0.5


def test_few_losses_are_drawn_as_they_are():
    (axes,) = curve_figure({10: 1.0, 20: 5.0, 30: 1.0}, {}).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1, 5, 1]]


def test_a_diverged_loss_is_a_gap_and_spoils_no_neighbour(tmp_path):
    lines = [{'loss': math.nan if i == 60 else 1.0, 'step': i} for i in range(10, 500, 10)]
    lines[10]['loss'] = math.inf
    loss, _ = read_curves([write(tmp_path / 'scalars.json', *lines)])
    _, smoothed = curve_figure(loss, {}).axes[0].lines
    assert np.flatnonzero(np.isnan(smoothed.get_ydata())).tolist() == [5, 10]
    assert np.nanmin(smoothed.get_ydata()) == np.nanmax(smoothed.get_ydata()) == 1


def test_a_run_killed_within_a_line_keeps_the_lines_before_it(tmp_path):
    scalars = write(tmp_path / 'scalars.json', {'loss': 2.0, 'step': 2}, '{"loss": 1.0, "st')
    assert read_curves([scalars]) == ({2: 2.0}, {})


@pytest.mark.parametrize('line', ['loss 3 at 4\n', '{"loss": 1.0}\n', '{"loss": "x", "step": 2}\n'])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    scalars = write(tmp_path / 'scalars.json', {'loss': 2.0, 'step': 2}, line)
    with pytest.raises(UserError, match=r'scalars\.json, line 2: expected a JSON object'):
        plot_curves(scalars, tmp_path / 'curves.png')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r'cannot read the curves of .*nowhere\.json'):
        plot_curves(tmp_path / 'nowhere.json', tmp_path / 'curves.png')


@pytest.mark.parametrize('lines', [[], [{'lr': 0.1, 'step': 2}], [{'mIoU': math.nan, 'step': 2}]])
def test_nothing_to_plot_is_an_error_and_leaves_no_picture(tmp_path, lines):
    scalars = write(tmp_path / 'scalars.json', *lines)
    with pytest.raises(UserError, match=r'nothing to plot.*scalars\.json'):
        plot_curves(scalars, tmp_path / 'curves.png')
    assert not (tmp_path / 'curves.png').exists()


def test_no_files_at_all_is_an_error(tmp_path):
    with pytest.raises(UserError, match='nothing to plot.*no file'):
        plot_curves([], tmp_path / 'curves.png')
