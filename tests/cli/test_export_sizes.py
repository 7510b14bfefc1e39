"""The table of what exports for all sizes is complete, true and up to date."""

import json
from pathlib import Path

import pytest
import torch

from mmattn.cli import export_page
from mmattn.cli.export_page import (
    HEADS,
    SIZES_FILE,
    build_subject,
    render_sizes,
    subjects,
    takes_all_sizes,
)
from mmattn.engine.network import Network, standard_program

REPO = Path(__file__).resolve().parents[2]
MEASURED = json.loads((REPO / SIZES_FILE).read_text())


def test_docs_hold_what_the_command_writes():
    text = (REPO / 'docs/export_sizes.md').read_text()
    assert text == render_sizes(REPO), 'run mmattn zoo'


def test_every_head_and_mechanism_was_measured():
    assert list(MEASURED) == subjects(), 'run mmattn zoo --export'


def test_what_the_table_denies_is_refused():
    network = Network(build_subject('InterlacedSparse'), False, torch.float32)
    with pytest.raises(ValueError, match='InterlacedSparse pads each size otherwise'):
        standard_program(network, torch.zeros(1, 3, 64, 64), dynamic=True)
    assert [name for name, takes in MEASURED.items() if not takes] == ['InterlacedSparse']


@pytest.mark.parametrize('name', ['FullyAttentional', 'PositionAttention'])
def test_wide_attention_is_exported_for_all_sizes_too(name, monkeypatch):
    monkeypatch.setattr(export_page, '_CHANNELS', 128)
    network = Network(build_subject(name), False, torch.float32)
    program = standard_program(network, torch.randn(1, 3, 64, 64), dynamic=True)
    image = torch.randn(1, 3, 100, 140)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), network(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.slow if name in HEADS else pytest.mark.study)
        for name in subjects()
    ],
)
def test_all_are_exported_to_onnx_as_the_table_says(name):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    assert takes_all_sizes(name) == MEASURED[name]


@pytest.mark.slow
@pytest.mark.parametrize('name', HEADS)
def test_heads_run_in_openvino_as_the_table_says(name):
    pytest.importorskip('onnxscript')
    pytest.importorskip('openvino')
    assert takes_all_sizes(name, 'openvino') == MEASURED[name]
