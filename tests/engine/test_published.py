"""Published checkpoints by name, from a server of this machine."""

import hashlib
import io
import re
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from mmattn import Segmentor
from mmattn.apis import load_model
from mmattn.engine import published
from mmattn.errors import UserError

NAME = 'danet_r18-d8_4xb2-40k_toyville-128x256'
METAFILE = """\
Models:
- Name: {name}
  Results:
    Metrics:
      mIoU: 50.0
  Weights: https://mmassets.onedl.ai/mmsegmentation/v0.5/danet/{file}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.asked.append(self.path)


@pytest.fixture
def server(tmp_path):
    """A server of the folder `host`, and the paths that it was asked for."""
    (tmp_path / 'host').mkdir()
    handler = partial(Quiet, directory=str(tmp_path / 'host'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def zoo(server, trained_model, tmp_path, monkeypatch) -> Path:
    """A zoo of one model, whose file the server has; the path of that file."""
    _, checkpoint = trained_model
    digits = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:8]
    file = tmp_path / f'host/mmsegmentation/v0.5/danet/{NAME}_20200101_000000-{digits}.pth'
    file.parent.mkdir(parents=True)
    file.write_bytes(checkpoint.read_bytes())
    (tmp_path / 'configs/danet').mkdir(parents=True)
    text = METAFILE.format(name=NAME, file=file.name)
    (tmp_path / 'configs/danet/metafile.yaml').write_text(text)
    monkeypatch.setattr(published, 'MODEL_ZOO', tmp_path / 'configs')
    monkeypatch.setattr(published, 'HOST', f'http://127.0.0.1:{server.server_port}')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    return file


def test_a_published_model_is_downloaded_once_and_loaded(zoo, server, trained_model, tmp_path):
    config, checkpoint = trained_model
    expected = load_model(config, checkpoint).state_dict()
    state = load_model(config, NAME).state_dict()
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    assert Segmentor(config, NAME, optimize=False)(image).labels.shape == (64, 64)
    assert server.asked == [f'/mmsegmentation/v0.5/danet/{zoo.name}']
    cache = tmp_path / 'home/hub/checkpoints'
    assert [path.name for path in cache.iterdir()] == [zoo.name]


def test_a_file_that_came_damaged_is_not_kept(zoo, trained_model, tmp_path):
    zoo.write_bytes(zoo.read_bytes()[:-100])
    with pytest.raises(UserError, match=f'the checkpoint of {NAME} cannot be fetched .*hash'):
        load_model(trained_model[0], NAME)
    assert not list((tmp_path / 'home/hub/checkpoints').iterdir())


def test_a_file_that_would_run_code_is_refused(zoo, trained_model):
    data = io.BytesIO()
    torch.save({'state_dict': {'x': Path('.').absolute}}, data)
    digits = hashlib.sha256(data.getvalue()).hexdigest()[:8]
    file = zoo.with_name(f'evil-{digits}.pth')
    file.write_bytes(data.getvalue())
    metafile = published.MODEL_ZOO / 'danet/metafile.yaml'
    metafile.write_text(metafile.read_text().replace(zoo.name, file.name))
    with pytest.raises(UserError, match='could run code while loading'):
        load_model(trained_model[0], NAME)


def test_without_a_network_the_address_is_told_in_one_line(zoo, trained_model, monkeypatch):
    monkeypatch.setattr(published, 'HOST', 'http://127.0.0.1:9')
    before = socket.getdefaulttimeout()
    with pytest.raises(UserError) as error:
        load_model(trained_model[0], NAME)
    message = str(error.value)
    assert '\n' not in message and 'Connection refused' in message
    assert f'download http://127.0.0.1:9/mmsegmentation/v0.5/danet/{zoo.name}' in message
    assert socket.getdefaulttimeout() == before


def test_a_name_that_is_none_says_which_are_alike(trained_model):
    with pytest.raises(UserError) as error:
        load_model(trained_model[0], 'danet_r50-d8_4xb2-41k_cityscapes-512x1024')
    message = str(error.value)
    assert 'is neither a file nor the name of a model of MMSegmentation' in message
    assert 'danet_r50-d8_4xb2-40k_cityscapes-512x1024' in message


def test_paths_are_paths_and_a_file_comes_before_a_name(tmp_path, monkeypatch):
    for path in ('no/such_file', 'no_such_file.pth', './danet_r50'):
        assert published.published_file(path) is None
    monkeypatch.chdir(tmp_path)
    Path('danet_r50').touch()
    assert published.published_file('danet_r50') is None


def test_every_model_of_the_zoo_has_an_address():
    name = 'ocrnet_hr48_4xb2-160k_cityscapes-512x1024'
    assert published.address(name) == (
        'https://download.openmmlab.com/mmsegmentation/v0.5/ocrnet/'
        'ocrnet_hr48_512x1024_160k_cityscapes/'
        'ocrnet_hr48_512x1024_160k_cityscapes_20200602_191037-dfbf1b0c.pth'
    )


def test_every_name_of_the_zoo_is_taken_for_one():
    texts = [file.read_text() for file in published.MODEL_ZOO.glob('*/metafile.yaml')]
    names = [name for text in texts for name in re.findall(r'^- Name: (.*-.*)$', text, re.M)]
    assert len(names) > 500
    assert all(re.fullmatch(published.NAME, name) for name in names)
