"""Labels of images, held against those of what is trusted."""

from torch import Tensor

CHECKED = 3  # images, at least
EQUAL = 0.99  # of their labels


class Agreement:
    """Counts how many labels are equal; three images are enough to trust what predicts them.

    Args:
        needed: Share of them that must be equal, 0 to 1.
    """

    def __init__(self, needed: float = EQUAL) -> None:
        self._needed = needed
        self._images = self._equal = self._pixels = 0

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        """The labels of one more image, of any one shape."""
        self._images += 1
        self._equal += int((ours == theirs).sum())
        self._pixels += ours.numel()

    @property
    def share(self) -> float:
        """Of the labels that are equal, 0 to 1."""
        return self._equal / self._pixels

    @property
    def fails(self) -> bool:
        """Whether too few are equal."""
        return self._equal < self._needed * self._pixels

    @property
    def holds(self) -> bool:
        """Whether enough images were seen, and enough of their labels are equal."""
        return self._images >= CHECKED and not self.fails
