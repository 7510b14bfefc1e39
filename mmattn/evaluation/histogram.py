"""The joint histogram of labels and predictions, from which all metrics of areas follow."""

import torch
from torch import Tensor

from mmattn.errors import UserError

_LABEL_VALUES = 256  # of the 8-bit images that labels come from
_REMEDIES = {
    'label': 'mend the file, or the classes and reduce_zero_label of the data set; '
    'what is not to be scored has the ignore_index',
    'prediction': 'set num_classes of the decode head to the classes of the data set',
}


def joint_histogram(
    prediction: Tensor, label: Tensor, num_classes: int, ignore_index: int
) -> Tensor:
    """Pixels of each pair of label and prediction, where the label is not ``ignore_index``.

    One pass over the pixels, exact in integers, on the device of the tensors: the ignored label has
    a row of its own in the histogram, which is dropped at the end. That is faster than to select
    the valid pixels first, which copies both maps.

    Args:
        prediction: Classes, of any shape and real dtype.
        label: Classes and ``ignore_index``, of the same shape.

    Returns:
        int64 of shape (num_classes, num_classes); labels are rows, predictions columns.

    Raises:
        UserError: The shapes differ, or a pixel that counts has a class beyond ``num_classes``.
    """
    if prediction.shape != label.shape:
        raise UserError(
            f'the prediction is {_size(prediction)} and the label {_size(label)}: load labels '
            'after the steps of the pipeline that resize the image'
        )
    prediction, label = prediction.long(), label.long()
    rows = max(num_classes, _LABEL_VALUES)
    if not (_lie_below(num_classes, prediction) and _lie_below(rows, label)):
        # An ignore_index outside of 8 bits, a prediction that does not count, or a mistake.
        valid = label != ignore_index
        prediction, label = prediction[valid], label[valid]
        require_classes('prediction', prediction, num_classes)
        require_classes('label', label, num_classes)

    pairs = torch.add(prediction.flatten(), label.flatten(), alpha=num_classes)
    counts = torch.bincount(pairs, minlength=rows * num_classes).view(rows, num_classes)
    if 0 <= ignore_index < rows:
        counts[ignore_index] = 0
    if counts[num_classes:].any():
        require_classes('label', label[label != ignore_index], num_classes)
    return counts[:num_classes]


def areas(histogram: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Intersection, union, predicted and labelled pixels of each class, in mmseg's order."""
    intersection = histogram.diagonal().clone()  # a view would keep, and send, all of its storage
    predicted, labelled = histogram.sum(0), histogram.sum(1)
    return intersection, predicted + labelled - intersection, predicted, labelled


def require_classes(what: str, values: Tensor, num_classes: int) -> None:
    """Raise UserError unless all values are classes: 0 to ``num_classes - 1``."""
    wrong = values[(values < 0) | (values >= num_classes)]
    if len(wrong):
        found = ', '.join(str(value) for value in wrong.unique()[:5].tolist())
        raise UserError(
            f'{what} {found} (pixels: {len(wrong)}) is no class: the {num_classes} classes of the '
            f'data set are 0 to {num_classes - 1}; {_REMEDIES[what]}'
        )


def _lie_below(stop: int, values: Tensor) -> bool:
    if not values.numel():
        return True
    low, high = torch.stack(values.aminmax()).tolist()
    return low >= 0 and high < stop


def _size(values: Tensor) -> str:
    return 'x'.join(str(size) for size in values.shape)
