# Ringchat's one Makefile. `make help` lists what it can do.
#
# Everything is built under build/, each variant in a folder of its own that
# MODE, CC and SANITIZE name (build/release-gcc, build/release-gcc-thread, ...),
# so that going from one to another rebuilds nothing. The programs of the
# default variant are also at build/stage1-blocking and so on.

# ---- What to build, and how -------------------------------------------------

MODE     ?= release
SANITIZE ?=
FAULTS   ?=
STAGE    ?=
FROM     ?=
TO       ?=
SIDE     ?=
K        ?=
ARGS     ?=
CLIENTS  ?=
DIALECT  ?=
SECONDS  ?= 20
SEEDS    ?=
QUICK    ?=
PEERS    ?=
ONLY     ?=
SERVERS  ?=
MEMBERS  ?= 1000000
WORKERS  ?=
SEED     ?=
JOBS     ?=
ifeq ($(origin CC),default)
CC := gcc
endif
COMPILER := $(if $(findstring clang,$(CC)),clang,gcc)

# Debian's own: another python3 on PATH may not have Debian's pytest.
PYTHON ?= /usr/bin/python3

comma   := ,
DEFAULT := release-gcc
VARIANT := $(MODE)-$(notdir $(lastword $(CC)))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(FAULTS),-faults)
OUT     := build/$(VARIANT)

