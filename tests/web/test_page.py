"""What the page answers, without a browser and without Gradio."""

import pytest
from PIL import Image

from mmattn.errors import UserError
from mmattn.web import models
from mmattn.web.limits import Limits
from mmattn.web.models import ShownModel
from mmattn.web.page import Page

from .client import data_url, labels_of, png


@pytest.fixture(scope='module')
def page(two_models):
    config, *checkpoints = two_models
    shown = [ShownModel(config, checkpoint, device='cpu') for checkpoint in checkpoints]
    return Page(shown, Limits())


def test_the_page_is_told_of_its_models(page):
    first, second = page.start['models']
    assert first['name'] == 'small, iter_1' and second['name'] == 'small, iter_2'
    assert first['layers'] == ['decode_head.pam', 'decode_head.cam']
    assert len(first['classes']) == len(first['palette']) == 8


def test_an_image_is_segmented_by_both_models(page, segmentor, scenes):
    answer = page.segment({'image': data_url(png(scenes[0]))})
    expected = segmentor(Image.fromarray(scenes[0]))
    assert (labels_of(answer) == expected.labels).all()
    assert (labels_of(answer, 1) == (expected.labels + 1) % 8).all()  # the classes are rolled
    assert answer['predictions'][0]['shares'] == pytest.approx(expected.shares)
    assert answer['agreement'] == 0
    assert answer['size'] == answer['shown'] == [192, 96]


def test_large_images_are_shown_smaller_and_counted_whole(page, segmentor, scenes, monkeypatch):
    monkeypatch.setattr(models, 'MAX_SIDE', 160)
    answer = page.segment({'image': data_url(png(scenes[1]))})
    assert answer['size'] == [192, 96] and answer['shown'] == [160, 80]
    expected = segmentor(Image.fromarray(scenes[1]))
    assert answer['predictions'][0]['shares'] == pytest.approx(expected.shares)
    assert (labels_of(answer)[::5, ::5] == expected.labels[::6, ::6]).all()


def test_a_pixel_is_asked_in_the_layer_that_is_named(page, scenes):
    image = data_url(png(scenes[0]))
    layers = ['decode_head.pam', 'decode_head.cam']
    answer = page.attend({'image': image, 'x': 40, 'y': 20, 'layers': layers})
    position, channel = answer['panels']
    assert [panel['title'] for panel in position] == ['pixels, from pixel 40,20']
    assert len(channel) == 2 and 'channels' in channel[0]['title']
    assert position[0]['src'].startswith('data:image/png;base64,')


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(x=192), 'outside of the image of 192 x 96'),
        (dict(y=-1), 'outside of the image'),
        (dict(x='4'), 'outside of the image'),
        (dict(x=True), 'outside of the image'),
        (dict(layers=['decode_head.pam']), 'one layer for each model'),
        (dict(layers='pam'), 'one layer for each model'),
        (dict(layers=['../pam', 'decode_head.pam']), "no layer '../pam'"),
        (dict(layers=[['a'], 'decode_head.pam']), 'no layer'),
        (dict(image='/etc/passwd'), 'no image came'),
    ],
)
def test_requests_that_make_no_sense_are_refused_in_words(page, scenes, change, words):
    asked = dict(image=data_url(png(scenes[0])), x=1, y=1, layers=['decode_head.pam'] * 2)
    with pytest.raises(UserError, match=words):
        page.attend({**asked, **change})
