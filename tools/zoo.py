"""The command `mmattn zoo`."""

from mmattn.cli import run_tool

if __name__ == '__main__':
    run_tool('zoo')
