"""Neither imports nor tests need the network."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
IMPORTS = """
import importlib, pkgutil
from tests.offline import forbid_network
forbid_network()
import mmattn
from mmattn.compat import import_mmseg
import_mmseg()
for module in pkgutil.walk_packages(mmattn.__path__, 'mmattn.'):
    if not module.name.endswith('__main__'):
        importlib.import_module(module.name)
"""


def test_a_connection_to_another_machine_is_an_error_in_all_tests():
    with pytest.raises(RuntimeError, match='uses the network'):
        socket.create_connection(('203.0.113.1', 80), timeout=1)
    with pytest.raises(RuntimeError, match='uses the network'):
        socket.getaddrinfo('example.org', 80)


def test_this_machine_may_be_talked_to():
    with socket.create_server(('127.0.0.1', 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_importing_everything_uses_no_network():
    result = subprocess.run(
        [sys.executable, '-c', IMPORTS], cwd=REPO, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
