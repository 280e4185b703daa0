# mcp-relay: `make run` shows it at work, `make test` proves it.
#
# Every goal installs what it lacks from Debian's packages (see .ci/deps). A
# build variant has its own tree: `make VARIANT=asan` builds build/asan/.

VERSION := 0.1.0

# Compiler and flags ---------------------------------------------------------

VARIANT ?= release
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PYTHON ?= /usr/bin/python3

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wswitch-enum -Wformat=2 -Wvla
WERROR ?= $(if $(CI),-Werror)
HARDEN := -fPIE -fstack-protector-strong -fno-plt
# As needed: a program names only the libraries that it calls.
HARDEN_LD := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

OPT.release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
OPT.asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
LD.asan := -fsanitize=address,undefined
OPT.tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
LD.tsan := -fsanitize=thread

OUT := build/$(VARIANT)
BIN := $(if $(filter release,$(VARIANT)),bin,$(OUT)/bin)

CPPFLAGS += -D_GNU_SOURCE -DMCP_VERSION='"$(VERSION)"' -I.
CFLAGS += -std=gnu11 $(WARN) $(WERROR) $(HARDEN) $(OPT.$(VARIANT))
LDFLAGS += $(HARDEN_LD) $(LD.$(VARIANT))

LIBS_COMMON := -levent_openssl -levent_core -levent_extra -lhiredis -lmsgpackc \
	-lssl -lcrypto -lm
LIBS_PROXY := -levent_pthreads -lcjson -lcurl -lpq -lm -lpthread
LIBS_WORKER := -lcjson -lpcre2-8 -lcurl -lm -lpthread
# What one API links besides.
LIBS.postgres := -lpq -lpg_query
LIBS.openapi := -lyaml
LIBS_CHECK := -lcheck -lsubunit -lrt -lm -lpthread

# Sources --------------------------------------------------------------------
# A module is a .c and a .h; a folder under worker/ is an API, but for
# runtime and json, which all share; a file
# tests/unit/test_*.c is a test binary. Nothing is listed twice.

COMMON_SRC := $(wildcard common/*.c)
PROXY_SRC := $(filter-out proxy/main.c,$(wildcard proxy/*.c))
RUNTIME_SRC := $(wildcard worker/runtime/*.c worker/json/*.c)
# What of an API's folder fuzz targets link too.
OPENAPI_SRC := $(filter-out worker/openapi/openapi.c,$(wildcard worker/openapi/*.c))
STDIO_SRC := $(addprefix worker/stdio/,capabilities.c command.c inventory.c lines.c server.c \
	server_requests.c text.c watches.c)
APIS := $(filter-out runtime json,$(notdir $(patsubst %/,%,$(wildcard worker/*/))))
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))

obj = $(patsubst %.c,$(OUT)/%.o,$(1))
WORKERS := $(patsubst %,$(BIN)/mcp-worker-%,$(APIS) conformance)
PROGRAMS := $(BIN)/mcp-proxy $(BIN)/mcpctl $(WORKERS)

.PHONY: all deps run test unit blackbox interop bench asan fuzz fuzz-smoke lint \
	format clean help
.DEFAULT_GOAL := all
.SECONDARY:

all: deps programs ## build bin/ (the default)
.PHONY: programs
programs: $(PROGRAMS)

help: ## list the goals
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

# Packages that a goal needs are installed once; the stamp follows the list.
DEPS_STAMP := build/.deps
deps: $(DEPS_STAMP)
$(DEPS_STAMP): .ci/deps
	@mkdir -p build
	@.ci/deps build
	@touch $@

# Programs -------------------------------------------------------------------

