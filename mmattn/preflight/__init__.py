"""What is looked at before time is spent on a run: config, data, model, checkpoint, weights."""

from mmattn.compat import import_mmseg

import_mmseg()
