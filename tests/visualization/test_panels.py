"""Panels, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from mmattn.engine.hooks.image_files import image_file_names
from mmattn.errors import UserError
from mmattn.visualization import prediction_panel
from mmattn.visualization.panels import GAP, MAX_SIDE, VOID, VOID_LINES

CLASSES = ['sky', 'road', 'car', 'boat']
PALETTE = [[70, 130, 180], [128, 64, 128], [0, 0, 142], [220, 20, 60]]


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (60, 200, 3) of noise; truth: sky above road, void on the right; prediction: a car."""
    image = np.random.default_rng(0).integers(0, 256, (60, 200, 3), dtype=np.uint8)
    gt = np.zeros((60, 200), dtype=np.uint8)
    gt[30:] = 1
    gt[:, 160:] = 255
    pred = np.where(gt == 255, 1, gt).astype(np.int64)
    pred[40:50, 20:60] = 2
    return image, gt, pred


def cut(panel: np.ndarray, shape: tuple[int, int], number: int) -> np.ndarray:
    """The ``number``-th picture of a panel of pictures at least as wide as their titles."""
    height, width = shape
    left = GAP + number * (width + GAP)
    top = first_row(panel)
    return panel[top : top + height, left : left + width]


def first_row(panel: np.ndarray) -> int:
    """First row of the pictures: the first one that is not paper on the left of the last title."""
    edge = panel[:, GAP : GAP + 200].reshape(len(panel), -1)
    return int(np.flatnonzero((edge == 255).mean(axis=1) < 0.1)[0])


def below(panel: np.ndarray, height: int) -> np.ndarray:
    """What lies under the pictures: the legend."""
    return panel[first_row(panel) + height :]


def has(pixels: np.ndarray, colour) -> bool:
    """Whether there is an area of a colour; single pixels of it may be the edge of a letter."""
    return (pixels == np.array(colour)).all(axis=-1).sum() > 30


def test_image_truth_and_prediction_stand_side_by_side_at_their_size(scene):
    image, gt, pred = scene
    panel = prediction_panel(image, gt, pred, PALETTE, CLASSES)
    assert panel.dtype == np.uint8
    assert panel.shape[1] == GAP + 3 * (200 + GAP)
    assert (cut(panel, gt.shape, 0) == image).all()
    assert (cut(panel, gt.shape, 1)[:, :160] == np.array(PALETTE)[gt[:, :160]]).all()
    assert (cut(panel, gt.shape, 2) == np.array(PALETTE)[pred]).all()


def test_without_ground_truth_two_pictures_remain(scene):
    image, gt, pred = scene
    panel = prediction_panel(image, None, pred, PALETTE, CLASSES)
    assert panel.shape[1] == GAP + 2 * (200 + GAP)
    assert (cut(panel, gt.shape, 0) == image).all()
    assert (cut(panel, gt.shape, 1) == np.array(PALETTE)[pred]).all()


def test_void_is_a_pattern_of_two_greys_and_nothing_else_is(scene):
    image, gt, pred = scene
    panel = prediction_panel(image, gt, pred, PALETTE, CLASSES)
    truth = cut(panel, gt.shape, 1)
    grey = (truth == VOID).all(axis=-1) | (truth == VOID_LINES).all(axis=-1)
    assert (grey == (gt == 255)).all()
    assert has(truth, VOID) and has(truth, VOID_LINES)
    assert not has(cut(panel, gt.shape, 2), VOID)


@pytest.mark.parametrize('void', [4, 254, 255, -1])
def test_every_true_label_that_is_no_class_is_void(scene, void):
    image, gt, pred = scene
    other = np.where(gt == 255, void, gt.astype(int))
    expected = prediction_panel(image, gt, pred, PALETTE, CLASSES)
    assert (prediction_panel(image, other, pred, PALETTE, CLASSES) == expected).all()


def test_the_legend_shows_the_classes_that_occur_and_void_only_where_it_does(scene):
    image, gt, pred = scene
    legend = below(prediction_panel(image, gt, pred, PALETTE, CLASSES), 60)
    assert [has(legend, colour) for colour in PALETTE] == [True, True, True, False]
    assert has(legend, VOID)
    legend = below(prediction_panel(image, pred, pred, PALETTE, CLASSES), 60)
    assert not has(legend, VOID)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('sky', 'sea'),
        ('Gebäude', 'Gebaude'),
        ('небо', 'вода'),
        ('ℊ', '⌕'),  # not in the first font, but in others that come with matplotlib
    ],
)
def test_names_of_any_alphabet_are_written_as_they_are(scene, one, other):
    image, gt, pred = scene
    panels = [prediction_panel(image, gt, pred, PALETTE, [x, *CLASSES[1:]]) for x in (one, other)]
    legends = [below(panel, 60) for panel in panels]
    assert not np.array_equal(*legends)


@pytest.mark.parametrize('name', ['\U000e0fff', 'two\nlines', ''])
def test_names_that_cannot_be_written_are_no_error(scene, name):
    image, gt, pred = scene
    panel = prediction_panel(image, gt, pred, PALETTE, [name, *CLASSES[1:]])
    assert has(below(panel, 60), PALETTE[0])


