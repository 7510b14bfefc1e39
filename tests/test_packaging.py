"""What an installed mmattn promises: its version, and what it imports and when."""

import ast
import os
import subprocess
import sys
import time
from importlib.util import resolve_name
from pathlib import Path

import pytest

import mmattn

REPO = Path(__file__).resolve().parents[1]
# A None in sys.modules is how Python itself marks a module that cannot be imported.
WITHOUT_STACK = "import sys; sys.modules.update(dict.fromkeys(['mmengine', 'mmcv', 'mmseg']))\n"


def run(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *args], cwd=REPO, capture_output=True, text=True)


def imported_modules(path: Path) -> set[str]:
    """Absolute names of the modules that a file of the package imports, wherever in the file."""
    package = '.'.join(path.relative_to(REPO).parent.parts)
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(resolve_name('.' * node.level + (node.module or ''), package))
    return modules


def test_setup_reads_the_version_of_the_package():
    result = run('setup.py', '--version')
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == mmattn.__version__


def test_importing_mmattn_does_not_import_torch():
    result = run('-c', "import mmattn, sys; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr


def test_parts_are_imported_when_they_are_named():
    code = (
        'import mmattn, torch, sys\n'
        "assert 'mmattn.attention' not in sys.modules and 'attention' in dir(mmattn)\n"
        'print(mmattn.attention.SE(64)(torch.rand(2, 64, 3, 5)).shape)'
    )
    result = run('-c', WITHOUT_STACK + code)
    assert result.returncode == 0, result.stderr
    assert '[2, 64, 3, 5]' in result.stdout
    with pytest.raises(AttributeError, match='no_such_part'):
        mmattn.no_such_part  # noqa: B018


def test_the_console_command_lists_its_commands_at_once():
    start = time.monotonic()
    result = run('-c', "from mmattn.cli import main; main(['--help'])")
    assert time.monotonic() - start < 1
    assert all(command in result.stdout for command in ('train', 'test', 'prepare', 'zoo'))


@pytest.mark.slow
def test_a_wheel_works_outside_the_checkout(tmp_path):
    build = ('pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '-w', tmp_path, REPO)
    environment = {**os.environ, 'MMATTN_WITH_OPS': '0'}
    subprocess.run([sys.executable, '-m', *build], check=True, env=environment)
    (wheel,) = tmp_path.glob('*.whl')
    site = tmp_path / 'site'
    install = ('pip', 'install', '--quiet', '--no-deps', '--target', site, wheel)
    subprocess.run([sys.executable, '-m', *install], check=True)
    assert (site / 'mmattn' / 'py.typed').is_file()
    assert (site / 'mmattn' / 'web' / 'page.js').is_file()
    assert (site / 'bin' / 'mmattn').is_file()
    code = (
        'import mmattn.apis\n'
        'from mmattn.preflight.config import load_config\n'
        "cfg = load_config('configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py')\n"
        'print(mmattn.__file__, cfg.model.decode_head.type)'
    )
    result = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(site)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    command = (sys.executable, site / 'bin' / 'mmattn', '--version')
    version = subprocess.run(
        command, env={**os.environ, 'PYTHONPATH': str(site)}, capture_output=True, text=True
    )
    assert version.stdout.strip() == f'mmattn {mmattn.__version__}', version.stderr
    assert result.stdout.split()[-2:] == [str(site / 'mmattn' / '__init__.py'), 'CCNetHead']


def test_attention_and_ops_work_without_mmseg():
    code = (
        'import torch\n'
        'from mmattn.attention import PositionAttention\n'
        'from mmattn.ops import criss_cross_attention\n'
        'print(PositionAttention(16, 4)(torch.rand(2, 16, 3, 5)).shape)'
    )
    result = run('-c', WITHOUT_STACK + code)
    assert result.returncode == 0, result.stderr
    assert '[2, 16, 3, 5]' in result.stdout


@pytest.mark.parametrize('package', ['models', 'datasets', 'engine'])
def test_without_mmseg_the_error_names_the_command_that_installs_it(package):
    code = f'try: import mmattn.{package}\nexcept ImportError as error: print(error)'
    result = run('-c', WITHOUT_STACK + code)
    assert result.returncode == 0, result.stderr
    assert 'pip install -e ".[onedl]"' in result.stdout


def test_attention_and_ops_import_torch_alone():
    allowed = {'torch', *sys.stdlib_module_names}
    own = ('mmattn.attention', 'mmattn.ops')
    files = [
        path for name in ('attention', 'ops') for path in (REPO / 'mmattn' / name).rglob('*.py')
    ]
    assert files
    for path in files:
        foreign = {
            module
            for module in imported_modules(path)
            if module.partition('.')[0] not in allowed
            and not module.startswith(own)
            and module != 'mmattn'  # its version and the compiled extension
        }
        assert not foreign, f'{path.relative_to(REPO)} imports {sorted(foreign)}'


# From the top of the house down; rooms of one row may import each other.
ROOMS = (
    ('cli',),
    ('benchmarks', 'web'),
    ('apis',),
    ('studies',),
    ('preflight',),
    ('engine',),
    ('visualization', 'evaluation', 'datasets', 'models'),
    ('probes',),
    ('attention',),
    ('ops',),
)


@pytest.mark.parametrize('row', range(len(ROOMS)))
def test_imports_run_downwards(row):
    above = {f'mmattn.{room}' for rooms in ROOMS[:row] for room in rooms}
    for room in ROOMS[row]:
        for path in (REPO / 'mmattn' / room).rglob('*.py'):
            found = {'.'.join(module.split('.')[:2]) for module in imported_modules(path)}
            assert not found & above, f'{path.relative_to(REPO)} imports {sorted(found & above)}'
