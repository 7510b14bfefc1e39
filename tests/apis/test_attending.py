"""Pictures of the attention of a trained model: where they go, and what is refused."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmattn.apis import Segmentor, draw_attention
from mmattn.apis.attending import watch
from mmattn.errors import UserError
from mmattn.preflight.config import load_config


@pytest.fixture
def photo(tmp_path):
    """96 x 192 pixels of noise, which the small model reads as 48 x 96, padded to 64 x 96."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 192, 3), dtype=np.uint8)
    path = tmp_path / 'photo.png'
    Image.fromarray(pixels).save(path)
    return path


def test_pictures_of_all_layers_and_points(trained_model, photo, tmp_path):
    page = draw_attention(*trained_model, photo, points=[(191, 95)], out=tmp_path / 'out')
    assert page == tmp_path / 'out' / 'index.html'
    layers = ('pam_pixels', 'cam_channels_weights', 'cam_channels_effect')
    expected = {f'decode_head.{name}_191-95.png' for name in layers}
    expected |= {'index.html', 'sheet.png', 'image.png'}
    assert {path.name for path in page.parent.iterdir()} == expected
    assert page.read_text().count('data:image/png') == 4


def test_checkpoints_side_by_side(trained_model, photo, tmp_path):
    config, checkpoint = trained_model
    other = tmp_path / 'other' / checkpoint.name
    other.parent.mkdir()
    other.write_bytes(checkpoint.read_bytes())
    page = draw_attention(
        config, checkpoint, photo, layers=['decode_head.pam'], compare=[other], out=tmp_path / 'out'
    )
    folders = sorted(path.name for path in page.parent.iterdir() if path.is_dir())
    assert folders == [f'1-{checkpoint.parent.name}-iter_1', '2-other-iter_1']
    for folder in folders:
        files = {path.name for path in (page.parent / folder).iterdir()}
        assert files == {'image.png', 'decode_head.pam_pixels_96-48.png'}


def test_the_image_is_prepared_as_the_test_pipeline_does_and_goes_through_whole(
    trained_model, photo
):
    config, checkpoint = trained_model
    options = {'model.test_cfg': dict(mode='slide', crop_size=(32, 32), stride=(16, 16))}
    segmentor = Segmentor(config, checkpoint, optimize=False, cfg_options=options)
    captured, scene = watch(segmentor, segmentor.load(photo))
    assert scene.shape == (48, 96) and scene.pred.shape == (96, 192)
    assert captured.size == scene.size and captured.size[0] >= 48 and captured.size[1] >= 96
    assert segmentor.model.test_cfg.mode == 'slide'
    weights = captured['decode_head.pam'].attention(*scene.read_pixel((191, 95)))
    assert float(weights.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(points=[(192, 0)]), r'point 192,0 is outside of .*photo.png, which has 192 x 96'),
        (dict(layers=['decode_head.cca']), r"unknown layer 'decode_head.cca'; known are decode_"),
        (dict(image='nowhere.png'), 'image nowhere.png cannot be read: No such file'),
        (dict(image=__file__), 'it is damaged, or no image'),
        (dict(checkpoint='nowhere.pth'), 'nowhere.pth'),
    ],
)
def test_mistakes_are_told_before_anything_is_drawn(trained_model, photo, tmp_path, changes, words):
    config, checkpoint = trained_model
    arguments = dict(checkpoint=checkpoint, image=photo, out=tmp_path / 'out') | changes
    with pytest.raises(UserError, match=words):
        draw_attention(config, **arguments)
    assert not list(tmp_path.glob('out/*'))


def test_a_model_without_attention_is_told(trained_model, photo, tmp_path):
    config, checkpoint = trained_model
    segmentor = Segmentor(config, checkpoint, optimize=False)
    segmentor.model.decode_head = segmentor.model.auxiliary_head
    with pytest.raises(UserError, match='no module of EncoderDecoder can be asked'):
        watch(segmentor, segmentor.load(photo))


def test_of_an_exported_file_the_checkpoint_is_asked_for(trained_model, tmp_path):
    config, checkpoint = trained_model
    with pytest.raises(UserError, match='model.onnx is exported, .* give the checkpoint'):
        draw_attention(config, checkpoint, 'image.png', compare=['model.onnx'], out=tmp_path)


def test_a_model_of_one_logit_is_drawn(trained_model, photo, tmp_path):
    config, _ = trained_model
    options = {
        'model.decode_head.num_classes': 2,
        'model.decode_head.out_channels': 1,
        'model.decode_head.threshold': 0.3,
        'model.decode_head.loss_decode': dict(type='CrossEntropyLoss', use_sigmoid=True),
        'model.auxiliary_head': None,
    }
    model = MODELS.build(load_config(config, options).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'one.pth')
    page = draw_attention(
        config, tmp_path / 'one.pth', photo, out=tmp_path / 'out', cfg_options=options
    )
    assert page.is_file()
