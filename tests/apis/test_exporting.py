"""Exported files predict what the model does, in each runtime."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch import nn
from torch.nn import functional as F

from mmattn.apis import Segmentor, export, exporting, predict
from mmattn.apis.exporting import MismatchError
from mmattn.cli.export import FORMATS as CHOICES
from mmattn.engine.formats import FORMATS
from mmattn.engine.network import adaptive_avg_pool2d
from mmattn.engine.runtimes import RUNTIMES
from mmattn.errors import UserError

PADDED = {'model.data_preprocessor.test_cfg.size_divisor': 32}
PACKAGES = {'onnx': ('onnx', 'onnxscript', 'onnxruntime'), 'openvino': ('onnx', 'openvino')}


def need(format: str) -> None:
    for package in PACKAGES.get(format, ()):
        pytest.importorskip(package)


@pytest.fixture(scope='module')
def image(scenes_dir) -> np.ndarray:
    """A street of twice the size that the small model's pipeline resizes to, (96, 192, 3)."""
    path = sorted(scenes_dir.rglob('images/val/*'))[0]
    return cv2.resize(cv2.imread(str(path)), (192, 96), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope='module')
def exported(trained_model, tmp_path_factory):
    """Files of the small model: of one size, and of all with the normalisation inside."""
    files = {}

    def exported(format: str, free: bool) -> Path:
        need(format)
        if (format, free) not in files:
            out = tmp_path_factory.mktemp('exported') / f'model{FORMATS[format].suffix}'
            options = dict(dynamic=True, with_preprocessing=True) if free else {}
            files[format, free] = export(*trained_model, format=format, out=out, **options).out
        return files[format, free]

    return exported


def agree(trained_model, file, image) -> None:
    options = dict(device='cpu', optimize=False)
    expected = Segmentor(*trained_model, **options)(image, logits=True)
    found = Segmentor(trained_model[0], file, **options)(image, logits=True)
    assert len(np.unique(expected.labels)) > 1
    assert (found.labels == expected.labels).mean() > 0.999
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=1e-4)
    assert (found.classes, found.palette) == (expected.classes, expected.palette)


def formats(quick: str):
    """All of them; those but this one only where time does not matter."""
    marks = {name: () if name == quick else pytest.mark.slow for name in FORMATS}
    return pytest.mark.parametrize(
        'format', [pytest.param(name, marks=mark) for name, mark in marks.items()]
    )


@formats(quick='pt2')
def test_a_file_predicts_as_the_model_does(format, exported, trained_model, image):
    agree(trained_model, exported(format, free=False), image)


@formats(quick='none')
@pytest.mark.parametrize('size', [(96, 192), (75, 180), (192, 81)])
def test_a_dynamic_file_takes_all_sizes(format, size, exported, trained_model, image):
    agree(trained_model, exported(format, free=True), cv2.resize(image, size[::-1]))


def test_every_format_has_its_choice_and_its_runtime():
    assert list(FORMATS) == list(CHOICES)
    assert [kind.suffix for kind in FORMATS.values()] == list(RUNTIMES)


@pytest.mark.slow
def test_the_file_alone_says_what_it_is(exported, image):
    file = exported('onnx', free=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    about = json.loads(session.get_modelmeta().custom_metadata_map['mmattn'])
    assert about['classes'][3] == 'water' and about['palette'][3] == [20, 70, 200]
    assert (about['size'], about['preprocessing']) == (None, 'inside')
    (logits,) = session.run(None, {'image': image[None]})
    assert logits.shape == (1, 8, 96, 192)


@pytest.mark.slow
def test_onnx_holds_standard_operators_of_its_opset_alone(exported):
    file = exported('onnx', free=True)
    import onnx

    model = onnx.load(file)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [('', 18)]
    assert not model.functions


def test_windows_slide_over_a_file_of_their_size(trained_model, image, tmp_path):
    config = tmp_path / 'windows.py'
    config.write_text(
        f"_base_ = '{trained_model[0]}'\n"
        "model = dict(test_cfg=dict(mode='slide', crop_size=(40, 48), stride=(24, 32)))\n"
    )
    result = export(config, trained_model[1], format='pt2', out=tmp_path / 'model.pt2')
    assert result.meta['size'] == [40, 48]
    agree((config, trained_model[1]), result.out, image)


@pytest.mark.slow
def test_half_precision_is_in_the_file_and_not_at_its_ends(trained_model, tmp_path):
    out = tmp_path / 'model.pt2'
    result = export(*trained_model, format='pt2', out=out, precision='bfloat16')
    assert 'weights in bfloat16' in str(result)
    program = torch.export.load(out)
    assert {value.dtype for value in program.state_dict.values() if value.is_floating_point()} == {
        torch.bfloat16
    }
    assert program.module()(torch.zeros(1, 3, 48, 96)).dtype == torch.float32


@pytest.mark.slow
def test_convolutions_are_quantised_and_attention_is_not(trained_model, image, tmp_path):
    need('onnx')
    import onnx

    cv2.imwrite(str(tmp_path / 'image.png'), image)
    result = export(
        *trained_model,
        out=tmp_path / 'model.onnx',
        precision='int8',
        calibration=[tmp_path / 'image.png'],
    )
    assert 'weights in int8' in str(result)
    graph = onnx.load(result.out).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    inputs = {kind: [] for kind in ('Conv', 'MatMul', 'Softmax')}
    for node in graph.node:
        if node.op_type in inputs:
            inputs[node.op_type] += [made_by.get(name) for name in node.input[:2]]
    assert inputs['Softmax'] and set(inputs['Conv']) == {'DequantizeLinear'}
    assert 'DequantizeLinear' not in inputs['Softmax']
    options = dict(device='cpu', optimize=False)
    expected = Segmentor(*trained_model, **options)(image).labels
    assert (
        Segmentor(trained_model[0], result.out, **options)(image).labels == expected
    ).mean() > 0.9


def test_a_file_that_predicts_otherwise_is_not_written(trained_model, image, tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / 'image.jpg'), image)
    monkeypatch.setattr(exporting, 'LOGITS', -1)  # nothing is so near
    options = dict(format='pt2', out=tmp_path / 'model.pt2', verify=[tmp_path / 'image.jpg'])
    with pytest.raises(MismatchError, match=r'image.jpg: 100.00% .* Nothing was written'):
        export(*trained_model, **options)
    assert [path.name for path in tmp_path.iterdir()] == ['image.jpg']


