# Everything the house needs. The two commands to know: `make run` and `make test`.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
APT := curl chromium gcc libc6-dev fonts-noto-cjk fonts-noto-color-emoji postgresql redis-server sqlite3 nginx-light haproxy systemd \
	strace prometheus iproute2 iptables faketime bindfs ffmpeg libnginx-mod-rtmp gstreamer1.0-tools \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad simple-whip-client firefox-esr coturn

.PHONY: run test check format proof bench bench-media fuzz debian clean
.DEFAULT_GOAL := run

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

run: $(VENV)/installed  ## start the server with embedded defaults and demo rooms
	$(BIN)/galaxy-live serve --dev --port $(PORT)

check: $(VENV)/installed-dev  ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

debian:
	@missing=$$(for p in $(APT); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then sudo=$$([ $$(id -u) = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q $$missing; fi

# Four at a time also where there are two cores: half of what tests do is to wait.
test: $(VENV)/installed-dev  ## everything, in under 15 minutes
	@$(MAKE) --no-print-directory --jobs 2 --output-sync check debian
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

proof: $(VENV)/installed-dev debian  ## the long forms of what tests show in short; dated results in docs/proof/
	$(BIN)/python -m tests.faults.kill --rounds 200
	$(BIN)/python -m tests.faults.matrix --rounds 20
	$(BIN)/python -m tests.faults.rolling --rounds 100
	$(BIN)/python -m tests.media.latency --seconds 60
	$(BIN)/python -m tests.media.networks --seconds 30
	$(BIN)/python -m tests.media.sync --minutes 30
	@$(MAKE) --no-print-directory debian APT="$$(command -v npm >/dev/null || echo nodejs npm)"
	$(BIN)/python -m tests.media.obs --minutes 10
	$(BIN)/python -m tests.media.destinations --rounds 5
	$(BIN)/python -m tests.media.stops --rounds 20
	$(BIN)/python -m tests.loadtest.planted_faults
	$(BIN)/python -m loadtest soak --out artefacts/loadtest/soak
	$(BIN)/python -m tests.media.cycles --cycles 1000

bench: $(VENV)/installed-dev  ## beside other servers, into docs/performance.md, then bench-media; two idle cores, about an hour
	@$(MAKE) --no-print-directory debian APT="nats-server gcc libc6-dev libuv1 zlib1g $$(command -v npm >/dev/null || echo nodejs npm)"
	$(BIN)/python -m loadtest.bench --docs docs
	@$(MAKE) --no-print-directory bench-media

bench-media: $(VENV)/installed-dev debian  ## what media costs, into docs/media.md; as root, two idle cores, about 10 minutes
	$(BIN)/python -m tests.costs.whep_network --docs docs
	$(BIN)/python -m tests.costs.stream --tls --rtmp --docs docs
	$(BIN)/python -m tests.costs.ingest --docs docs
	$(BIN)/python -m tests.costs.chat_beside --docs docs

fuzz: $(VENV)/installed-dev  ## every parser for a minute
	$(BIN)/python -m tests.fuzz.frames --seconds 60
	$(BIN)/python -m tests.fuzz.commands --seconds 60
	$(BIN)/python -m tests.fuzz.http_head --seconds 60
	$(BIN)/python -m tests.fuzz.rtmp --seconds 60
	$(BIN)/python -m tests.fuzz.amf --seconds 60
	$(BIN)/python -m tests.fuzz.flv --seconds 60
	$(BIN)/python -m tests.fuzz.rtp --seconds 60
	$(BIN)/python -m tests.fuzz.stun --seconds 60
	$(BIN)/python -m tests.fuzz.sdp --seconds 60

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis artefacts
