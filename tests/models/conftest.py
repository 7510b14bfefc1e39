"""The models are built from mmseg's registry, as a config does."""

from mmseg.utils import register_all_modules

register_all_modules(init_default_scope=True)
