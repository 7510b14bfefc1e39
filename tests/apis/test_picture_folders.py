"""Predictions never replace the data, nor one another."""

import pytest
from mmengine.config import Config

from mmattn.apis.options import check_picture_folders
from mmattn.errors import UserError


@pytest.fixture
def cfg(tmp_path):
    prefix = dict(img_path='images/test', seg_map_path='labels/test')
    dataset = dict(data_root=str(tmp_path), data_prefix=prefix)
    return Config(dict(test_dataloader=dict(dataset=dict(dataset=dataset))))


@pytest.mark.parametrize('folder', ['images/test', 'labels/test', 'images/../images/test/city'])
@pytest.mark.parametrize('option', ['out', 'show_dir'])
def test_folders_of_the_data_are_refused(cfg, tmp_path, folder, option):
    folders = {'out': None, 'show_dir': None, option: tmp_path / folder}
    with pytest.raises(UserError, match=f'{option.replace("_", "-")} .* lies in the test data'):
        check_picture_folders(cfg, **folders)


def test_a_link_to_the_data_is_the_data(cfg, tmp_path):
    (tmp_path / 'images/test').mkdir(parents=True)
    (tmp_path / 'link').symlink_to(tmp_path / 'images/test')
    with pytest.raises(UserError, match='lies in the test data'):
        check_picture_folders(cfg, tmp_path / 'link', None)


def test_one_folder_for_both_is_refused(cfg, tmp_path):
    with pytest.raises(UserError, match='name two folders'):
        check_picture_folders(cfg, tmp_path / 'a', tmp_path / 'b/../a')


def test_folders_beside_the_data_are_taken(cfg, tmp_path):
    check_picture_folders(cfg, tmp_path, tmp_path / 'images')
    check_picture_folders(cfg, None, None)
