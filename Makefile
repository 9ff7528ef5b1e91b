# make setup    the environment, once          make verify   render, verify, record   make test   the fast tests
PYTHON ?= python3
UV_VERSION = 0.13.9
VENV = .venv
# LEMUR's client pins an old torch: it gets an environment of its own (8 GB), for `make lemur` alone.
LEMUR_VENV = .venv-lemur
LEMUR_VERSION = 2.2.11
# What lrgen's integrations are tested with, in environments of their own, for `make integrations` alone. The trainers come
# without what they need to train.
VERIFIERS_VENV = .venv-verifiers
VERIFIERS_VERSION = 0.4.0
TRAINERS_VENV = .venv-trainers
TRAINERS = verl==0.9.1 openrlhf==0.11.2 ms-swift==4.6.0
TRAINERS_NEED = codetiming json_repair modelscope omegaconf peft pylatexenc tensordict
# Lightning trains the schedules of `make matrix` alone; the other trainers there have the versions of the lock.
MATRIX_VENV = .venv-matrix
LIGHTNING_VERSION = 2.6.6
# The clients that read datasets, each in an environment .venv-NAME of its own (6 GB, most of it Axolotl's torch).
DATASETS_VERSION = 5.2.0
TRL_VERSION = 1.16.0
LLAMAFACTORY_VERSION = 0.9.5
AXOLOTL_VERSION = 0.19.0
MLCROISSANT_VERSION = 1.1.1
CLIENTS = datasets mlcroissant trl llamafactory axolotl
BIN = $(VENV)/bin
VARIANTS ?= 1-50
DATASET ?= dataset
COMPOSITIONS ?= 102400
LARGE ?= build/large
MODEL ?=
WORKERS ?= 2
# Files stay together on one process, the tests of a network too. The oracles of tests/curves start threads, which must
# not see the harness fork: they get processes of their own.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
NETWORKS = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/architectures
# A fast test that hangs ends the run, with its name and its stack (faulthandler_timeout in pyproject.toml).
FAST = -m "not slow" --max-worker-restart 0 -o faulthandler_exit_on_timeout=true
# The imports here are large: let Python keep its bytecode, whatever the caller's shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup verify verify-grid dataset dataset-large test test-all lemur integrations clients lint bench bench-gpu gpu-wheels docs schedules matrix golden lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "lrgen needs Python 3.11 or later: '$(PYTHON)' is not on the PATH (make PYTHON=/path/to/python3.11)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lrgen needs Python 3.11 or later, '$(PYTHON)' is $$($(PYTHON) -V 2>&1) (make PYTHON=/path/to/python3.11)"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "lrgen needs Python's venv module (on Debian: apt install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

verify: setup
	$(BIN)/lrgen verify $(if $(filter all,$(VARIANTS)),,$(addprefix --variant ,$(VARIANTS))) $(addprefix --model ,$(MODEL))

# A first dataset, of files whose schedules were checked and that were not trained.
dataset: setup
	$(BIN)/lrgen verify --stage schedule $(if $(filter all,$(VARIANTS)),,$(addprefix --variant ,$(VARIANTS))) $(addprefix --model ,$(MODEL))
	@test ! -e $(DATASET) || { echo "$(DATASET) is there already: make dataset DATASET=another, or remove it"; exit 2; }
	$(BIN)/lrgen dataset build --level schedule --out $(DATASET) $(if $(filter all,$(VARIANTS)),,$(addprefix --variant ,$(VARIANTS))) $(addprefix --model ,$(MODEL))
	@echo "$(DATASET): every schedule was compared with its curve, no network was trained (--level schedule)"

# Rows of compositions alone; an interrupted build goes on when the command is run again.
dataset-large: setup
	$(BIN)/lrgen dataset build --no-files --compositions $(COMPOSITIONS) --out $(LARGE) --format messages

verify-grid: setup
	$(BIN)/lrgen verify --all --stage schedule --db sqlite:///grid.db >/dev/null; status=$$?; \
	$(BIN)/lrgen results grid --db sqlite:///grid.db; exit $$status

test: setup
	$(BIN)/lrgen render --check
	$(PYTEST) $(FAST) tests/curves
	$(NETWORKS) $(FAST)
	$(PYTEST) $(FAST) --ignore tests/curves --ignore tests/architectures

test-all: setup lint
	$(BIN)/lrgen render --check
	$(PYTEST) tests/curves
	$(NETWORKS)
	$(PYTEST) --ignore tests/curves --ignore tests/architectures

lemur: $(LEMUR_VENV)/.ready
	LRGEN_LEMUR_PYTHON=$(abspath $(LEMUR_VENV))/bin/python $(BIN)/python -m pytest tests/lemur

$(LEMUR_VENV)/.ready: | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LEMUR_VENV)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(LEMUR_VENV)/bin/python nn-dataset==$(LEMUR_VERSION) pylint
	@touch $@

