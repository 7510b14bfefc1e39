"""mmattn: attention mechanisms for semantic segmentation on PyTorch and MMSegmentation.

Importing this package alone imports neither; `mmattn.attention` and `mmattn.ops` need torch,
everything else MMSegmentation.
"""

__version__ = '0.1.0'
