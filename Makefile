# `make` alone prints the targets. STACK picks the distributions of mmengine, mmcv and mmsegmentation.
STACK ?= onedl
PYTHON ?= python3
MMATTN_CACHE ?= $(HOME)/.cache/mmattn
DEMO_CONFIG ?= configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py
DEMO_DIR := work_dirs/demo
TESTS ?=

# In a log file pip's lines for each package are noise; on a terminal they show that it goes on.
PIP_QUIET := $(if $(MAKE_TERMOUT),,--quiet)

VENV_onedl := .venv
VENV_openmmlab := .venv-openmmlab
VENV_docs := .venv-docs
VENV := $(VENV_$(STACK))
ifeq ($(VENV),)
$(error STACK is 'onedl' or 'openmmlab', not '$(STACK)')
endif
PY := $(VENV)/bin/python
# A core for each process: most of a test is Python, which uses one.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(PY) -m pytest -n auto --maxprocesses 4
# Exist only after complete steps; whatever an interrupted set-up left is removed by the next.
STACKED := $(VENV)/.set-up
READY := $(VENV)/.mmattn
# Over $(VENV), and not in it: gradio takes an older pillow than the stack is pinned to.
WEB := $(VENV)-web
WEB_READY := $(WEB)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow docs lint format

help:
	@echo 'make demo    set up, train and evaluate a small model on generated scenes (CPU, minutes)'
	@echo 'make test    set up, then lint and tests; TESTS=tests/models for a part'
	@echo 'make test-slow  set up, then the tests that take minutes'
	@echo 'make docs    the pages of docs/ as a site, in an environment of its own'
	@echo 'make lint    ruff: rules and formatting'
	@echo 'make format  let ruff rewrite the files'
	@echo 'make setup   only the set-up: a virtual environment in $(VENV)'
	@echo 'make web     what `mmattn demo` and its tests need besides, in $(WEB)'
	@echo
	@echo 'STACK=onedl (default, .venv) or STACK=openmmlab (upstream distributions, .venv-openmmlab;'
	@echo 'compiles mmcv once and keeps it in MMATTN_CACHE=$(MMATTN_CACHE))'
	@echo 'PYTHON=python3.11 picks the Python, 3.10 to 3.13, of a new environment'

setup: $(READY)
	@echo 'ready: $(VENV)'

$(STACKED): $(wildcard requirements/$(STACK)*.lock)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "error: mmattn needs Python 3.10 to 3.13, which $(PYTHON) is not:" \
	        "name another one, as in \`make setup PYTHON=python3.11\`" >&2; exit 2; }
	@echo '== set-up 1/3: new virtual environment $(VENV) (seconds)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@echo '== set-up 2/3: the pinned $(STACK) stack (1 to 10 minutes, most of it the download of torch)'
	@$(MAKE) --no-print-directory install-$(STACK)
	@$(PY) -c 'import cv2' || { echo 'error: OpenCV lacks system libraries; on Debian or Ubuntu:' \
	    'apt-get install libgl1 libglib2.0-0' >&2; exit 2; }
	@touch $@

$(READY): $(STACKED) setup.py $(shell find mmattn/ops/csrc -type f)
	@echo '== set-up 3/3: mmattn, editable, and its operators compiled (under a minute)'
	@$(PY) -m pip install --quiet --no-build-isolation --no-deps --editable .
	@$(PY) -m pip check
	@$(PY) -m mmattn.ops
	@touch $@

.PHONY: web
web: $(WEB_READY)
	@echo 'ready: $(WEB); $(WEB)/bin/python -m mmattn.cli demo'

$(WEB_READY): requirements/web.lock | $(READY)
	@echo '== the web page: gradio, and playwright for its tests, in $(WEB) (a minute)'
	@rm -rf $(WEB)
	@$(PY) -m venv --without-pip $(WEB)
	@$(PY) -m pip --python $(WEB)/bin/python install $(PIP_QUIET) --no-deps -r requirements/web.lock
	@$(PY) -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" % s.get_path("purelib"))' \
	    > "$$($(WEB)/bin/python -c 'import sysconfig as s; print(s.get_path("purelib"))')/stack.pth"
	@$(WEB)/bin/python -c 'import gradio, mmengine'
	@touch $@

.PHONY: install-onedl install-openmmlab
install-onedl:
	@$(PY) -m pip install $(PIP_QUIET) -r requirements/onedl.lock

# Only the compiled wheel will do: pip's own cache may hold one made for another torch.
install-openmmlab:
	@$(PY) -m pip install $(PIP_QUIET) -r requirements/openmmlab-build.lock
	@wheels=$$(requirements/build_mmcv.sh $(VENV) '$(MMATTN_CACHE)') && \
	    $(PY) -m pip install $(PIP_QUIET) --only-binary mmcv --find-links "$$wheels" -r requirements/openmmlab.lock

demo: $(READY)
	@echo '== demo 1/3: generated scenes (seconds)'
	@$(PY) tools/prepare_data.py toy
	@echo '== demo 2/3: training $(notdir $(DEMO_CONFIG)) on the CPU (2 to 8 minutes on 2 cores)'
	@rm -rf $(DEMO_DIR)
	@CUDA_VISIBLE_DEVICES= $(PY) tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO_DIR) --amp
	@echo '== demo 3/3: evaluation (seconds)'
	@CUDA_VISIBLE_DEVICES= $(PY) tools/test.py $(DEMO_CONFIG) $(DEMO_DIR)/best_*.pth --work-dir $(DEMO_DIR)/test \
	    --show-dir $(DEMO_DIR)/predictions
	@echo
	@echo 'The demo is done. Look at'
	@echo '  the work dir          $(DEMO_DIR)'
	@echo "  the mIoU table        above, and in $$(ls $(DEMO_DIR)/test/*/*.log)"
	@echo '  loss and mIoU curves  $(DEMO_DIR)/curves.png'
	@echo "  the predictions       $(DEMO_DIR)/predictions (image | ground truth | prediction)"

test: lint
	@echo '== tests on the $(STACK) stack'
	@$(PYTEST) --dist loadfile --no-loadscope-reorder $(TESTS)

test-slow: $(READY)
	@$(PYTEST) --dist worksteal -m slow $(TESTS)

docs: $(VENV_docs)/.set-up
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(VENV_docs)/bin/mkdocs build --strict --quiet
	@echo 'the site: site/index.html; as it changes: $(VENV_docs)/bin/mkdocs serve'

$(VENV_docs)/.set-up: requirements/docs.txt
	@rm -rf $(VENV_docs)
	@$(PYTHON) -m venv $(VENV_docs)
	@$(VENV_docs)/bin/python -m pip install --quiet -r $<
	@touch $@

lint: $(READY)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(READY)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .
