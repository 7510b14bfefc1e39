"""What is looked at before a run."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmattn.apis  # noqa: F401  registers the data sets
from mmattn.apis.preflight import check_data, is_first_process, set_launcher
from mmattn.errors import UserError


def config(dataset: dict, decode, auxiliary=None) -> Config:
    init_default_scope('mmseg')
    model = dict(decode_head=decode, auxiliary_head=auxiliary)
    return Config(dict(model=model, train_dataloader=dict(dataset=dataset)))


@pytest.mark.parametrize(
    ('decode', 'auxiliary', 'place'),
    [
        (dict(num_classes=5), None, 'model.decode_head.num_classes is 5'),
        (dict(num_classes=8), dict(num_classes=5), 'model.auxiliary_head.num_classes is 5'),
        (dict(num_classes=8), dict(num_classes=19), 'model.auxiliary_head.num_classes is 19'),
        (
            [dict(num_classes=8), dict(num_classes=9)],
            [dict(num_classes=8)],
            'model.decode_head.1.num_classes is 9',
        ),
    ],
)
@pytest.mark.parametrize('wrapped', [False, True])
def test_every_head_has_the_classes_of_the_data_set(decode, auxiliary, place, wrapped):
    dataset = dict(type='ToyScenesDataset', data_root='none')
    if wrapped:
        dataset = dict(type='RepeatDataset', times=2, dataset=dataset)
    with pytest.raises(UserError) as error:
        check_data(config(dataset, decode, auxiliary), ['train_dataloader'], 'sample')
    assert str(error.value).startswith(place)
    assert 'train_dataloader.dataset (ToyScenesDataset) has 8 classes' in str(error.value)


@pytest.fixture
def binary(tmp_path) -> dict:
    """A data set of one image whose labels are 0 and 1."""
    for folder, shape in (('images', (4, 6, 3)), ('labels', (4, 6))):
        (tmp_path / folder).mkdir()
        pixels = np.zeros(shape, np.uint8)
        pixels[:2] = 1
        Image.fromarray(pixels).save(tmp_path / folder / 'a.png')
    prefix = dict(img_path='images', seg_map_path='labels')
    files = dict(data_root=str(tmp_path), data_prefix=prefix, img_suffix='.png')
    return dict(type='BaseSegDataset', seg_map_suffix='.png', **files)


def test_two_classes_may_share_one_channel(binary):
    cfg = config({**binary, 'metainfo': dict(classes=('no', 'yes'))}, dict(num_classes=1))
    with pytest.raises(UserError, match='num_classes=2 and out_channels=1'):
        check_data(cfg, ['train_dataloader'], 'sample')
    cfg.model.decode_head = dict(num_classes=2, out_channels=1)
    check_data(cfg, ['train_dataloader'], 'sample')


def test_labels_are_checked_against_the_smallest_head(binary):
    heads = dict(num_classes=2), dict(num_classes=1)
    with pytest.raises(UserError, match='holds the value 1, but the head has 1 classes'):
        check_data(config(binary, *heads), ['train_dataloader'], 'sample')
    check_data(config(binary, *heads), ['train_dataloader'], 'off')
    check_data(config(binary, heads[0]), ['train_dataloader'], 'sample')


def test_an_impossible_data_set_setting_is_explained(binary):
    cfg = config({**binary, 'colour': 'red'}, dict(num_classes=2))
    with pytest.raises(UserError, match="unexpected keyword argument 'colour'"):
        check_data(cfg, ['train_dataloader'], 'sample')


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')],
)
def test_the_first_process_is_that_of_the_launcher(monkeypatch, launcher, variable):
    for number in (0, 1):
        monkeypatch.setenv(variable, str(number))
        assert is_first_process(launcher) is (number == 0)
        assert is_first_process('none')


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_has_not_started_the_process_is_explained(monkeypatch, launcher):
    for variable in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match='start the tool by (torchrun|srun|mpirun)'):
        set_launcher(Config(), launcher)


def test_a_launcher_for_gpus_is_refused_on_cpus(monkeypatch):
    monkeypatch.setenv('SLURM_PROCID', '0')
    monkeypatch.setattr('mmattn.apis.preflight.on_cpu', lambda: True)
    with pytest.raises(UserError, match='needs GPUs; on CPUs use torchrun'):
        set_launcher(Config(), 'slurm')
