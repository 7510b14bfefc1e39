"""A result names the commit of this package, not of what lies around it, and the processor."""

import subprocess
from pathlib import Path

import torch

import mmattn
from mmattn.provenance import commit, processor


def git(folder: Path, *arguments: str) -> None:
    identity = ['-c', 'user.name=x', '-c', 'user.email=x@example.org']
    subprocess.run(['git', *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_repository_of_a_user_around_an_installed_package_is_not_ours(tmp_path, monkeypatch):
    package = tmp_path / 'venv' / 'mmattn'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (tmp_path / 'paper.txt').touch()
    monkeypatch.setattr(mmattn, '__file__', str(package / '__init__.py'))
    git(tmp_path, 'init')
    git(tmp_path, 'add', 'paper.txt')
    git(tmp_path, 'commit', '-m', 'A paper')
    assert commit() == ''
    git(tmp_path, 'add', 'venv')
    git(tmp_path, 'commit', '-m', 'The package')
    assert len(commit()) == 7


def test_a_torch_without_onednn_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    assert 'bfloat16' not in processor()