# All processors, unless -j says otherwise (make lets the command line win).
# Only the outermost make decides; those below share its job slots.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
# These goals hand their work to sub-makes (or take it away), so one at a time;
# the sub-makes still run in parallel.
ifneq ($(filter run stall idle trace compare million scale test workers faults sim sim-faults sim-test litmus coverage exercises fuzz lint man screenshot install lib examples clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory

# V=1 shows the commands instead of their short form.
Q    := $(if $(V),,@)
show  = $(if $(V),,@echo '  $(1)')

# A recipe that fails leaves no half-written target for the next run to trust.
.DELETE_ON_ERROR:
.SECONDEXPANSION:

# ---- Flags ------------------------------------------------------------------

# What gcc 12 and clang 14 both know.
WARNINGS := -Wall -Wextra -Werror -Wconversion -Wshadow -Wvla -Walloca \
    -Wformat=2 -Wundef -Wpointer-arith -Wcast-qual -Wcast-align \
    -Wwrite-strings -Wdouble-promotion -Wimplicit-fallthrough \
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
    -Wredundant-decls -Wnested-externs
# clang's -Wconversion alone minds assert(!"this cannot be").
WARNINGS_clang := -Wno-string-conversion

# The OpenSSF compiler hardening guide:
# https://best.openssf.org/Compiler-Hardening-Guides/Compiler-Options-Hardening-Guide-for-C-and-C++
# NDEBUG is never defined: asserts stay on.
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
    -fstack-protector-strong -fstack-clash-protection \
    -fno-delete-null-pointer-checks -fno-strict-overflow
ifeq ($(COMPILER),gcc)
# clang has this without a further option from version 16 on.
HARDENING += -ftrivial-auto-var-init=zero
endif
# Control flow protection, by the processor's own means.
HARDENING_x86_64  := -fcf-protection=full
HARDENING_aarch64 := -mbranch-protection=standard
HARDENING += $(HARDENING_$(shell uname -m))

MODE_release := -O2 $(HARDENING)
MODE_debug   := -Og
# Atomic: threads count together.
MODE_coverage := -O0 --coverage -fprofile-update=atomic
ifeq ($(MODE_$(MODE)),)
$(error MODE is release, debug or coverage, not '$(MODE)')
endif

# The sanitizers intercept the very calls that FORTIFY would replace.
SANITIZERS := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all \
    -fsanitize=$(SANITIZE)

# -iquote: "common/base/log.h" is written from the root, <...> is the system's,
# and <ringchat/client.h> what users of libringchat include.
INCLUDES := -iquote . -I include -D_GNU_SOURCE
# Not expanded before a recipe is: INCLUDES is another for what needs vectors.h.
# One object is for programs and for the library: with all but its API hidden the
# code is the same as -fPIE's.
COMPILE   = -std=gnu17 $(INCLUDES) $(WARNINGS) $(WARNINGS_$(COMPILER)) -g -pthread -fPIC -fvisibility=hidden \
    $(if $(FAULTS),-DRING_TINY) $(if $(SANITIZE),$(SANITIZERS),$(MODE_$(MODE))) $(CPPFLAGS) $(CFLAGS)
LINK     := -pthread -pie $(if $(SANITIZE),-fsanitize=$(SANITIZE)) \
    $(if $(filter coverage,$(MODE)),--coverage) \
    -Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen $(LDFLAGS)
LIBS     := -lsodium -ldeflate -lcrypto $(LDLIBS)
# What some stages alone need.
$(OUT)/stage4-uring $(OUT)/stage5-threads: private LIBS += -luring

# Every finding ends the program with a status that no server uses for itself
# (ThreadSanitizer's own, 66, is one of sysexits(3)).
export ASAN_OPTIONS  ?= exitcode=99:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
export UBSAN_OPTIONS ?= exitcode=99:halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS  ?= exitcode=99:halt_on_error=1:second_deadlock_stack=1
# pytest, and the Python beside it, leave no files in the sources.
export PYTHONDONTWRITEBYTECODE := 1

# ---- Sources and what becomes of them ---------------------------------------

STAGES   := $(patsubst %/,%,$(sort $(dir $(wildcard stage[1-9]-*/*.c))))
# Those with a ring. FAULTS=1: they alone, with tests/faults before the kernel.
FAULTED  := $(patsubst %/,%,$(sort $(dir $(wildcard stage[1-9]-*/ring.c))))
ifneq ($(FAULTS),)
STAGES   := $(FAULTED)
endif
PROGRAMS := $(STAGES:%=$(OUT)/%)
# The newest, or the one that STAGE asks for.
NEWEST   := $(lastword $(filter stage$(STAGE)%,$(STAGES)))

# Those that measure, and what they are made of.
LOAD     := $(OUT)/ringchat-load $(OUT)/raw $(OUT)/crowd
LOAD_OBJECTS = $(call objects,tests/load/*.c)

# What people and scripts talk with, on libringchat; PURE: what of it touches
# neither network nor terminal, nor anything else of the system's.
RINGCHAT := $(OUT)/ringchat
PURE     := $(filter-out $(patsubst %,client/%.c,main open complain signals wait \
    source send follow screen talk%),$(wildcard client/*.c))

SCDOC    := $(wildcard tests/load/*.1.scd client/*.1.scd)
MANUALS  := $(addprefix build/,$(notdir $(SCDOC:.scd=)))

UNITS    := $(patsubst tests/%.c,$(OUT)/%,$(wildcard tests/unit/test_*.c))
LOAD_UNITS := $(filter $(OUT)/unit/test_load_%,$(UNITS))
CLIENT_UNITS := $(filter $(OUT)/unit/test_client_%,$(UNITS))
CORE_UNITS := $(filter-out $(LOAD_UNITS),$(UNITS))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(OUT)/%,$(wildcard tests/fuzz/fuzz_*.c))
LITMUSES := $(patsubst tests/litmus/%.c,$(OUT)/%,$(wildcard tests/litmus/litmus_*.c))

# libringchat: what it is made of, and where it stands. Its log is its caller's
# (lib/quiet.c), options and standard streams are a program's.
LIB_SOURCES := $(wildcard lib/*.c) \
    $(filter-out %/base/log.c %/base/options.c %/base/stdio.c,$(wildcard common/*/*.c)) \
    $(filter-out %/main.c,$(wildcard stage5-threads/*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(OUT)/obj/%.o)
LIB_VERSION := $(subst $() ,.,$(shell sed -n 's/^\#define RINGCHAT_VERSION_M[A-Z]* \|^\#define RINGCHAT_VERSION_PATCH //p' include/ringchat/protocol.h))
SONAME      := libringchat.so.$(firstword $(subst ., ,$(LIB_VERSION)))
LIB_STATIC  := $(OUT)/libringchat.a
LIB_SHARED  := $(OUT)/libringchat.so.$(LIB_VERSION)
EXAMPLES    := $(patsubst %.c,$(OUT)/%,$(wildcard examples/*.c))
# What its tests drive it by, which is built as an example is.
DRIVES      := $(patsubst tests/lib/%.c,$(OUT)/lib/%,$(wildcard tests/lib/*.c))

C_SOURCES := $(wildcard common/*/*.c stage[1-9]-*/*.c lib/*.c client/*.c examples/*.c tests/*/*.c tests/load/raw/*.c)
C_FILES   := $(C_SOURCES) $(wildcard common/*/*.h stage[1-9]-*/*.h lib/*.h client/*.h include/ringchat/*.h tests/*/*.h tests/load/raw/*.h)

objects = $(patsubst %.c,$(OUT)/obj/%.o,$(wildcard $(1)))

.PHONY: all
all: $(PROGRAMS) $(RINGCHAT) $(LOAD) ## build every stage, the client, and the load generator
ifeq ($(VARIANT),$(DEFAULT))
all: $(STAGES:%=build/%) build/ringchat build/ringchat-load build/raw
endif

$(STAGES:%=build/%) build/ringchat build/ringchat-load build/raw: build/%: build/$(DEFAULT)/%
	$(Q)ln -sfn $(DEFAULT)/$(@F) $@

# The pure core and the base beneath it. A folder is newer when a file has
# come or gone: then its archive is made again, without what has gone.
$(OUT)/libcore.a: $(call objects,common/buffer/*.c common/shard/*.c common/wire/*.c common/chat/*.c) \
    common/buffer common/shard common/wire common/chat
$(OUT)/libbase.a: $(call objects,common/base/*.c) common/base
$(OUT)/%.a:
	$(call show,AR   $@)
	$(Q)rm -f $@ && ar rcsD $@ $(filter %.o,$^)

LIBRARIES := $(OUT)/libcore.a $(OUT)/libbase.a

# Each stage's own: see tests/faults/ring.h.
faults = $(if $(FAULTS),$(patsubst tests/%.c,$(OUT)/obj/$(1)/%.o,$(wildcard tests/faults/*.c)))
FAULT_OBJECTS := $(foreach stage,$(FAULTED),$(call faults,$(stage)))
$(PROGRAMS): $(OUT)/%: $$(call objects,$$*/*.c) $$(call faults,$$*) \
    $(if $(FAULTS),$(call objects,tests/unit/support_random.c)) $(LIBRARIES)
ifneq ($(FAULTS),)
# See tests/faults/faults.h.
WRAPPED := accept4 ring_open ring_turn io_uring_submit \
    io_uring_submit_and_get_events io_uring_submit_and_wait_timeout
$(PROGRAMS): private LINK += $(WRAPPED:%=-Wl,--wrap=%)
endif
# The library's files as objects like all others, for tests that look into it.
$(OUT)/libinside.a: $(filter-out %/main.o %/quiet.o,$(call objects,lib/*.c stage5-threads/*.c)) lib/ stage5-threads
$(CORE_UNITS): $(OUT)/%: $(OUT)/obj/tests/%.o $(call objects,tests/unit/support*.c) $(OUT)/libinside.a $(LIBRARIES)
$(CORE_UNITS): private LIBRARIES := $(OUT)/libinside.a $(LIBRARIES)
$(CORE_UNITS): private LIBS += -luring
$(CLIENT_UNITS): $(patsubst %.c,$(OUT)/obj/%.o,$(PURE))
# Of the common code it takes what knows no dialect (tests/lint/includes); all
# else is the library's.
$(RINGCHAT): $(call objects,client/*.c) $(LIB_STATIC) $(LIBRARIES)
$(RINGCHAT): private LIBRARIES := $(LIB_STATIC) $(LIBRARIES)
$(RINGCHAT): private LIBS := -lncursesw -ltinfo $(LIBS) -luring
# The load generator shares no code with what it measures.
$(OUT)/ringchat-load: $(LOAD_OBJECTS)
$(OUT)/raw: $(call objects,tests/load/raw/*.c tests/load/message.c)
$(OUT)/crowd: $(call objects,tests/million/*.c)
$(LOAD_UNITS): $(OUT)/%: $(OUT)/obj/tests/%.o $(call objects,tests/unit/support_random.c) $(filter-out %/main.o,$(LOAD_OBJECTS))
$(LOAD) $(LOAD_UNITS): private LIBRARIES :=
$(LOAD) $(LOAD_UNITS): private LIBS += -lm
# JSON by other means than the core's.
$(LOAD) $(UNITS): private LIBS += -ljansson
# Private: what these are made of is made as for the programs.
$(UNITS): private LIBS += -lcmocka
# See tests/unit/support_alloc.h.
$(CORE_UNITS): private LINK += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign
$(OUT)/sim: $(call objects,tests/sim/*.c tests/unit/support_random.c) $(LIBRARIES)
# See tests/sim/alloc.h.
$(OUT)/sim: private LINK += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=free
$(LITMUSES): $(OUT)/%: $(OUT)/obj/tests/litmus/%.o $(call objects,tests/litmus/support.c tests/unit/support_random.c) $(LIBRARIES)
$(OUT)/bench-log: $(OUT)/obj/tests/bench/log.o $(LIBRARIES)
$(FUZZERS): $(OUT)/%: $(OUT)/obj/tests/fuzz/%.o $(call objects,tests/fuzz/support*.c) $(LIBRARIES)
$(OUT)/fuzz_client_tame: $(call objects,client/tame.c client/cluster.c)
# libFuzzer has the main. What it watches is the code that is tried, not the code
# that tries it.
$(FUZZERS): private LINK := $(subst fuzzer-no-link,fuzzer,$(LINK))
$(call objects,tests/fuzz/*.c): private SANITIZERS := $(subst fuzzer-no-link$(comma),,$(SANITIZERS))

$(PROGRAMS) $(RINGCHAT) $(LOAD) $(UNITS) $(FUZZERS) $(LITMUSES) $(EXAMPLES) $(DRIVES) $(OUT)/sim $(OUT)/bench-log:
	$(call show,LINK $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LINK) -o $@ $(filter %.o,$^) $(LIBRARIES) $(LIBS)

# -MMD writes down which headers an object was made from; -MP lets one of them
# be deleted.
$(OUT)/obj/%.o: %.c $(OUT)/flags
	$(call show,CC   $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(COMPILE) -MMD -MP -c -o $@ $<

# The same of tests/faults, for a stage.
$(FAULT_OBJECTS): $(OUT)/obj/%.o: tests/faults/$$(*F).c $(OUT)/flags
	$(call show,CC   $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(COMPILE) -MMD -MP -c -o $@ $<
$(call faults,stage4-uring): private INCLUDES += -DFAULTED_STAGE4

-include $(patsubst %.c,$(OUT)/obj/%.d,$(C_SOURCES)) $(FAULT_OBJECTS:.o=.d)

# ---- The library ------------------------------------------------------------

LIBS_OF_LIB := $(LIBS) -luring

# In the default variant also at build/, as the programs are.
LIB_PARTS := $(LIB_STATIC) $(LIB_SHARED) $(OUT)/$(SONAME) $(OUT)/libringchat.so $(OUT)/ringchat.pc
.PHONY: lib lib-all
lib: deps ## build libringchat, static and shared, and its ringchat.pc
	@$(MAKE) lib-all

lib-all: $(LIB_PARTS)
ifeq ($(VARIANT),$(DEFAULT))
lib-all: $(LIB_PARTS:$(OUT)/%=build/%)
endif

$(LIB_PARTS:$(OUT)/%=build/%): build/%: build/$(DEFAULT)/%
	$(Q)ln -sfn $(DEFAULT)/$(@F) $@

# A folder is newer when a file has gone, as above.
$(LIB_STATIC) $(LIB_SHARED): $(LIB_OBJECTS) $(sort $(dir $(LIB_SOURCES)))

# One object, in which what is hidden is local: a program with it may have a
# log_event of its own.
$(LIB_STATIC):
	$(call show,AR   $@)
	$(Q)$(LD) -r -o $(OUT)/ringchat.o $(LIB_OBJECTS)
	$(Q)objcopy --localize-hidden $(OUT)/ringchat.o
	$(Q)rm -f $@ && ar rcsD $@ $(OUT)/ringchat.o

# clang leaves it to the program to bring the sanitizers. Unlike programs, it
# may be loaded at run time.
$(LIB_SHARED): lib/ringchat.map
	$(call show,LINK $@)
	$(Q)$(CC) $(filter-out -pie -Wl$(comma)-z$(comma)relro%,$(LINK)) -shared -Wl,-soname,$(SONAME) \
	    -Wl,--version-script,lib/ringchat.map -Wl,-z,relro,-z,now,-z,noexecstack \
	    $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) -o $@ $(LIB_OBJECTS) $(LIBS_OF_LIB)

$(OUT)/$(SONAME) $(OUT)/libringchat.so: $(LIB_SHARED)
	$(Q)ln -sfn $(notdir $(LIB_SHARED)) $@

# Where it is when PREFIX and LIBDIR have said so.
define pkg_config
sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(LIB_VERSION)|' \
    -e 's|@LIBS@|$(LIBS_OF_LIB)|' lib/ringchat.pc.in
endef
# Rewritten only when they say something else than last time.
$(OUT)/ringchat.pc: FORCE
	@mkdir -p $(@D)
	@$(pkg_config) | cmp -s - $@ || $(pkg_config) >$@

# As somebody else builds a program: with what is installed, and nothing else.
.PHONY: examples examples-all
examples: deps ## build the programs of examples/
	@$(MAKE) examples-all

examples-all: $(EXAMPLES)
ifeq ($(VARIANT),$(DEFAULT))
examples-all: build/examples
endif
build/examples: $(EXAMPLES)
	$(Q)ln -sfn $(DEFAULT)/$(@F) $@

$(EXAMPLES): $(OUT)/%: $(OUT)/obj/%.o $(LIB_STATIC)
$(EXAMPLES): private LIBRARIES := $(LIB_STATIC)
$(EXAMPLES): private LIBS := $(LIBS_OF_LIB)
$(EXAMPLES:$(OUT)/%=$(OUT)/obj/%.o): private INCLUDES := -I include

$(DRIVES): $(OUT)/%: $(OUT)/obj/tests/%.o $(LIB_STATIC)
$(DRIVES): private LIBRARIES := $(LIB_STATIC)
$(DRIVES): private LIBS := $(LIBS_OF_LIB)

# ---- The golden vectors -----------------------------------------------------

# The golden vectors as C, by the codecs of the integration tests. The order is
# all that is said here: what includes them says so in its .d file.
CODECS := tests/vectors/generate.py $(wildcard tests/integration/wire_*.py)
$(OUT)/vectors.h: $(CODECS)
	$(call show,MAKE $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) $< --header $@

VECTORED := $(basename $(wildcard tests/unit/*.c tests/fuzz/*.c))
VECTORED := $(VECTORED:%=$(OUT)/obj/%.o) $(VECTORED:%=build/lint/%.tidy)
$(VECTORED): | $(OUT)/vectors.h
$(VECTORED): private INCLUDES += -iquote $(OUT)

# Rewritten only when the flags are others than last time; all objects depend
# on it.
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(COMPILE) $(LINK) $(LIBS)' | cmp -s - $@ || \
	    echo '$(CC) $(COMPILE) $(LINK) $(LIBS)' >$@
.PHONY: FORCE
FORCE:

# ---- What has to be installed -----------------------------------------------

COMPILER_gcc   := gcc
COMPILER_clang := clang libclang-rt-dev

PACKAGES_build := libc6-dev libdeflate-dev libjansson-dev libncurses-dev libsodium-dev \
    liburing-dev libssl-dev uthash-dev
# What makes the golden vectors.
PACKAGES_vectors := python3 python3-cryptography

PACKAGES_man  := scdoc
PACKAGES_run  := $(COMPILER_$(COMPILER)) $(PACKAGES_build)
PACKAGES_lib  := $(PACKAGES_run)
PACKAGES_examples := $(PACKAGES_run)
PACKAGES_test := $(PACKAGES_run) $(PACKAGES_vectors) libcmocka-dev \
    $(PACKAGES_man) g++ netcat-openbsd pkgconf python3-pytest python3-pytest-timeout python3-pytest-xdist strace \
    python3-pyte tmux unicode-data \
    chromium chromium-driver gnuplot-nox python3-selenium
PACKAGES_sim  := $(PACKAGES_run)
PACKAGES_sim-faults := gcc $(PACKAGES_build) $(PACKAGES_vectors) patch
PACKAGES_sim-test := $(PACKAGES_sim-faults)
PACKAGES_litmus := $(PACKAGES_run)
PACKAGES_coverage := $(PACKAGES_run) $(PACKAGES_vectors) gcc gcovr libcmocka-dev unicode-data
PACKAGES_stall := $(PACKAGES_test)
PACKAGES_exercises := $(PACKAGES_test)
PACKAGES_faults := $(PACKAGES_test)
PACKAGES_workers := $(PACKAGES_test)
PACKAGES_idle := $(PACKAGES_test)
PACKAGES_trace := $(PACKAGES_test)
# Without linux-perf, strace counts system calls.
PACKAGES_compare := $(PACKAGES_run) python3 gnuplot-nox linux-perf openssl strace \
    $(if $(PEERS),redis-server nats-server ngircd inspircd)
PACKAGES_million := $(PACKAGES_run) python3
PACKAGES_scale := $(PACKAGES_run) python3 gnuplot-nox linux-perf strace
PACKAGES_screenshot := $(PACKAGES_run) python3-pyte
PACKAGES_install := $(PACKAGES_run) $(PACKAGES_man)
PACKAGES_lint := $(PACKAGES_run) $(PACKAGES_vectors) gcc g++ libcmocka-dev \
    clang-format clang-tidy cppcheck groff-base $(PACKAGES_man)
# libFuzzer is in libclang-rt-dev.
PACKAGES_fuzz := $(COMPILER_clang) $(PACKAGES_build) $(PACKAGES_vectors)
PACKAGES_deps := $(PACKAGES_test) $(PACKAGES_lint) $(PACKAGES_fuzz) $(PACKAGES_coverage) \
    $(PACKAGES_sim-test) $(PACKAGES_trace)

# Only what the goals of this run need.
PACKAGES := $(sort $(foreach goal,$(MAKECMDGOALS),$(PACKAGES_$(goal))))

.PHONY: deps
deps: ## install with apt-get what is missing of what the targets below need
	@command -v dpkg-query >/dev/null || { \
	    echo 'Not Debian: please see to these: $(PACKAGES)'; exit 0; }; \
	missing=; \
	for package in $(PACKAGES); do \
	    dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | \
	        grep -q '^installed' || missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	echo "Installing with apt-get:$$missing"; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	$$as_root apt-get -qq update && \
	$$as_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends $$missing

# ---- Running ----------------------------------------------------------------

# From stage 2 on there is a `secure` listener, which has a key: one for trying
# things out, unless ARGS names another.
DEV_KEY  := $(if $(filter stage1-%,$(NEWEST))$(findstring --key-file,$(ARGS)),,build/dev.key)
HINT     := $(if $(filter stage1-%,$(NEWEST)),,Programs: frame on port 4001, \
    secure on port 9999 with the key in $(or $(DEV_KEY),your --key-file) (docs/protocol.md).)
# The last stage: its defaults, and a Unix socket.
LISTENS  := $(if $(findstring --listen,$(ARGS)),,$(if $(filter stage5-%,$(NEWEST)), \
    text://127.0.0.1:4000 frame://127.0.0.1:4001 secure://127.0.0.1:9999 \
    text+unix://$(CURDIR)/build/ringchat.sock))

# exec: Ctrl-C and SIGTERM reach the server, and its exit status is make's.
.PHONY: run
run: deps $(DEV_KEY) ## start the newest stage on 127.0.0.1 (ARGS="--idle-timeout 60", STAGE=1)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@echo 'Starting $(NEWEST). In another terminal, or two: build/ringchat --nick alice'
	@echo '(without a client: nc 127.0.0.1 4000)'
	@echo 'There, /help lists the commands. Ctrl-C here stops the server.'
	$(if $(HINT),@echo '$(HINT)')
	$(if $(LISTENS),@echo 'On this machine also without a port: nc -U build/ringchat.sock')
	@exec $(OUT)/$(NEWEST) $(if $(DEV_KEY),--key-file $(DEV_KEY)) $(LISTENS:%=--listen %) $(ARGS)

# Where to, and under which name it is run in production.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
.PHONY: install
install: deps ## the last stage as PREFIX=/usr/local/bin/ringchatd, ringchat, ringchat-load, and the library (LIBDIR)
	@$(MAKE) all lib-all build/ringchat.1
	install -D -m 755 $(OUT)/stage5-threads $(DESTDIR)$(PREFIX)/bin/ringchatd
	install -D -m 755 $(RINGCHAT) $(DESTDIR)$(PREFIX)/bin/ringchat
	install -D -m 644 build/ringchat.1 $(DESTDIR)$(PREFIX)/share/man/man1/ringchat.1
	install -D -m 755 $(OUT)/ringchat-load $(DESTDIR)$(PREFIX)/bin/ringchat-load
	install -d $(DESTDIR)$(PREFIX)/include/ringchat $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 include/ringchat/*.h $(DESTDIR)$(PREFIX)/include/ringchat
	install -m 644 $(LIB_STATIC) $(LIB_SHARED) $(DESTDIR)$(LIBDIR)
	ln -sfn $(notdir $(LIB_SHARED)) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sfn $(SONAME) $(DESTDIR)$(LIBDIR)/libringchat.so
	$(pkg_config) >$(DESTDIR)$(LIBDIR)/pkgconfig/ringchat.pc

# Made once, and nobody else's to read: a server refuses any other.
build/dev.key:
	$(call show,KEY  $@)
	$(Q)mkdir -p $(@D)
	$(Q)umask 077 && head -c 32 /dev/urandom >$@

.PHONY: stall
stall: deps ## what one reader that stalls does to the others (STAGE=1)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@$(PYTHON) tests/demo/stall.py $(OUT)/$(NEWEST) $(ARGS)

.PHONY: idle
idle: deps ## what idle members cost a server (STAGE=1, CLIENTS=1000)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@$(PYTHON) tests/demo/idle.py $(OUT)/$(NEWEST) $(or $(CLIENTS),1000)

.PHONY: trace
trace: deps ## system calls per message passed on, one by one and in a burst (STAGE=1, CLIENTS=10)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@$(PYTHON) tests/demo/calls.py $(OUT)/$(NEWEST) $(or $(CLIENTS),10) $(ARGS)

# The newest and the one before it, unless TO and FROM say otherwise. Of each
# stage, a pair with the next.
NEXT      := $(join $(STAGES:%=%:),$(wordlist 2,9,$(STAGES)))
DIFF_TO   := $(lastword $(filter stage$(TO)%,$(STAGES)))
DIFF_FROM := $(if $(FROM),$(filter stage$(FROM)-%,$(STAGES)),$(patsubst %:$(DIFF_TO),%,$(filter %:$(DIFF_TO),$(NEXT))))

.PHONY: diff
diff: ## what changed from one stage to the next (FROM=1, TO=2, SIDE=1: side by side)
	$(if $(DIFF_TO),,$(error there is no stage $(TO)))
	$(if $(DIFF_FROM),,$(error there is no stage $(or $(FROM),before $(DIFF_TO))))
	@SIDE=$(SIDE) tests/demo/diff $(DIFF_FROM) $(DIFF_TO)

# Servers and workloads are named in tests/compare.
.PHONY: compare
compare: deps ## all stages under the same loads: build/compare/report.html (QUICK=1, PEERS=1: redis and others too, ONLY=echo, SERVERS=stage4,raw-echo)
	@$(MAKE) all
	@$(PYTHON) tests/compare/compare.py --build $(OUT) $(COMPARED) \
	    --command '$(strip make compare $(foreach v,QUICK PEERS ONLY SERVERS,$(if $($v),$v=$($v))))' $(ARGS)

COMPARED = $(if $(QUICK),--quick) $(if $(PEERS),--peers) \
    $(if $(ONLY),--only $(ONLY)) $(if $(SERVERS),--servers $(SERVERS))

# The crowd, and the server, have what this process may have: see
# tests/million/million_limits.py.
.PHONY: million
million: deps ## as many silent members in one room as this machine allows: build/million/report.md (MEMBERS=1000000, STAGE=4)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@$(PYTHON) tests/million/million.py $(OUT)/$(NEWEST) --members $(MEMBERS) \
	    --command '$(strip make million MEMBERS=$(MEMBERS) $(STAGE:%=STAGE=%) $(if $(ARGS),ARGS="$(ARGS)"))' \
	    $(if $(ARGS),--server-options='$(ARGS)')

# Stages before the fifth have one worker, and no such option.
.PHONY: scale
scale: deps ## what more workers bring: build/scale/report.md (WORKERS="1 2 4 8 16", STAGE=5, ONLY=rooms, QUICK=1)
	$(if $(NEWEST),,$(error there is no stage $(STAGE)))
	@$(MAKE) all
	@$(PYTHON) tests/scale/scale.py $(OUT)/$(NEWEST) $(if $(WORKERS),--workers '$(WORKERS)') \
	    $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) \
	    --command '$(strip make scale $(if $(WORKERS),WORKERS="$(WORKERS)") $(foreach v,STAGE QUICK ONLY,$(if $($v),$v=$($v))))' $(ARGS)

.PHONY: bench-log
bench-log: $(OUT)/bench-log ## measure appends to a room's log and spans taken from it
	@$<

# ---- Testing ----------------------------------------------------------------

# A sub-make per variant: units, simulator and servers under AddressSanitizer
# and UndefinedBehaviorSanitizer, the servers as they are released, and those
# with a ring with faults. One after another, since the integration tests measure
# time. Under sanitizers IPv4 stands for IPv6: they differ in addresses alone.
# Units and simulator have one thread: ThreadSanitizer has nothing to say of
# them. What threads share has a target of its own, litmus.
.PHONY: test
test: deps ## all tests; SANITIZE=thread: under that alone; STAGE=1, K=unix: select
ifeq ($(SANITIZE),)
	@$(MAKE) unit SANITIZE=address,undefined
	$(if $(K),,@$(MAKE) sim SEEDS=2000 SANITIZE=address,undefined)
	@$(MAKE) integration
	@$(MAKE) integration SANITIZE=address,undefined K='$(or $(K),not tcp6)'
	$(if $(filter stage$(STAGE)%,$(FAULTED)),@$(MAKE) faults)
else
	$(if $(filter thread,$(SANITIZE)),,@$(MAKE) unit)
	@$(MAKE) integration
endif

# K selects the unit programs that have it in their name; pytest takes it as
# its -k, where it may be an expression.
SELECTED := $(if $(K),$(foreach unit,$(UNITS),$(if $(findstring $(K),$(notdir $(unit))),$(unit))),$(UNITS))

.PHONY: unit
unit: $(SELECTED:=.run) ## unit tests of this variant; K=lane: only those so named

# The output comes at the end and in one piece, as several run side by side.
# Those of the chat: with one worker, and with several (tests/unit/support_chat.h).
.PHONY: $(UNITS:=.run)
$(filter $(OUT)/unit/test_chat_%,$(UNITS:=.run)): private SHARDS := 1 2 3
$(UNITS:=.run): %.run: %
	@{ for workers in $(or $(SHARDS),1); do echo "== $(notdir $<) ($$workers)"; \
	    RINGCHAT_WORKERS=$$workers timeout 300 $< || exit; done; } >$<.log 2>&1; \
	status=$$?; cat $<.log; exit $$status

# ThreadSanitizer is asked of the stages that have threads.
NUMBERS := $(foreach stage,$(STAGES),$(patsubst stage%,%,$(firstword $(subst -, ,$(stage)))))
TESTED  := $(or $(STAGE),$(filter $(if $(findstring thread,$(SANITIZE)),1 2 5,%),$(NUMBERS)))

# What the shared tests start stage 5 with, unless the environment says: so that
# both engines and several numbers of workers have a turn. AddressSanitizer sees
# what epoll hands the kernel; of io_uring it would not. Faults are before rings.
ifneq ($(FAULTS),)
STAGE5_WITH := --workers 2 --io uring
else ifneq ($(findstring address,$(SANITIZE)),)
STAGE5_WITH := --workers 4 --io epoll
else ifneq ($(findstring thread,$(SANITIZE)),)
STAGE5_WITH := --workers 4 --io uring
else
STAGE5_WITH := --workers 2 --io auto
endif

# pytest says 5 when there is nothing to run, as with the K of a unit test.
.PHONY: integration
integration: $(PROGRAMS) $(RINGCHAT) $(LOAD) $(LIB_PARTS) $(EXAMPLES) $(DRIVES) ## integration tests of this variant; STAGE and K as above; FAULTS=1 SEED=7: tests/faults
	@export RINGCHAT_STAGE5="$${RINGCHAT_STAGE5-$(STAGE5_WITH)}"; \
	echo "== integration: $(VARIANT), stage 5 with $$RINGCHAT_STAGE5"; \
	RINGCHAT_TEST_SLOW=$(if $(SANITIZE),2,1) $(PYTHON) -m pytest $(or $(FILES),tests/integration) -q -n $(if $(SANITIZE),4,3) -p no:cacheprovider \
	    --build-dir=$(OUT) $(TESTED:%=--stage=%) \
	    $(if $(K),-k '$(K)') $(if $(and $(K),$(SELECTED)$(FILES)),|| [ $$? = 5 ])

# What all stages share, of this variant. test_workers chooses for itself, and
# what is of no stage does not change with the workers.
.PHONY: workers
workers: deps ## stage 5 on each engine with 1, 2 and 4 workers (ONLY=epoll, WORKERS="3 8", K=churn)
	@$(MAKE) all
	@failed=; \
	for io in $(or $(ONLY),uring epoll); do \
	    for count in $(or $(WORKERS),1 2 4); do \
	        export RINGCHAT_STAGE5="--workers $$count --io $$io"; \
	        $(MAKE) integration STAGE=5 \
	            K='stage5 and not test_workers$(if $(K), and ($(K)))' || \
	            failed="$$failed    $$RINGCHAT_STAGE5\n"; \
	    done; \
	done; \
	[ -z "$$failed" ] || { printf '== workers: stage 5 failed with\n%b' "$$failed"; exit 1; }

# What comes and goes, is much, or stops halfway. What options, deadlines and
# single requests mean (binary, interrupted, key, operation, options, sealed,
# secure, stall) is asked with faults too by `make integration FAULTS=1
# SANITIZE=address,undefined`; it moves few bytes, or takes long.
FAULTED_FILES := $(patsubst %,tests/integration/test_%.py,chat churn crowd \
    descriptors dialects faults flow frame lifecycle restart text)

.PHONY: faults
faults: deps ## stages 4 and 5 with a kernel that fails, comes short and late (SEED=7)
	@$(MAKE) integration FAULTS=1 SANITIZE=address,undefined FILES='$(FAULTED_FILES)'

EXERCISED := $(patsubst tests/integration/exercise_stage%.py,STAGE=%,$(wildcard tests/integration/exercise_stage*.py))

.PHONY: exercises
exercises: deps ## which exercises of a stage's README are solved (STAGE=1)
	$(if $(wildcard tests/integration/exercise_stage$(STAGE).py),,$(error say one of $(EXERCISED)))
	@$(MAKE) all
	@$(PYTHON) -m pytest tests/integration/exercise_stage$(STAGE).py -q \
	    -p no:cacheprovider --tb=line --build-dir=$(OUT) --stage='$(STAGE)'

# ---- Simulating -------------------------------------------------------------

# tests/sim/plan.h says what a history is, tests/sim/model.h what has to hold.
# The first that fails is shrunk to its smallest form and printed.
.PHONY: sim
sim: deps ## made-up histories of the chat for SECONDS=20; SEEDS=1000: the same each time; SEED=7: one
	@$(MAKE) $(OUT)/sim
	@$(OUT)/sim $(SIMULATED) $(if $(JOBS),--jobs $(JOBS)) $(ARGS)

SIMULATED := $(if $(SEED),--seed $(SEED),$(if $(SEEDS),--seeds $(SEEDS),--seconds $(SECONDS)))

# Who watches the simulator: it has to find what is wrong with each of the
# patches in tests/sim/faults, and a seed has to say all that happens. In the
# default variant, whatever is asked for, and in the sanitized one.
SIMULATORS := build/$(DEFAULT)/sim build/$(DEFAULT)-address-undefined/sim
# Not the environment's: some shells have a NAME.
FAULT      := $(if $(filter command,$(origin NAME)),$(NAME))

.PHONY: sim-faults sim-test
sim-faults: deps ## whether the simulator finds the faults planted by tests/sim/faults (NAME=cursor: those)
	@$(MAKE) $(firstword $(SIMULATORS)) MODE=release CC=gcc SANITIZE=
	@$(PYTHON) tests/sim/try_faults $(FAULT)

sim-test: sim-faults ## that, and that a seed is always the same history
	@$(MAKE) $(lastword $(SIMULATORS)) MODE=release CC=gcc SANITIZE=address,undefined
	@$(PYTHON) tests/sim/same_traces $(SIMULATORS)

# tests/litmus: what is said of memory order, by threads that would see it
# broken. As released, where the processor has its own way; under
# AddressSanitizer, which knows what has been freed; and under ThreadSanitizer,
# which knows what another processor might do.
.PHONY: litmus litmus-all
litmus: deps ## what threads share, each for SECONDS=20, as released and under sanitizers
	@$(MAKE) litmus-all MODE=release SANITIZE=
	@$(MAKE) litmus-all MODE=release SANITIZE=address,undefined
	@$(MAKE) litmus-all MODE=release SANITIZE=thread

litmus-all: $(LITMUSES)
	@echo '== litmus: $(VARIANT)'
	@for litmus in $^; do $$litmus --seconds $(SECONDS) $(ARGS) || exit 1; done

# In a variant of its own, whatever is asked for.
.PHONY: coverage coverage-all
coverage: deps ## how much of the chat unit tests and simulator reach: at least 95 % of its branches
	@$(MAKE) coverage-all MODE=coverage CC=gcc SANITIZE=

# Of an assert one branch is never taken, and what HASH_FIND and its kin branch
# on is uthash's: those lines do not count. What is counted adds up from run to
# run, so what was there before goes first.
COVERED_MIN := 95
coverage-all: $(UNITS) $(OUT)/sim
	$(Q)find $(OUT) -name '*.gcda' -delete
	$(Q)$(MAKE) unit >$(OUT)/unit.log 2>&1 || { cat $(OUT)/unit.log; exit 1; }
	$(Q)$(OUT)/sim --seeds 3000 $(if $(JOBS),--jobs $(JOBS))
	$(Q)gcovr --root . --filter 'common/(buffer|chat)/' --branches \
	    --exclude-branches-by-pattern '\s*(assert\(|HASH_)' \
	    --print-summary --fail-under-branch $(COVERED_MIN) $(OUT)/obj

# ---- Fuzzing ----------------------------------------------------------------

# tests/fuzz/support_stream.h says what has to hold. One variant, whatever is
# asked for: clang's, in which libFuzzer sees what code an input reaches. -k: one
# target's finding does not stop the others, which run side by side.
.PHONY: fuzz fuzz-all
fuzz: deps ## made-up input for the decoders (DIALECT=text|frame|secure|encode|hear|client_tame, SECONDS=20)
	$(if $(FUZZED),,$(error there is no tests/fuzz/fuzz_$(DIALECT).c))
	@$(MAKE) -k fuzz-all VARIANT=fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined

FUZZED := $(filter $(OUT)/fuzz_$(or $(DIALECT),%),$(FUZZERS))
fuzz-all: $(FUZZED:=.run)

# build/fuzz/fuzz_NAME.corpus: inputs that reached something new, kept from run
# to run; .found: inputs that broke something, tried first from then on. Of a
# good run the last line is shown, of another what was found and how to get
# there again.
.PHONY: $(FUZZERS:=.run)
$(FUZZERS:=.run): %.run: % $(OUT)/seeds.made
	$(call show,FUZZ $< for $(SECONDS) s)
	$(Q)mkdir -p $<.found $<.corpus $(OUT)/seeds/$(<F:fuzz_%=%)
	$(Q)$< -max_total_time=$(SECONDS) -max_len=8192 -timeout=10 \
	    $(addprefix -dict=,$(wildcard tests/fuzz/$(<F).dict)) \
	    -artifact_prefix=$<.found/ $<.corpus $<.found $(OUT)/seeds/$(<F:fuzz_%=%) >$<.log 2>&1 || { \
	    grep -av '^#' $<.log; \
	    find $<.found -type f -printf 'Again: $< %p\n'; exit 1; }
	@sed -n 's/^.*DONE  */  $(<F): /p' $<.log

# The golden vectors.
$(OUT)/seeds.made: $(CODECS)
	$(call show,MAKE $(OUT)/seeds)
	$(Q)mkdir -p $(OUT)/seeds
	$(Q)$(PYTHON) $< --corpus $(OUT)/seeds && touch $@

# ---- Linting ----------------------------------------------------------------

# In the default variant, whatever is asked for: purity looks at symbols, and
# sanitizers add their own. -k: all complaints at once.
.PHONY: lint
lint: deps ## formatting, clang-tidy, cppcheck, purity of the core, includes, quotations, the library's API, manuals
	@$(MAKE) -k lint-all MODE=release CC=gcc SANITIZE=

.PHONY: lint-all lint-format lint-tidy lint-cppcheck lint-purity lint-includes \
    lint-quotes lint-api lint-man
lint-all: lint-format lint-tidy lint-cppcheck lint-purity lint-includes lint-quotes lint-api lint-man

lint-format:
	$(call show,FORMAT)
	$(Q)clang-format --dry-run -Werror $(C_FILES)

# A stamp for each file that passed; the .d file beside it brings it back when
# a header changes.
TIDIED := $(C_SOURCES:%.c=build/lint/%.tidy)
lint-tidy: $(TIDIED)
$(TIDIED): build/lint/%.tidy: %.c .clang-tidy Makefile
	$(call show,TIDY $<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(INCLUDES) -MM -MP -MT $@ -MF $(@:.tidy=.d) $<
	$(Q)clang-tidy --quiet $< -- -std=gnu17 $(INCLUDES) $(WARNINGS) \
	    $(WARNINGS_clang) >$@.log 2>&1 || \
	    { grep -v 'warnings.* generated' $@.log; exit 1; }
	$(Q)touch $@
-include $(TIDIED:.tidy=.d)

# ctuPointerArith takes the address one past the end for an error.
lint-cppcheck: $(OUT)/vectors.h
	$(call show,CPPCHECK)
	$(Q)mkdir -p build/lint/cppcheck
	$(Q)cppcheck --quiet --std=c11 --library=posix \
	    --enable=warning,performance,portability --inline-suppr \
	    --suppress=ctuPointerArith --error-exitcode=1 --cppcheck-build-dir=build/lint/cppcheck \
	    -I. -Iinclude -I$(OUT) -D_GNU_SOURCE $(C_SOURCES)

# What of the base the core is linked with, and must be as pure.
PURE_BASE := $(call objects,common/base/builder.c common/base/utf8.c)
lint-purity: $(OUT)/libcore.a $(PURE_BASE) $(OUT)/obj/tests/lint/impure.o
	$(call show,PURITY)
	$(Q)$(PYTHON) tests/lint/purity $^

lint-includes:
	$(call show,INCLUDES)
	$(Q)$(PYTHON) tests/lint/includes

lint-quotes:
	$(call show,QUOTES)
	$(Q)$(PYTHON) tests/lint/quotes

# What the public headers say is what the libraries have; and each compiles
# alone, as C of 1999 and as C++.
lint-api: $(LIB_STATIC) $(LIB_SHARED)
	$(call show,API)
	$(Q)$(PYTHON) tests/lint/api --compile $(CC) --static $(LIB_STATIC) --shared $(LIB_SHARED) \
	    include/ringchat/*.h

# groff(1) only warns, and says that all is well.
lint-man: $(MANUALS) $(RINGCHAT) $(LOAD)
	$(call show,MANUALS)
	$(Q)warnings=$$(groff -t -man -Tutf8 -ww -z $(MANUALS) 2>&1) && [ -z "$$warnings" ] || \
	    { echo "$$warnings"; exit 1; }
	$(Q)$(PYTHON) tests/lint/options tests/load/ringchat-load.1.scd tests/load/plan.c $(OUT)/ringchat-load
	$(Q)$(PYTHON) tests/lint/options tests/load/raw.1.scd tests/load/raw/raw.c $(OUT)/raw
	$(Q)$(PYTHON) tests/lint/options client/ringchat.1.scd client/options.c $(RINGCHAT)

# ---- The rest ---------------------------------------------------------------

# The picture of a session in README.md; a test sees whether it still comes out.
.PHONY: screenshot
screenshot: deps ## draw docs/figures/client.svg anew
	@$(MAKE) all
	@$(PYTHON) tests/client/screenshot.py --build $(OUT) docs/figures/client.svg

.PHONY: man
man: deps ## the manual pages: man -l build/ringchat.1 (build/ringchat-load.1, build/raw.1)
	@$(MAKE) $(MANUALS)

$(MANUALS): build/%: $$(filter tests/load/$$*.scd client/$$*.scd,$(SCDOC))
	$(call show,MAN  $@)
	$(Q)mkdir -p $(@D)
	$(Q)scdoc <$< >$@

.PHONY: format
format: ## lay out all C files as .clang-format says
	@clang-format -i $(C_FILES)

.PHONY: clean
clean: ## remove build/
	@rm -rf build

.PHONY: help
help: ## this list
	@echo 'make [target] [MODE=release|debug] [CC=gcc|clang] [SANITIZE=address,undefined|thread] [V=1]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	    while IFS='|' read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done
