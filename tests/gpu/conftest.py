from ..e2e.conftest import command, environment, run, run_tool

__all__ = ['command', 'environment', 'run', 'run_tool']