integrations: $(VERIFIERS_VENV)/.ready $(TRAINERS_VENV)/.ready $(MATRIX_VENV)/.ready clients
	PYTHONPATH=. $(VERIFIERS_VENV)/bin/python -m pytest integrations/verifiers
	PYTHONPATH=. $(TRAINERS_VENV)/bin/python -m pytest integrations/trainers
	PYTHONPATH=. $(MATRIX_VENV)/bin/python -m pytest tests/schedules/test_anywhere.py

# The environments of LLaMA-Factory and Axolotl have older versions of datasets.
clients: $(CLIENTS:%=.venv-%/.ready)
	PYTHONPATH=. $(BIN)/python -m integrations.clients.dataset build/clients
	for client in $(CLIENTS); do PYTHONPATH=. .venv-$$client/bin/python -m pytest integrations/clients/test_$$client.py || exit 1; done
	for client in llamafactory axolotl; do PYTHONPATH=. .venv-$$client/bin/python -m pytest integrations/clients/test_datasets.py || exit 1; done

.venv-datasets/.ready: PACKAGES = datasets==$(DATASETS_VERSION)
.venv-trl/.ready: PACKAGES = -c requirements.lock --editable . trl==$(TRL_VERSION)
.venv-llamafactory/.ready: PACKAGES = llamafactory==$(LLAMAFACTORY_VERSION)
.venv-axolotl/.ready: PACKAGES = axolotl==$(AXOLOTL_VERSION)
.venv-mlcroissant/.ready: PACKAGES = "mlcroissant[parquet]==$(MLCROISSANT_VERSION)"
$(CLIENTS:%=.venv-%/.ready): .venv-%/.ready: requirements.lock | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-$*
	$(BIN)/uv pip install --quiet --python .venv-$*/bin/python $(PACKAGES) pytest
	@touch $@

$(VERIFIERS_VENV)/.ready: integrations/verifiers/pyproject.toml requirements.lock | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VERIFIERS_VENV)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VERIFIERS_VENV)/bin/python -c requirements.lock \
		--editable . --editable integrations/verifiers verifiers==$(VERIFIERS_VERSION) uv pytest hypothesis
	@touch $@

$(TRAINERS_VENV)/.ready: requirements.lock | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TRAINERS_VENV)
	$(BIN)/uv pip install --quiet --python $(TRAINERS_VENV)/bin/python -r requirements.lock $(TRAINERS_NEED)
	$(BIN)/uv pip install --quiet --python $(TRAINERS_VENV)/bin/python --no-deps --editable . $(TRAINERS)
	rm -rf $(TRAINERS_VENV)/lib/python3.*/site-packages/tests  # two of them install theirs, which would hide ours
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# AGAINST=CHECKOUT also compares the checks with those of another checkout.
bench: setup
	$(BIN)/python -m benchmarks $(addprefix --against ,$(AGAINST))

# On the machine with the GPU, which has a torch of its own: $(PYTHON) runs it, what it lacks comes from build/wheels.
bench-gpu:
	@$(PYTHON) -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "make bench-gpu needs a GPU: torch sees none")'
	$(PYTHON) -m venv --system-site-packages build/gpu
	build/gpu/bin/python -m pip install --quiet --no-index --find-links build/wheels --no-deps build/wheels/*.whl
	PYTHONPATH=. build/gpu/bin/python -m benchmarks.gpu

# For bench-gpu, on a machine with a network: everything but torch, for the other machine's Python.
GPU_PYTHON ?= 3.12
gpu-wheels: setup
	grep -vE '^(torch|torchvision|nvidia|triton|jax|ray|keras|megatron|transformers|timm)' requirements.lock > build/gpu.txt
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) --dest build/wheels -r build/gpu.txt

docs: setup
	$(BIN)/python -m docs.build

# The generated modules of lrgen.schedules.
schedules: setup
	$(BIN)/python -m lrgen.render.library

# Every schedule in every trainer; some: PYTHONPATH=. .venv-matrix/bin/python -m docs.anywhere NAME ...
matrix: $(MATRIX_VENV)/.ready
	PYTHONPATH=. $(MATRIX_VENV)/bin/python -m docs.anywhere

$(MATRIX_VENV)/.ready: requirements.lock | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(MATRIX_VENV)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(MATRIX_VENV)/bin/python -c requirements.lock \
		--editable . lightning==$(LIGHTNING_VERSION) accelerate timm transformers pytest hypothesis
	@touch $@

lock:
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --output-file requirements.lock

clean:
	rm -rf $(VENV) $(LEMUR_VENV) $(VERIFIERS_VENV) $(TRAINERS_VENV) $(MATRIX_VENV) $(CLIENTS:%=.venv-%) .pytest_cache .mypy_cache .ruff_cache build dist
