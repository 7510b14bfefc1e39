"""Synthetic tasks that show what a mechanism can carry. They need torch alone.

A map of 24 x 24 pixels goes through a net of four local convolutions with the mechanism in the
middle. The class of the pixels that count is decided by something outside the field of the
convolutions, so that only the mechanism can bring it; chance is 50 %. Nine probes differ in what
has to be brought: see `PROBES`.
"""

from mmattn.probes.net import WIDTH, ProbeNet, build_net
from mmattn.probes.table import NO_MECHANISM, PROBES, VARIANTS, Probe
from mmattn.probes.training import STEPS, Outcome, run_probe

__all__ = [
    'NO_MECHANISM',
    'PROBES',
    'STEPS',
    'VARIANTS',
    'WIDTH',
    'Outcome',
    'Probe',
    'ProbeNet',
    'build_net',
    'run_probe',
]
