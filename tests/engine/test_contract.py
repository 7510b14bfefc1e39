"""What mmattn uses of mmengine and mmseg beyond their documented interfaces is still there."""

from functools import reduce
from importlib import import_module
from importlib.metadata import packages_distributions

import pytest

from mmattn.compat import import_mmseg
from mmattn.engine.contract import PRIVATE, PRIVATE_ONEDL

import_mmseg()
ONEDL = packages_distributions()['mmengine'][0].startswith('onedl')


@pytest.mark.parametrize('place', [*PRIVATE, *(PRIVATE_ONEDL if ONEDL else ())])
def test_a_private_name_is_still_there(place):
    module, _, path = place.partition(':')
    use = {**PRIVATE, **PRIVATE_ONEDL}[place]
    try:
        reduce(getattr, path.split('.'), import_module(module))
    except (ImportError, AttributeError) as error:
        pytest.fail(f'{place} is gone ({error}); mmattn used it: {use}')