$(OUT)/%.o: %.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/libcommon.a: $(call obj,$(COMMON_SRC))
$(OUT)/libproxy.a: $(call obj,$(PROXY_SRC))
$(OUT)/libworker.a: $(call obj,$(RUNTIME_SRC))
# What an API's unit tests link: its folder without the file that defines it.
api_src = $(filter-out worker/$(1)/$(1).c,$(wildcard worker/$(1)/*.c))
$(foreach api,$(APIS),$(eval $(OUT)/api-$(api).a: $(call obj,$(call api_src,$(api)))))
API_ARCHIVES := $(foreach api,$(APIS),$(if $(call api_src,$(api)),$(OUT)/api-$(api).a))
$(OUT)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

$(BIN)/mcp-proxy: $(call obj,proxy/main.c) $(OUT)/libproxy.a $(OUT)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LIBS_COMMON) $(LIBS_PROXY) -o $@

$(BIN)/mcpctl: $(call obj,$(wildcard proxy/mcpctl/*.c)) $(OUT)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LIBS_COMMON) -lpq -o $@

define worker_rule
$(BIN)/mcp-worker-$(1): $(call obj,$(wildcard $(2)/*.c)) $(OUT)/libworker.a $(OUT)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) $$^ $$(LIBS_COMMON) $$(LIBS_WORKER) $(LIBS.$(1)) -o $$@
endef
$(foreach api,$(APIS),$(eval $(call worker_rule,$(api),worker/$(api))))
$(eval $(call worker_rule,conformance,tests/conformance))

# Tests ----------------------------------------------------------------------

$(OUT)/libunit.a: $(call obj,$(wildcard tests/unit/*/*.c))
$(OUT)/tests/unit/%: $(OUT)/tests/unit/%.o $(OUT)/libunit.a $(OUT)/libproxy.a $(API_ARCHIVES) $(OUT)/libworker.a $(OUT)/libcommon.a
	$(CC) $(LDFLAGS) $^ $(LIBS_COMMON) $(LIBS_PROXY) $(LIBS_WORKER) $(foreach api,$(APIS),$(LIBS.$(api))) $(LIBS_CHECK) -o $@

UNIT_BIN := $(UNIT:%=$(OUT)/tests/unit/%)

test: deps ## unit tests and black-box tests, on Debian's packages alone
	@$(MAKE) --no-print-directory programs $(UNIT_BIN)
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/run_tests.py unit blackbox
unit: deps
	@$(MAKE) --no-print-directory $(UNIT_BIN)
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/run_tests.py unit
blackbox: deps
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/run_tests.py blackbox

asan: deps ## the same tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan test

# Of the black-box tests those whose workers have threads.
tsan: deps ## worker threads under ThreadSanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan build/tsan/tests/unit/test_pool \
		build/tsan/bin/mcp-worker-conformance
	@build/tsan/tests/unit/test_pool
	@BIN=build/tsan/bin OUT=build/tsan PYTEST_ARGS="-k worker_threads" \
		$(PYTHON) tests/run_tests.py blackbox
.PHONY: tsan

interop: deps ## real MCP clients, the official suite, GitHub's description
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/run.py
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/official.py
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/github.py
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/bridged.py

endurance: deps ## a minute's freeze, a network cut, ten thousand streams
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/run_tests.py endurance

recovery: deps ## TypeScript SDK clients while proxies are killed and stopped
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/recovery.py $(RECOVERY_ARGS)
long-call: deps ## a call of 150 s through a load balancer, with real clients
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/interop/long_call.py
.PHONY: long-call
PROXY_KILLS ?= 200
SOAK_MINUTES ?= 20
KILLS ?= 500
soak: deps ## PROXY_KILLS kills and stops and SOAK_MINUTES at least, KILLS of workers
	@$(MAKE) --no-print-directory recovery \
		RECOVERY_ARGS='--kills $(PROXY_KILLS) --stops $(PROXY_KILLS) --minutes $(SOAK_MINUTES)'
	@BIN=$(BIN) OUT=$(OUT) KILLS=$(KILLS) TEST_JOBS=0 PYTEST_ARGS="-s -k worker_kills_under_load" \
		$(PYTHON) tests/run_tests.py blackbox
.PHONY: endurance recovery soak