def test_an_example_has_the_channels_of_the_config():
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.cls_token = nn.Parameter(torch.zeros(1, 1, 8))  # the first of its weights
    model.backbone.patches = nn.Conv2d(5, 8, 4)
    for backbone, channels in ((dict(in_channels=5), 5), (dict(), 3)):
        model.cfg = Config(dict(model=dict(backbone=backbone)))
        assert exporting._example(model, (4, 9), False).shape == (1, channels, 4, 9)
        assert exporting._example(model, (4, 9), True).shape == (1, 4, 9, channels)


def test_weights_of_openvino_replace_neither_other_files_nor_the_checkpoint(
    trained_model, tmp_path
):
    checkpoint = tmp_path / 'model.bin'
    shutil.copy(trained_model[1], checkpoint)
    options = dict(format='openvino', overwrite=True)
    with pytest.raises(UserError, match='model.bin would replace the checkpoint: name another'):
        export(trained_model[0], checkpoint, **options)
    with pytest.raises(UserError, match='model.bin exists: name another file with --out'):
        export(*trained_model, format='openvino', out=checkpoint.with_suffix('.xml'))
    assert checkpoint.read_bytes() == trained_model[1].read_bytes()


def test_a_shape_that_the_model_cannot_take_is_told():
    network = nn.Conv2d(3, 4, 5)
    network.preprocessing = False
    with pytest.raises(UserError, match='cannot take images of 4x9 .* give another --shape'):
        exporting._program(network, torch.zeros(1, 3, 4, 9), False)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(format='tflite'), "unknown format 'tflite'; known are onnx, openvino, pt2"),
        (dict(out='model.pt2'), 'model.pt2: files of --format onnx end in .onnx'),
        (dict(format='pt2', out='{model}'), 'exists: name another file with --out, or give --over'),
        (dict(precision='bfloat16'), '--bf16 is for --format pt2'),
        (dict(precision='int8'), 'int8 needs some, and nothing else takes any'),
        (dict(calibration=['image.png']), 'float32 with 1 images for calibration'),
        (dict(format='pt2', precision='int8', calibration=['a']), '--int8 is for --format onnx'),
        (dict(format='pt2', with_preprocessing=True, cfg_options=PADDED), 'without test_cfg'),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused_in_one_line(options, words, trained_model, tmp_path):
    (tmp_path / 'model.pt2').touch()
    new = tmp_path / ('new.pt2' if options.get('format') == 'pt2' else 'new.onnx')
    out = options.get('out', str(new))
    options = {**options, 'out': out.format(model=tmp_path / 'model.pt2')}
    with pytest.raises(UserError, match=words):
        export(*trained_model, **options)


def test_what_does_not_fit_a_file_is_refused_in_one_line(exported, trained_model, tmp_path):
    config, _ = trained_model
    file = exported('pt2', free=False)
    with pytest.raises(UserError, match='takes images of 48x96 .* prepared to 48x48: export with'):
        Segmentor(config, file)(np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(UserError, match='it has classes 8, the config 9. Give the config it was'):
        Segmentor(config, file, cfg_options={'model.decode_head.num_classes': 9})
    with pytest.raises(UserError, match='model.test_cfg.crop_size is None'):
        Segmentor(config, file, cfg_options={'model.test_cfg.mode': 'slide'})
    with pytest.raises(UserError, match='preprocessing of images'):
        Segmentor(config, file, cfg_options={'model.data_preprocessor.bgr_to_rgb': False})
    with pytest.raises(UserError, match='is exported already'):
        export(config, file)
    (tmp_path / 'broken.pt2').write_bytes(b'no program')
    with pytest.raises(UserError, match='broken.pt2 cannot be read'):
        Segmentor(config, tmp_path / 'broken.pt2')
    with pytest.raises(UserError, match='model.onnx does not exist'):
        Segmentor(config, 'model.onnx')


@pytest.mark.slow
def test_predict_and_views_of_an_image_run_on_a_file(exported, trained_model, image, tmp_path):
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    file = exported('onnx', free=True)
    options = dict(out=tmp_path / 'out', save=['labels'], tta=True)
    assert predict(trained_model[0], file, [tmp_path / 'image.png'], **options).images == 1
    labels = np.asarray(Image.open(tmp_path / 'out/labels/image.png'))
    expected = Segmentor(*trained_model, optimize=False, tta=True)(image).labels
    assert (labels == expected).mean() > 0.999


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (6, 6), (9, 14)])
def test_pooling_for_all_sizes_is_that_of_torch(size):
    x = torch.randn(2, 3, 9, 13, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(adaptive_avg_pool2d(x, size), F.adaptive_avg_pool2d(x, size))
