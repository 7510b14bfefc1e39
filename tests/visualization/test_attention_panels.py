"""Pictures of attention: which there are, and what they show where."""

import io
import re

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from PIL import Image

from mmattn.visualization.attention_drawing import Scene
from mmattn.visualization.attention_page import attention_page, attention_sheet
from mmattn.visualization.attention_panels import image_panel, layer_panels
from mmattn.visualization.capture import capture_attention
from tests.models.test_heads import RESNET, segmentor

register_all_modules(init_default_scope=True)

CLASSES = ['sky', 'road', 'car', 'water', 'boat']
PALETTE = [[120, 180, 240], [160, 80, 60], [230, 30, 40], [20, 70, 200], [255, 140, 0]]


def make_scene(height: int = 64, width: int = 96, **fields) -> Scene:
    pred = np.zeros((height, width), dtype=np.int64)
    pred[:, width // 2 :] = 3
    fields = dict(shape=(height, width), size=(height, width)) | fields
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    return Scene(image, pred, CLASSES, PALETTE, **fields)


def panels_of(head: str, plugin: dict, point=(80, 20)):
    torch.manual_seed(0)
    plugins = [dict(cfg=plugin, position='after_stage', stages=(0, 0, 0, 1))]
    backbone = dict(RESNET, type='AttnResNetV1c', depth=18, plugins=plugins)
    model = MODELS.build(segmentor(head, backbone, [8, 16, 32, 64])).eval()
    with capture_attention(model) as captured, torch.no_grad():
        model.encode_decode(torch.randn(1, 3, 64, 96), [dict(img_shape=(64, 96))])
    scene = make_scene(size=captured.size)
    return [panel for layer in captured.values() for panel in layer_panels(layer, scene, [point])]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))


@pytest.mark.parametrize(
    ('head', 'plugin', 'steps'),
    [
        ('CCNetHead', dict(type='SE'), ['channels', 'cross', 'cross-2', 'all-steps']),
        ('DANetHead', dict(type='CoordinateAttention'), ['rows', 'columns', 'pixels', 'channels']),
        ('OCRNetHead', dict(type='CBAM'), ['channels', 'positions', 'objects', 'regions']),
        ('GCNetHead', dict(type='SIAU'), ['parts', 'edges', 'context']),
        ('ANLHead', dict(type='InterlacedSparse'), ['long-range', 'short-range', 'anchors']),
        ('FLAHead', dict(type='RGA'), ['relations-of-pixels', 'positions', 'columns', 'rows']),
    ],
)
def test_every_step_of_every_layer_has_a_picture(head, plugin, steps):
    panels = panels_of(head, plugin)
    names = [panel.name for panel in panels]
    assert len(set(names)) == len(names)
    for step in steps:
        panel = next(panel for panel in panels if f'_{step}' in panel.name)
        picture = pixels(panel.png())
        assert min(picture.shape[:2]) > 200 and picture.std() > 10, panel.name
        assert picture.shape[1] < 1000


def test_the_cross_lies_at_the_point_and_the_legend_says_the_shares():
    panels = panels_of('CCNetHead', dict(type='SE'))
    (panel,) = [panel for panel in panels if panel.name.endswith('cross_80-20')]
    assert panel.title == 'cross, from pixel 80,20'
    figure = panel.figure()
    ax, bar = figure.axes
    assert bar.get_ylabel() == 'times an even spread'
    values = np.asarray(ax.images[1].get_array())
    assert values.shape == (64, 96)
    # Pixel (80, 20) falls in cell (10, 2) of 8 x 12: its column and its row, and nothing else.
    row, column = slice(16, 24), slice(80, 88)
    assert (values[row] > 0).all() and (values[:, column] > 0).all()
    outside = values.copy()
    outside[row], outside[:, column] = 0, 0
    assert not outside.any()
    assert all(tuple(line.get_xydata()[0]) == (80, 20) for line in ax.lines) and ax.lines
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    shares = {w.split()[0]: int(w.split()[1]) for w in words}
    water = values[:, 48:].sum() / values.sum()
    assert shares['water'] == round(100 * water) and sum(shares.values()) in (99, 100, 101)
    assert all(word.endswith('(50 %)') for word in words)


def test_a_map_lies_on_the_image_where_the_model_read_it():
    """A model that read an image of 64 x 96 as 32 x 48, padded to 64 x 64."""
    scene = make_scene(shape=(32, 48), size=(64, 64))
    assert scene.read_pixel((95, 63)) == (47, 31)
    weights = np.zeros((8, 8))
    weights[2, 4] = 1  # rows 16 to 23 and columns 32 to 39 of what the model read
    shown = scene.on_image(weights)
    expected = np.zeros((64, 96))
    expected[32:48, 64:80] = 1
    assert np.array_equal(shown, expected)


def test_weights_alike_everywhere_have_the_colour_in_the_middle():
    scene = make_scene()
    torch.manual_seed(0)
    model = torch.nn.Sequential(MODELS.build(dict(type='GlobalContext', in_channels=4)))
    model[0].conv_mask.weight.data.zero_()
    with capture_attention(model) as captured, torch.no_grad():
        model(torch.randn(1, 4, 8, 12))
    (panel,) = layer_panels(captured['0'], scene, [])
    ax, bar = panel.figure().axes
    assert ax.images[1].norm.vmin == 0 and ax.images[1].norm.vmax == 2
    assert np.allclose(ax.images[1].get_array(), 1)


def test_the_image_has_its_points_and_classes():
    ax = image_panel(make_scene(), [(3, 4), (50, 60)]).figure().axes[0]
    assert {tuple(line.get_xydata()[0]) for line in ax.lines} == {(3, 4), (50, 60)}
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(words) == ['sky 50 %', 'water 50 %']


def test_the_page_holds_its_pictures_and_the_sheet_all_of_them():
    panels = panels_of('CCNetHead', dict(type='SE'))
    drawn = [(panel, panel.png()) for panel in panels]
    page = attention_page('a <model>', {'best': drawn, 'last': drawn})
    assert page.count('data:image/png;base64,') == 2 * len(panels)
    assert re.findall(r'<h2>(.*?)</h2>', page) == ['backbone.layer4.se', 'decode_head.cca']
    assert '<title>a &lt;model&gt;</title>' in page and '<figcaption>last</figcaption>' in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # nothing from elsewhere

    sheet = pixels(attention_sheet([png for _, png in drawn], 2))
    heights = [pixels(png).shape[0] for _, png in drawn]
    assert sheet.shape[0] == sum(max(heights[i : i + 2]) for i in range(0, len(heights), 2))
