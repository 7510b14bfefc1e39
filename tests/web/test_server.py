"""The server of the page as a process."""

import re
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .client import Client, data_url, labels_of, png
from .conftest import MISSING, OPTIONS, command, environment, serving

pytestmark = pytest.mark.e2e
CLIENTS = 8
WARM = 100  # requests after which memory has its size
GROWTH = 1.05  # of memory, at most


@pytest.fixture
def client(served):
    return Client(served[0], 'test')


@pytest.fixture(scope='module')
def expected(segmentor, scenes) -> list[np.ndarray]:
    return [segmentor(Image.fromarray(scene)).labels for scene in scenes]


def run(*args) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*args), capture_output=True, text=True, env=environment(), timeout=120
    )


def memory(process: subprocess.Popen) -> int:
    """What a process takes of memory and, where it was swapped out, of disk, in KiB."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    return sum(map(int, re.findall(r'^Vm(?:RSS|Swap):\s+(\d+) kB', status, re.MULTILINE)))


def load(served, scenes, expected, count: int) -> None:
    """``count`` requests from some clients at once; every fifth asks for attention."""

    def work(number: int) -> None:
        client = Client(served[0], f'session{number}')
        for turn in range(count // CLIENTS):
            index = (number + turn) % len(scenes)
            image = data_url(png(scenes[index]))
            if (number + turn) % 5 == 4:
                layers = ['decode_head.pam', 'decode_head.pam']
                answer = client.ask('attend', image=image, x=turn, y=number, layers=layers)
                assert answer['point'] == [turn, number]
                assert len(answer['panels'][0]) == len(answer['panels'][1]) == 1
            else:
                answer = client.ask('segment', image=image)
                assert (labels_of(answer) == expected[index]).all()
                assert (labels_of(answer, 1) == (expected[index] + 1) % 8).all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))


def test_clients_at_once_all_get_the_right_answers(served, scenes, expected):
    load(served, scenes, expected, 24)


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/status').is_file(), reason='memory is read from /proc')
def test_memory_stays_flat_over_500_requests(served, scenes, expected):
    load(served, scenes, expected, WARM)
    before = memory(served[1])
    load(served, scenes, expected, 504)
    after = memory(served[1])
    print(f'{before} KiB after {WARM} requests, {after} KiB after 504 more')
    assert after < GROWTH * before


def test_what_is_wrong_with_an_image_is_told(client, scenes):
    def said(data: bytes) -> str:
        return client.ask('segment', image=data_url(data))['error']

    noise = np.random.default_rng(0).integers(0, 256, (824, 824, 3), np.uint8)
    assert said(png(noise)) == ('the file has 2.0 MB, and this page takes 2 MB: save it smaller')
    assert 'more than the 1 million pixels' in said(png(np.zeros((1001, 1000, 3), np.uint8)))
    assert 'damaged, or no image' in said(png(scenes[0])[:500])


def test_a_request_above_the_bound_is_not_read(client):
    length = {'Content-Length': '3000000'}
    assert client.request('POST', '/gradio_api/queue/join', **length)[0] == 413


@pytest.mark.parametrize('image', ['/etc/passwd', 'file:///etc/passwd', 'http://127.0.0.1:9/a.png'])
def test_no_path_of_a_request_reaches_the_file_system(client, image):
    described = {'path': image, 'url': image, 'meta': {'_type': 'gradio.FileData'}}
    refusals = ('no image came with the request', 'not in the cache folder')
    for given in (image, described, [described]):
        answer = client.ask('segment', image=given)
        assert any(words in answer['error'] for words in refusals)
    for path in (f'/gradio_api/file={image}', f'/file={image}', f'/assets/..{image}'):
        status, content = client.request('GET', path)
        assert status == 404 and b'root:' not in content
    status, _ = client.request('POST', '/gradio_api/upload', b'--x--')
    assert status == 404


def test_the_page_asks_for_nothing_of_other_machines(client):
    status, page = client.request('GET', '/')
    assert status == 200
    assert not re.findall(rb'<(?:link|script|img)[^>]*https?://(?!127\.0\.0\.1)', page)
    _, config = client.request('GET', '/config')
    assert b'googleapis' not in page + config
    assert b'"analytics_enabled":false' in config


@pytest.mark.web
def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(trained_model):
    pytest.importorskip('gradio', reason=f'gradio {MISSING}')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        result = run(*trained_model, '--port', port)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        f'error: the page cannot be served at 127.0.0.1, port {port} (Address already in use): '
        'name another port with --port (0 takes a free one), or another address of this machine '
        'with --host'
    )


def test_arguments_that_make_no_page_are_told(trained_model):
    config, checkpoint = trained_model
    assert 'config only.py has no checkpoint' in run('only.py').stderr
    assert '--max-megabytes is 0' in run(config, checkpoint, '--max-megabytes', '0').stderr


def test_without_gradio_the_command_names_the_extra():
    code = "import sys; sys.modules['gradio'] = None; from mmattn.cli import main; main(['demo'])"
    result = subprocess.run(
        [*command()[:2], code], capture_output=True, text=True, env=environment(), timeout=120
    )
    assert result.returncode == 2
    assert 'pip install "mmattn[demo]"' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.web
@pytest.mark.slow
def test_ctrl_c_ends_the_page_and_leaves_no_file(trained_model, tmp_path):
    pytest.importorskip('gradio', reason=f'gradio {MISSING}')
    with serving(*trained_model, *OPTIONS, cwd=tmp_path) as (address, process):
        assert Client(address, 'one').request('GET', '/')[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert not list(tmp_path.iterdir())
