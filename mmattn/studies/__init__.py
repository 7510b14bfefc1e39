"""Comparisons of variants over seeds: planned, run, resumed after a kill, and reported.

A study is a config file in `configs/studies/`. `mmattn.studies.plan` reads it, `ablation` runs it,
`report` says what came out. Importing this package alone imports nothing heavy: each run of a study
starts through it.
"""
