"""docs/export.md: its commands and its Python, as printed."""

import re
import sys
from pathlib import Path

import pytest

from tests.guides import run, write_demo

REPO = Path(__file__).resolve().parents[2]
GUIDE = (REPO / 'docs/export.md').read_text()
BLOCKS = re.findall(r'```bash\n(.*?)\n```', GUIDE, re.S)
COMMANDS = [block for block in BLOCKS if '/camvid_cpu/' not in block]  # of which one takes long
CODE = re.findall(r'```python\n(.*?)```', GUIDE, re.S)


def test_configs_of_the_guide_exist():
    assert all((REPO / name).is_file() for name in re.findall(r'configs/\S+\.py', GUIDE))


@pytest.mark.e2e
@pytest.mark.slow
def test_the_guide_works_as_printed(tmp_path):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    (config,) = set(re.findall(r'configs/\S+\.py', ''.join(COMMANDS)))
    write_demo(tmp_path, config)
    export, *uses = (line for block in COMMANDS for line in block.splitlines())
    assert 'verified: ' in run(tmp_path, ['bash', '-c', export])
    for command in uses:
        run(tmp_path, ['bash', '-c', command])
    assert len(list((tmp_path / 'predictions/labels/toyville').glob('*.png'))) == 16
    with_segmentor, alone = CODE
    check = '\nassert result.labels.shape == (128, 256)'
    run(tmp_path, [sys.executable, '-c', with_segmentor + check])
    run(tmp_path, ['bash', '-c', f'{export} --with-preprocessing --out model.onnx'])
    (image,) = re.findall(r'data/\S+\.png', export)
    (tmp_path / 'image.png').write_bytes((tmp_path / image).read_bytes())
    words = run(tmp_path, [sys.executable, '-c', alone])
    assert re.fullmatch(r'\w+ \[\d+, \d+, \d+\]\n', words)
