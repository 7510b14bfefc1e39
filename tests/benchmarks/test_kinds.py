"""Every kind measures what it says, on small sizes, and its results can be written."""

import sys
from functools import partial

import pytest
import torch

from mmattn.benchmarks import (
    KINDS,
    attention,
    evaluation,
    inference,
    loss,
    operator,
    peaks,
    training,
)
from mmattn.benchmarks.memory import peak_memory
from mmattn.benchmarks.models import METHODS, TRAINING, build_pair, load
from mmattn.benchmarks.running import make_options
from mmattn.cli import main
from mmattn.errors import UserError
from mmattn.ops.extension import EXTENSION

SMALL = {
    'operator': ('--sizes', '8x8'),
    'attention': ('--sizes', '4x4', '8x8', '--models', 'CrissCross', 'AFNB', 'PAM'),
    'heads': ('--sizes', '4x4', '--models', 'ocrnet', 'fla'),
    'inference': ('--sizes', '32x32', '--models', 'ccnet'),
    'windows': ('--sizes', '32x32', '--models', 'ccnet'),
    'loss': ('--sizes', '64x64'),
    'training': ('--sizes', '32x32', '--models', 'gcnet'),
    'evaluation': ('--sizes', '64x64'),
}


def load_thin(expansion: int, pattern: str, method: str):
    """The config of a method with an eighth of the channels."""
    cfg = load(pattern, method)
    cfg.merge_from_dict(
        {
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.decode_head.in_channels': 64 * expansion,
            'model.decode_head.channels': 16,
            'model.auxiliary_head.in_channels': 32 * expansion,
            'model.auxiliary_head.channels': 8,
        }
    )
    return cfg


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr('mmattn.benchmarks.timing.SECONDS', 0)
    monkeypatch.setattr(operator, 'CHANNELS', (64,))
    monkeypatch.setattr(peaks, 'PRODUCT', 64)
    monkeypatch.setattr(evaluation, 'CLASSES', (19,))
    monkeypatch.setattr(loss, 'CLASSES', (19,))
    monkeypatch.setattr(training, 'IMAGES', 2)
    monkeypatch.setattr(training, 'load', partial(load_thin, 1))
    monkeypatch.setattr(inference, 'load', partial(load_thin, 4))


@pytest.mark.parametrize('kind', KINDS)
def test_kind_measures_both_sides_and_writes_its_files(kind, tmp_path, capsys, monkeypatch):
    if kind == 'operator' and (missing := EXTENSION.missing('cpu')):
        pytest.skip(missing)
    arguments = ['benchmark', kind, *SMALL[kind], '--rounds', '1', '--out', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['mmattn', *arguments])
    main()
    printed = capsys.readouterr().out
    assert str(tmp_path / f'{kind}.json') in printed
    page = (tmp_path / f'{kind}.md').read_text()
    assert f'`mmattn benchmark {kind} ' in page and str(tmp_path) not in page
    assert '| times as fast |' in page
    assert ('| resident MiB |' in page) == (kind in ('inference', 'windows'))
    assert ('| GFLOP/s of convolutions |' in page) == (kind in ('inference', 'windows', 'training'))


def test_without_the_other_side_only_ours_is_measured(tmp_path, capsys):
    main(
        ['benchmark', 'evaluation', '--sizes', '64x64', '--rounds', '1', '--against', 'none']
        + ['--out', str(tmp_path)]
    )
    assert 'mmseg' not in capsys.readouterr().out
    assert not (tmp_path / 'evaluation.png').exists()


def test_where_no_block_fits_there_are_files_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(attention, 'available_memory', lambda device: 0)
    main(['benchmark', 'attention', '--sizes', '4x4', '--models', 'APNB', '--out', str(tmp_path)])
    assert 'not measured' in (tmp_path / 'attention.md').read_text()


def test_maps_that_do_not_fit_into_memory_are_left_out(monkeypatch):
    monkeypatch.setattr(attention, 'available_memory', lambda device: 2**30)
    options = make_options('attention', 'cpu', [(128, 128)], ['CrissCross', 'keys of C/8'])
    assert {tuple(case.jobs) for case in attention.cases(options)} == {('CrissCross',)}


@pytest.mark.parametrize(
    ('name', 'channels', 'scores'),
    [(attention.EXPLICIT, 16, 2 * 1024**2), (attention.LISTING, 64, 2 * 32 * 64**2)],
)
def test_a_papers_own_block_stores_its_scores_and_gives_the_same(name, channels, scores):
    x = torch.randn(2, channels, 32, 32)
    explicit = attention.BLOCKS[name](channels)
    explicit.block.gamma.scale.data.fill_(1)
    with torch.no_grad():
        torch.testing.assert_close(explicit(x), explicit.block(x), atol=1e-5, rtol=1e-5)
        assert peak_memory(lambda: explicit(x), 'cpu') > 4 * scores


@pytest.mark.parametrize('method', METHODS)
def test_twins_have_the_same_weights_and_attention_that_counts(method):
    pair = build_pair(load(TRAINING, method), 'cpu', head_only=True)
    assert list(pair) == (['mmattn'] if method == 'fla' else ['mmseg', 'mmattn'])
    for name, value in pair['mmattn'].state_dict().items():
        for head in pair.values():
            assert torch.equal(value, head.state_dict()[name])
        assert 'gamma' not in name or value.all()


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        ('evaluation', dict(models=['danet']), 'evaluation has none'),
        ('heads', dict(models=['dannet']), 'dannet: heads has danet, ccnet, anl'),
        ('heads', dict(rounds=0), 'at least 1'),
    ],
)
def test_impossible_options_are_refused_with_the_remedy(kind, options, message):
    with pytest.raises(UserError, match=message):
        make_options(kind, 'cpu', **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_a_gpu_that_is_not_there_is_said_to_be_so(capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['benchmark', 'heads', '--device', 'cuda'])
    assert 'torch finds no GPU' in capsys.readouterr().err
