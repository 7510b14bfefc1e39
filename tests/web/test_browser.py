"""The page in a real browser: headless Chromium."""

from dataclasses import replace
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from .client import png

pytestmark = pytest.mark.e2e
MODELS = '.mmattn figure'


@pytest.fixture(scope='module')
def visit(browser, served):
    """The page, and what the browser asked for and complained of."""
    page = browser.new_page(viewport={'width': 1200, 'height': 1100})
    page.asked, page.complaints = [], []
    page.on('request', lambda request: page.asked.append(request.url))
    page.on('pageerror', lambda error: page.complaints.append(str(error)))
    page.on('console', lambda line: line.type == 'error' and page.complaints.append(line.text))
    page.goto(served[0])
    page.wait_for_selector('.mmattn .drop', timeout=60_000)
    yield page
    page.close()


@pytest.fixture(scope='module')
def segmented(visit, scene_file):
    """The same, after an image was chosen."""
    visit.set_input_files('.mmattn input[type=file]', scene_file)
    visit.wait_for_selector(f'{MODELS} .legend li', timeout=60_000)
    return visit


def colours_of(page, model: int) -> np.ndarray:
    """What is painted over the image, (H, W, 4)."""
    script = """canvas => [canvas.height, canvas.width,
        ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"""
    height, width, *values = page.locator(f'{MODELS} canvas').nth(model).evaluate(script)
    return np.array(values).reshape(height, width, 4)


def picture_of(page, selector: str) -> np.ndarray:
    """A screenshot of the first element that is found, (H, W, 3)."""
    shot = page.locator(selector).first.screenshot()
    return np.asarray(Image.open(BytesIO(shot)).convert('RGB')).astype(float)


def test_both_models_paint_what_they_predict(segmented, segmentor, scenes):
    first = segmentor(Image.fromarray(scenes[0]))
    palette = np.array(first.palette)
    # The second model has the classes of the first rolled by one.
    for number, expected in enumerate((first, replace(first, labels=(first.labels + 1) % 8))):
        colours = colours_of(segmented, number)
        assert (colours[..., 3] == 255).all()
        assert (colours[..., :3] == palette[expected.labels]).all()
        legend = segmented.locator(MODELS).nth(number).locator('.legend li').all_inner_texts()
        shares = [f'{name} {100 * share:.1f} %' for name, share in expected.shares.items()]
        assert legend == shares
    assert segmented.inner_text('.agreement') == 'The models agree on 0.0 % of the pixels.'


def test_the_slider_mixes_image_and_colours(segmented):
    def seen(opacity: int) -> np.ndarray:
        segmented.locator('.mmattn input[type=range]').fill(str(opacity))
        return picture_of(segmented, f'{MODELS} .stage')

    image, mixed, colours = seen(0), seen(50), seen(100)
    segmented.locator('.mmattn input[type=range]').fill('50')
    assert abs(image - colours).mean() > 20
    assert abs(mixed - (image + colours) / 2).mean() < 2


def test_the_class_under_the_pointer_is_named_in_both(segmented, segmentor, scenes):
    prediction = segmentor(Image.fromarray(scenes[0]))
    box = segmented.locator(f'{MODELS} .stage').first.bounding_box()
    for x, y in ((10, 10), (100, 80), (191, 95)):
        place = {'x': (x + 0.5) * box['width'] / 192, 'y': (y + 0.5) * box['height'] / 96}
        segmented.locator(f'{MODELS} .stage').first.hover(position=place)
        label = prediction.labels[y, x]
        names = [prediction.classes[label], prediction.classes[(label + 1) % 8]]
        said = segmented.locator(f'{MODELS} .under').all_inner_texts()
        assert said == [f'{name} at {x}, {y}' for name in names]


def test_a_click_shows_what_both_models_attend_to(segmented):
    segmented.locator(f'{MODELS} .stage').nth(1).click(position={'x': 60, 'y': 40})
    segmented.wait_for_selector(f'{MODELS} .panels img', timeout=60_000)
    assert segmented.locator(f'{MODELS} .panels img').count() == 2
    said = segmented.inner_text('.mmattn .message')
    panel = segmented.locator(f'{MODELS} .panels img').first
    assert panel.get_attribute('alt').startswith('pixels, from pixel ')
    assert panel.get_attribute('alt').removeprefix('pixels, from pixel ') in said.replace(', ', ',')
    picture = picture_of(segmented, f'{MODELS} .panels img')
    assert picture.shape[1] > 300 and picture.std() > 20
    # Another layer of the first model: two pictures of channels, and one still of the second.
    segmented.locator(f'{MODELS} select').first.select_option('decode_head.cam')
    segmented.wait_for_function(
        "document.querySelectorAll('.mmattn figure .panels img').length === 3", timeout=60_000
    )


def test_keys_do_what_the_pointer_does(segmented):
    stage = segmented.locator(f'{MODELS} .stage').first
    segmented.mouse.move(0, 0)
    stage.focus()
    stage.press('Shift+ArrowRight')
    stage.press('ArrowUp')
    assert segmented.locator(f'{MODELS} .under').first.inner_text().endswith(' at 106, 47')
    stage.press('Enter')
    segmented.wait_for_function(
        "document.querySelector('.mmattn .message').textContent.includes('106, 47')",
        timeout=60_000,
    )


def test_the_page_says_what_is_wrong_with_a_file(segmented, scenes, tmp_path):
    def said(data: bytes) -> str:
        file = tmp_path / 'photo.png'
        file.write_bytes(data)
        segmented.set_input_files('.mmattn input[type=file]', file)
        segmented.wait_for_selector('.mmattn .message.error', timeout=60_000)
        text = segmented.inner_text('.mmattn .message')
        segmented.set_input_files('.mmattn input[type=file]', whole)
        segmented.wait_for_selector('.mmattn .message:not(.error)', timeout=60_000)
        segmented.wait_for_function(
            "document.querySelector('.mmattn .message').textContent.startsWith('Click')",
            timeout=60_000,
        )
        return text

    whole = tmp_path / 'whole.png'
    whole.write_bytes(png(scenes[1]))
    assert said(bytes(2_100_000)).startswith('The file has 2.1 MB, and this page takes 2 MB')
    assert said(b'no image').startswith('The file cannot be read: it is damaged')
    assert 'more than the 1 million pixels' in said(png(np.zeros((1001, 1000, 3), np.uint8)))


def test_no_request_leaves_this_machine_and_nothing_fails(segmented):
    """Last: of all that the tests above did."""
    hosts = {urlsplit(url).hostname for url in segmented.asked if not url.startswith('data:')}
    assert {host for host in hosts if host} == {'127.0.0.1'}
    assert not segmented.complaints
