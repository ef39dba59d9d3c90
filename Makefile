# MailShadow: `make` builds the three programs, `make check` proves them. B is the build directory.
B       ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
CLANG   ?= clang
PREFIX  ?= /usr/local
# Where the configuration is, and logrotate's folder: /etc, wherever the programs go.
SYSCONFDIR ?= /etc
DESTDIR ?=
PYTHON  ?= /usr/bin/python3

WARN    = -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wformat-signedness -Wstrict-prototypes \
          -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wpointer-arith -Wundef
HARDEN  = -O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
          -fcf-protection -ftrivial-auto-var-init=zero -fPIE
LDHARD  = -pie -Wl,-z,relro,-z,now,-z,noexecstack
CFLAGS  ?= -g $(HARDEN)
LDFLAGS ?= $(LDHARD)
BASE    = -std=c11 -D_GNU_SOURCE $(WARN) -MMD -MP $(EXTRA) \
          -DMS_LIBEXECDIR='"$(PREFIX)/lib/mailshadow"' $(shell pkg-config --cflags expat)

COMMON     := $(wildcard common/*.c)
SUPERVISOR := $(wildcard supervisor/*.c)
CTL        := $(wildcard supervisor/ctl/*.c)
METRICS    := $(wildcard supervisor/metrics/*.c)
WORKER     := $(wildcard worker/*.c worker/sync/*.c worker/data/*.c worker/net/*.c worker/imap/*.c worker/local/*.c \
              worker/http/*.c worker/dav/*.c worker/ews/*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))
LIBS_COMMON     = -Wl,--as-needed $(shell pkg-config --libs expat libzmq sqlite3 jansson) -lcrypto
LIBS_SUPERVISOR = $(LIBS_COMMON)
LIBS_WORKER     = $(LIBS_COMMON) -lssl -lresolv $(shell pkg-config --libs libseccomp)
LIBS_CTL        = $(LIBS_COMMON)

LIBS_METRICS    = -Wl,--as-needed $(shell pkg-config --libs libmicrohttpd jansson libseccomp)

PROGRAMS = $(B)/mailshadowd $(B)/mailshadow-worker $(B)/mailshadow $(B)/mailshadow-metrics

all: $(PROGRAMS)

$(B)/libcommon.a: $(call obj,$(COMMON))
$(B)/libworker.a: $(call obj,$(filter-out worker/main.c,$(WORKER)))
$(B)/libsupervisor.a: $(call obj,$(filter-out supervisor/main.c,$(SUPERVISOR)))
$(B)/libctl.a: $(call obj,$(filter-out supervisor/ctl/main.c,$(CTL)))
$(B)/libmetrics.a: $(call obj,$(filter-out supervisor/metrics/main.c,$(METRICS)))
$(B)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(B)/mailshadowd: $(B)/supervisor/main.o $(B)/libsupervisor.a $(B)/libcommon.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_SUPERVISOR)
$(B)/mailshadow-worker: $(B)/worker/main.o $(B)/libworker.a $(B)/libcommon.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_WORKER)
$(B)/mailshadow: $(B)/supervisor/ctl/main.o $(B)/libctl.a $(B)/libcommon.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CTL)

$(B)/mailshadow-metrics: $(B)/supervisor/metrics/main.o $(B)/libmetrics.a $(B)/libcommon.a
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_METRICS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	@$(CC) $(BASE) $(CFLAGS) -c -o $@ $<

# --- variants: the same programs and unit tests in a directory of their own ---
TESTFLAGS = -g -O1 -DMS_TESTING
test-build:
	@$(MAKE) B=$(B)/test CFLAGS="$(TESTFLAGS)" LDFLAGS= all unit-build $(B)/test/sim/stubworker
ASANFLAGS = -g -O1 -DMS_TESTING -DMS_NO_JAIL -fno-omit-frame-pointer -fsanitize=address
asan:
	@$(MAKE) B=$(B)/asan CFLAGS="$(ASANFLAGS)" EXTRA=-Wno-maybe-uninitialized LDFLAGS=-fsanitize=address unit
UBSANFLAGS = -g -O1 -DMS_TESTING -DMS_NO_JAIL -fsanitize=undefined -fno-sanitize-recover=all
ubsan:
	@$(MAKE) B=$(B)/ubsan CFLAGS="$(UBSANFLAGS)" EXTRA=-Wno-maybe-uninitialized LDFLAGS=-fsanitize=undefined unit
# both at once: what make check runs
sanitize:
	@$(MAKE) B=$(B)/sanitize CFLAGS="$(ASANFLAGS),undefined -fno-sanitize-recover=all" \
		EXTRA="-Wno-maybe-uninitialized -Wno-format-truncation" LDFLAGS=-fsanitize=address,undefined unit

# --- unit tests: one program per tests/unit/t_*.c, linked with the libraries under test ---
UNIT      := $(wildcard tests/unit/t_*.c)
UNIT_LIB  := $(filter-out $(UNIT),$(wildcard tests/unit/*.c))
UNIT_BIN   = $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT))
LIBS_UNIT  = $(LIBS_WORKER) $(shell pkg-config --libs cmocka libical)
$(B)/unit/%: $(B)/tests/unit/%.o $(call obj,$(UNIT_LIB)) $(B)/libworker.a $(B)/libsupervisor.a $(B)/libctl.a $(B)/libmetrics.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_UNIT)
unit-build: $(UNIT_BIN)
unit: $(UNIT_BIN)
	@scripts/run-unit $(B)/unit

# --- fuzzing: one libFuzzer target per tests/fuzz/fuzz_*.c ---
FUZZ      := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN   = $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ))
# clang reads gcc's warnings differently; gcc's own build is the one that must be clean
FUZZFLAGS  = -Wno-unknown-warning-option -Wno-format-nonliteral -Wno-cast-qual -g -O1 -DMS_TESTING -DMS_NO_JAIL -fsanitize=fuzzer-no-link,address,undefined
fuzz-build:
	$(MAKE) B=$(B)/fz CC=$(CLANG) CFLAGS="$(FUZZFLAGS)" LDFLAGS="-fsanitize=address,undefined" fuzz-programs
fuzz-programs: $(FUZZ_BIN)
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(B)/libworker.a $(B)/libsupervisor.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS_UNIT)
FUZZ_SECONDS ?= 5
fuzz: fuzz-build
	@scripts/run-fuzz $(B)/fz/fuzz $(FUZZ_SECONDS)

# --- the whole proof ---
check: all
	@scripts/run-check $(B)
check-full: all
	@scripts/run-check $(B) full
# the pool: its rules as a model (Spin), and every logon sequence through its core
$(B)/model/%: $(B)/tests/model/%.o $(B)/libsupervisor.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_SUPERVISOR)
# a worker that misbehaves, for tests/e2e/test_pool_chaos.py
$(B)/sim/%: $(B)/tests/sim/%.o $(B)/libworker.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_WORKER)
# the pool with 10,000 pairings: CPU per event, memory
$(B)/bench/%: $(B)/tests/bench/%.o $(B)/libsupervisor.a $(B)/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_SUPERVISOR)
bench-pool: all $(B)/bench/poolcore test-build
	tests/bench/pool --build $(abspath $(B))
SOAK_SECONDS ?= 600
soak: all test-build
	MS_SOAK=$(SOAK_SECONDS) MS_BUILD=$(abspath $(B)) tests/e2e/run -k chaos
check-logons: $(B)/model/logons
	@tests/model/logons.py $(abspath $(B))/model/logons 10 3
check-model: $(B)/model/logons
	@scripts/check-model $(abspath $(B))
style:
	@scripts/check-layers
	@scripts/check-style
e2e: all test-build
	MS_BUILD=$(abspath $(B)) tests/e2e/run
bench: all
	MS_BUILD=$(abspath $(B)) tests/bench/run --build $(abspath $(B)) $(BENCH)
bench-dav: all
	tests/bench/dav --build $(abspath $(B)) $(BENCH)
bench-ews: all
	tests/bench/ews --build $(abspath $(B)) $(BENCH)
demo: all
	scripts/demo

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/mailshadow \
		$(DESTDIR)$(PREFIX)/share/mailshadow $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(B)/mailshadowd $(B)/mailshadow-metrics $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(B)/mailshadow $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(B)/mailshadow-worker $(DESTDIR)$(PREFIX)/lib/mailshadow/
	install -m 644 config/mailshadow.xml config/mailshadow.xsd $(DESTDIR)$(PREFIX)/share/mailshadow/
	scripts/install-service config "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)"
	install -m 644 doc/man/mailshadow.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 doc/man/mailshadow.xml.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -d $(DESTDIR)$(PREFIX)/share/doc/mailshadow
	install -m 644 README.md doc/*.md $(DESTDIR)$(PREFIX)/share/doc/mailshadow/
	install -m 644 doc/man/mailshadowd.8 doc/man/mailshadow-metrics.8 $(DESTDIR)$(PREFIX)/share/man/man8/
clean:
	rm -rf $(B)

.PHONY: all test-build asan ubsan sanitize unit unit-build fuzz fuzz-build fuzz-programs \
	check check-full check-logons check-model soak style e2e bench bench-dav bench-ews bench-pool demo install clean
.SECONDARY:
-include $(shell find $(B) -path $(B)/cyrus -prune -o -name '*.d' -type f -print 2>/dev/null)