BENCH_BIN := $(BENCH:%=$(OUT)/tests/bench/%)
$(OUT)/libbench.a: $(call obj,$(wildcard tests/bench/*/*.c))
$(OUT)/tests/bench/%: $(OUT)/tests/bench/%.o $(OUT)/libbench.a $(OUT)/libcommon.a
	$(CC) $(LDFLAGS) $^ $(LIBS_COMMON) -o $@

poison: deps ## what calls that kill their worker cost those beside them
	@$(MAKE) --no-print-directory programs $(OUT)/tests/bench/loadgen
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/bench/poison.py $(POISON_ARGS)
.PHONY: poison
isolation: deps ## what an API whose workers are frozen or gone costs the others
	@$(MAKE) --no-print-directory programs $(OUT)/tests/bench/loadgen
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/bench/isolation.py $(ISOLATION_ARGS)
.PHONY: isolation
$(OUT)/tests/schema/judge: $(OUT)/tests/schema/judge.o $(OUT)/libworker.a $(OUT)/libcommon.a
	$(CC) $(LDFLAGS) $^ $(LIBS_COMMON) $(LIBS_WORKER) -o $@
schema-suite: deps ## the checker of arguments beside JSON-Schema-Test-Suite, a clone of which is in SUITE
	@$(MAKE) --no-print-directory $(OUT)/tests/schema/judge
	@$(PYTHON) tests/schema/suite.py $(OUT)/tests/schema/judge $(SUITE)
.PHONY: schema-suite

bench: deps ## the table of docs/BENCHMARKS.md, beside the peers
	@$(MAKE) --no-print-directory programs $(BENCH_BIN)
	@BIN=$(BIN) OUT=$(OUT) $(PYTHON) tests/bench/run.py $(BENCH_ARGS)
bench-smoke: deps ## a short run of the same, to see that it works
	@$(MAKE) --no-print-directory bench BENCH_ARGS=--smoke
	@$(MAKE) --no-print-directory poison POISON_ARGS='--poisons 3 --seconds 9'
	@$(MAKE) --no-print-directory isolation ISOLATION_ARGS='--seconds 5'
.PHONY: bench-smoke

# Fuzz targets need clang's libFuzzer.
FUZZ_OUT := build/fuzz
FUZZ_SECONDS ?= 20
FUZZ_BIN := $(FUZZ:%=$(FUZZ_OUT)/%)
FUZZ_SRC := $(COMMON_SRC) $(PROXY_SRC) $(OPENAPI_SRC) $(STDIO_SRC) \
	$(filter-out worker/runtime/main.c,$(RUNTIME_SRC))
fuzz: deps
	@.ci/deps fuzz
	@$(MAKE) --no-print-directory $(FUZZ_BIN)
$(FUZZ_OUT)/%.o: %.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	clang $(CPPFLAGS) -std=gnu11 $(WARN) -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all -MMD -MP -c $< -o $@
$(FUZZ_OUT)/libfuzzed.a: $(FUZZ_SRC:%.c=$(FUZZ_OUT)/%.o)
	@rm -f $@
	ar rcs $@ $^
$(FUZZ_OUT)/fuzz_%: $(FUZZ_OUT)/tests/fuzz/fuzz_%.o $(FUZZ_OUT)/libfuzzed.a
	clang -fsanitize=fuzzer,address,undefined $^ $(LIBS_COMMON) $(LIBS_PROXY) $(LIBS_WORKER) $(LIBS.openapi) -o $@
fuzz-smoke: fuzz ## each fuzz target for FUZZ_SECONDS on its corpus
	@OUT=$(FUZZ_OUT) FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) tests/run_tests.py fuzz

# Looks ----------------------------------------------------------------------

print-cflags: # quoted for a shell, for .ci/lint
	@:$(info $(CPPFLAGS) $(CFLAGS))
print-build: # the same for a test that builds an API of its own: flags, libraries
	@:$(info $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))$(info $(OUT)/libworker.a \
		$(OUT)/libcommon.a $(LIBS_COMMON) $(LIBS_WORKER))
.PHONY: print-cflags print-build
lint: deps ## gcc and clang without a warning, clang-tidy, cppcheck, headers alone
	@.ci/lint
format: ## rewrite FILES with clang-format
	clang-format -i $(FILES)

run: deps ## a whole system on this machine: Redis, proxies, workers, load balancer
	@$(MAKE) --no-print-directory programs
	@BIN=$(BIN) OUT=build $(PYTHON) tests/local/run.py

clean: ## remove bin/ and build/
	rm -rf bin build

-include $(shell find build -name '*.d' 2>/dev/null)