def test_classes_of_the_same_name_both_have_their_entry(scene):
    image, gt, pred = scene
    legend = below(prediction_panel(image, gt, pred, PALETTE, ['void'] * 4), 60)
    assert all(has(legend, colour) for colour in [*PALETTE[:3], VOID])


def test_without_a_palette_200_classes_differ_in_colour_and_fill_a_legend():
    labels = np.arange(200).reshape(10, 20).repeat(10, axis=0).repeat(10, axis=1)
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    names = [f'class {i}' for i in range(200)]
    panel = prediction_panel(image, labels, labels, None, names)
    colours = cut(panel, labels.shape, 2)[::10, ::10].reshape(200, 3)
    assert len(np.unique(colours, axis=0)) == 200
    assert (np.ptp(colours.astype(int), axis=1) > 40).all()  # none looks like void, paper or ink
    legend = set(map(tuple, below(panel, 100).reshape(-1, 3).tolist()))
    assert set(map(tuple, colours.tolist())) < legend
    assert (prediction_panel(image, labels, labels, None, names) == panel).all()


def test_large_images_are_scaled_down_without_mixing_labels():
    image = np.full((1024, 2048, 3), 90, dtype=np.uint8)
    gt = np.zeros((1024, 2048), dtype=np.uint8)
    gt[:, 1024:] = 2
    panel = prediction_panel(image, gt, gt, PALETTE, CLASSES)
    assert panel.shape[1] == GAP + 3 * (MAX_SIDE + GAP)
    truth = cut(panel, (MAX_SIDE // 2, MAX_SIDE), 1)
    assert (truth[:, : MAX_SIDE // 2] == PALETTE[0]).all()
    assert (truth[:, MAX_SIDE // 2 :] == PALETTE[2]).all()


def test_high_images_are_scaled_down_too():
    labels = np.zeros((4000, 40), dtype=np.uint8)
    panel = prediction_panel(np.zeros((4000, 40, 3), np.uint8), None, labels, PALETTE, CLASSES)
    assert MAX_SIDE < panel.shape[0] < MAX_SIDE + 100


def test_titles_and_legend_of_narrow_images_have_room():
    image, labels = np.zeros((9, 5, 3), np.uint8), np.zeros((9, 5), np.uint8)
    panel = prediction_panel(image, labels, labels, PALETTE, ['a rather long name', *CLASSES[1:]])
    for colour in [(0, 0, 0), PALETTE[0]]:
        assert has(panel, colour)
    ink = np.flatnonzero((panel[:20] < 128).all(axis=-1).any(axis=0))
    gaps = np.diff(ink)[np.diff(ink) >= GAP]
    assert len(gaps) == 2  # three titles; the space in `ground truth` is narrower
    assert (panel[:, -2:] == 255).all()  # no name runs out of the picture


def test_a_prediction_that_is_no_class_is_an_error(scene):
    image, gt, pred = scene
    with pytest.raises(UserError, match='labels 0 to 2, the data set has 2 classes'):
        prediction_panel(image, gt, pred, PALETTE[:2], CLASSES[:2])


def test_labels_of_another_size_are_an_error(scene):
    image, gt, pred = scene
    with pytest.raises(UserError, match=r'ground truth is \(60, 199\), its image \(60, 200\)'):
        prediction_panel(image, gt[:, 1:], pred, PALETTE, CLASSES)


def test_a_palette_of_another_length_is_an_error(scene):
    with pytest.raises(UserError, match='palette has 3 colours for 4 classes'):
        prediction_panel(*scene, PALETTE[:3], CLASSES)


def test_street_scene(scenes_dir):
    """An image and its label as they lie on the disk: JPEG, and PNG with void."""
    image = np.asarray(Image.open(min((scenes_dir / 'images/val').iterdir())))
    gt = np.asarray(Image.open(min((scenes_dir / 'labels/val').iterdir())))
    pred = np.where(gt == 255, 3, gt)
    panel = prediction_panel(image, gt, pred, None, [f'class {i}' for i in range(11)])
    assert (cut(panel, gt.shape, 0) == image).all()
    truth, predicted = cut(panel, gt.shape, 1), cut(panel, gt.shape, 2)
    differs = (truth != predicted).any(axis=-1)
    assert 0 < differs.sum() < gt.size
    assert (differs == (gt == 255)).all()


def test_pictures_are_named_after_their_images():
    paths = ['/data/b/2.png', '/data/a/1.jpg']
    assert image_file_names(paths) == {'/data/b/2.png': '2.png', '/data/a/1.jpg': '1.png'}


def test_equal_stems_get_different_names_whatever_their_order():
    paths = ['/data/a/1.png', '/data/b/1.png', '/data/b/1.jpg', '/data/b/2.png']
    names = image_file_names(paths)
    assert len(set(names.values())) == 4
    assert all(name.startswith('1-') for path, name in names.items() if '/1.' in path)
    assert names['/data/b/2.png'] == '2.png'
    assert image_file_names(reversed(paths)) == names
