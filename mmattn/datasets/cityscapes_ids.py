"""The ids that the label files of Cityscapes have, and its test server takes."""

from collections.abc import Sequence

from mmseg.datasets import CityscapesDataset

from mmattn.errors import UserError


def cityscapes_ids(classes: Sequence[str]) -> list[int]:
    """The id of each of the 19 classes: 7 for road, 33 for bicycle.

    Raises:
        UserError: The classes are not those of Cityscapes, or its scripts are not installed.
    """
    try:
        from cityscapesscripts.helpers.labels import trainId2label
    except ImportError as error:
        raise UserError(
            'ids of Cityscapes need its scripts: pip install cityscapesscripts'
        ) from error
    names = CityscapesDataset.METAINFO['classes']
    if tuple(classes) != tuple(names):
        raise UserError(
            f'ids of Cityscapes are for its {len(names)} classes, and the model knows '
            f'{len(classes)}: {", ".join(classes[:3])}, ...'
        )
    return [trainId2label[label].id for label in range(len(names))]
