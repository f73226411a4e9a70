# husk: `make run` boots a guest, `make check` tests everything, `make help` lists targets.
# One file, not recursive. Outputs go to build/; V=1 shows commands; MODE=release|asan|fuzz.

# Use all processors, unless a -j says otherwise. Makes that this one runs share them.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

MODE ?= release
B := build/$(MODE)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

PREFIX ?= /usr/local
CFLAGS ?= -g
CC := $(if $(filter fuzz,$(MODE)),clang,gcc)

std := -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/cjson -isystem /usr/share/include/llhttp -pthread
warn := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	$(if $(CI),-Werror)
deps := -MMD -MP
# Optimize for size, but for the data path and guest memory.
opt_release = $(if $(filter virtio/% vmm/core/%,$<),-O2,-Os)
mode_release := -fPIE -ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2 \
	-fstack-protector-strong -ftrivial-auto-var-init=zero -fno-asynchronous-unwind-tables
mode_asan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
# Compiled by clang, without warnings, which tests/lint/warnings checks.
mode_fuzz := -w -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
# Compile tests in half the time; what is tested has -O1.
opt_asan = $(if $(filter tests/%,$<),-O0)
# Count coverage in what is tested, not in the tests.
opt_fuzz = $(if $(filter tests/%,$<),,-fsanitize=fuzzer-no-link)
link_release := -static-pie -Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs \
	-Wl,--no-eh-frame-hdr,-T,resources/release.ld
# Dynamic and without --gc-sections, because nothing refers to the section in which Criterion
# finds its tests.
link_tests_release := -pie
link_tests_asan := -fsanitize=address,undefined -pie
link_asan := -fsanitize=address,undefined -pie
link_fuzz := -fsanitize=address,undefined
ldlibs := -l:liburing.a
flags := $(std) $(deps) $(warn) $(mode_$(MODE)) $(CFLAGS)

# --- rooms: a folder and an archive each; tests/lint/rooms says which may use which ---
include tests/lint/rooms
rooms := $(shell sed -n 's|^uses/\([^ ]*\) :=.*|\1|p' tests/lint/rooms)
sources_of = $(filter-out %/main.c,$(wildcard $(1)/*.c))
obj = $(patsubst %.c,$(B)/%.o,$(1))
archive = $(B)/$(subst /,-,$(1)).a
# A room and all that it may use, directly or not.
closure = $(sort $(1) $(foreach r,$(uses/$(1)),$(call closure,$(r))))
archives = $(foreach r,$(call closure,$(1)),$(call archive,$(r))) \
	$(if $(filter vmm/codec,$(call closure,$(1))),$(B)/cjson.a $(B)/llhttp.a)
in_any_order = -Wl,--start-group $(filter %.a,$(1)) -Wl,--end-group

.PHONY: all FORCE
all: $(B)/husk $(B)/husk-jailer $(B)/husk-seccomp ## build husk, its jailer and husk-seccomp
.DELETE_ON_ERROR:
.PRECIOUS: $(B)/%.o $(B)/%.a build/guest/%.elf

$(B)/husk $(B)/husk-jailer: resources/release.ld
$(B)/husk: $(B)/vmm/main.o $(call archives,api) $(B)/builtin.a
$(B)/husk-jailer: $(B)/jailer/main.o $(call archives,jailer)
$(B)/husk $(B)/husk-jailer:
	$(call say,LINK,$@)
	$(Q)$(CC) $(flags) $(link_$(MODE)) -o $@ $(filter %.o,$^) $(call in_any_order,$^) $(ldlibs) $(LDFLAGS)
	$(Q)$(if $(filter release,$(MODE)),cp $@ $@.debug && strip $@,true)

$(foreach r,$(rooms),$(eval $(call archive,$(r)): $(call obj,$(call sources_of,$(r)))))
$(B)/cjson.a: $(B)/cjson/cJSON.o
$(B)/llhttp.a: $(addprefix $(B)/llhttp/,api.o http.o llhttp.o)
# Set-up installs these. Without a rule of their own, make would look for them before that.
llhttp_src := $(addprefix /usr/share/llhttp/,api.c http.c llhttp.c)
$(llhttp_src): | build/.setup ;
$(B)/%.a:
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c $(B)/flags | build/.setup build/cjson/cJSON.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(opt_$(MODE)) -c -o $@ $<

# --- the system call filters: compiled here, so that husk's start has nothing to compile ---
$(B)/builtin.a: $(B)/seccomp_builtin.o
$(B)/husk-seccomp: $(B)/resources/seccomp/main.o $(call archives,resources/seccomp)
	$(call say,LINK,$@)
	$(Q)$(CC) $(flags) $(link_$(MODE)) -o $@ $(filter %.o,$^) $(call in_any_order,$^) -l:libseccomp.a $(LDFLAGS)
	$(Q)$(if $(filter release,$(MODE)),strip $@,true)
filters := resources/seccomp/default.json $(if $(filter asan,$(MODE)),resources/seccomp/asan.json)
compile_filters = $(B)/husk-seccomp --input-file $(firstword $(filters)) \
	$(addprefix --add-file ,$(word 2,$(filters)))
$(B)/seccomp_builtin.c: $(B)/husk-seccomp $(filters)
	$(call say,BPF,$@)
	$(Q)$(compile_filters) --c-source --output-file $@
$(B)/seccomp_builtin.o: $(B)/seccomp_builtin.c $(B)/flags
	$(Q)$(CC) $(flags) $(opt_$(MODE)) -c -o $@ $<
# The same filters, but each rule reports to a tracer: tests/system/filters counts their use.
$(B)/tests/filters.trace: $(B)/husk-seccomp $(filters)
	$(Q)mkdir -p $(@D) && $(compile_filters) --trace --output-file $@ && $(compile_filters) --list >$@.list
$(B)/cjson/cJSON.o: build/cjson/cJSON.c $(B)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(opt_$(MODE)) -w -DCJSON_NESTING_LIMIT=64 -c -o $@ $<

$(B)/llhttp/%.o: /usr/share/llhttp/%.c $(B)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(opt_$(MODE)) -w -c -o $@ $<

build/cjson/cJSON.c: | build/.setup
	$(Q)resources/build-cjson.sh build/cjson

# Rebuilds everything when a flag changes.
$(B)/flags: FORCE
	$(Q)mkdir -p $(@D) && echo '$(CC) $(flags) $(link_$(MODE))' | cmp -s - $@ || \
		echo '$(CC) $(flags) $(link_$(MODE))' >$@
FORCE:

# Runs every time, since build/ may come from another machine; it takes 0.03 s. A rule that runs
# a command, or reads a file, that Debian's minimal system does not have must come after it.
build/.setup: FORCE
	$(Q)mkdir -p build && $(if $(filter no,$(SETUP)),true,$(or $(SETUP),resources/setup.sh)) && touch $@

# --- guest kernel, images, reference host ---
.PHONY: kernel images host
kernel: | build/.setup ## the guest kernel: build/kernel/vmlinux and bzImage
	$(Q)resources/build-kernel.sh build/kernel
images: kernel ## root images and initramfs: build/images
	$(Q)resources/build-images.sh build/kernel build/images
# After cJSON, because both may run apt, of which one can run at a time.
host: | build/.setup build/cjson/cJSON.c ## the emulated AMD server on which real guests run: build/host
	$(Q)tests/host/build-refhost build/host

build/fio/fio: tests/build-fio | build/.setup
	$(Q)tests/build-fio build/fio

.PHONY: run
run: $(B)/husk images host ## boot a guest and say how long it took
	$(Q)tests/system/run $(B)/husk

# --- tests: tests/unit/ROOM/test_X.c links that room and what it may use, nothing more ---
test_folder = $(patsubst vmm/%,%,$(1:resources/%=%))
units := $(wildcard $(foreach r,$(rooms),tests/unit/$(call test_folder,$(r))/test_*.c))
unit_bins := $(patsubst tests/unit/%.c,$(B)/tests/%,$(units))
fuzzers := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
replay_bins := $(addprefix $(B)/tests/replay_,$(fuzzers:fuzz_%=%))
room_of_fuzz_blk := virtio/blk
room_of_fuzz_net := virtio/net
room_of_fuzz_vsock := virtio/vsock
room_of_fuzz_kernel := vmm/x86
room_of_fuzz_seccomp := vmm/process
room_of_fuzz_http := vmm/codec
room_of = $(or $(room_of_$(1)),api)
$(B)/tests/api/test_openapi: ldlibs += -lyaml
$(B)/tests/seccomp/%: ldlibs += -l:libseccomp.a

$(B)/fakes.a: $(call obj,$(wildcard tests/unit/fakes/*.c))
link_test = $(Q)mkdir -p $(@D) && $(CC) $(flags) $(link_tests_$(MODE)) -o $@ $(filter %.o,$^) \
	$(call in_any_order,$^) $(ldlibs)
define unit_rule
$(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/$(2)/test_*.c)): $(B)/tests/$(2)/%: \
		$(B)/tests/unit/$(2)/%.o $(B)/tests/unit/no_certificates.o $(B)/fakes.a \
		$(call archives,$(1)) $(B)/builtin.a
	$$(call say,LINK,$$@)
	$$(link_test) -lcriterion -Wl,--export-dynamic-symbol=mbedtls_x509_crt_parse_*
endef
$(foreach r,$(rooms),$(eval $(call unit_rule,$(r),$(call test_folder,$(r)))))
fuzz_parts := $(B)/tests/fuzz/confine.o $(B)/tests/fuzz/fake_timer.o
replay_parts := $(B)/tests/fuzz/replay.o $(fuzz_parts)
# Of the targets of virtio devices.
driver_of = $(if $(filter virtio/%,$(call room_of,$(1))),$(B)/tests/fuzz/driver.o)
define fuzz_rules
$(B)/tests/replay_$(1:fuzz_%=%): $(B)/tests/fuzz/$(1).o $(replay_parts) $(call driver_of,$(1)) \
		$(call archives,$(call room_of,$(1))) $(B)/builtin.a
	$$(call say,LINK,$$@)
	$$(link_test)
$(B)/$(1): $(B)/tests/fuzz/$(1).o $(fuzz_parts) $(call driver_of,$(1)) $(call archives,$(call room_of,$(1))) $(B)/builtin.a
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(flags) $$(link_fuzz) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) \
		$$(call in_any_order,$$^) $$(ldlibs)
endef
$(foreach f,$(fuzzers),$(eval $(call fuzz_rules,$(f))))

# Tools of tests/system: `jailed` stands in for husk in a jail, `attack` attacks a jailed husk,
# `talk` and `traffic` run in guests and beside them.
static_tools := $(addprefix $(B)/tests/,attack jailed talk traffic)
$(static_tools): $(B)/tests/%: tests/system/%.c $(B)/flags | build/.setup
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(std) $(deps) $(warn) -O1 -static -o $@ $<

guests := $(patsubst tests/guest/%.S,build/guest/%.elf,$(wildcard tests/guest/*.S))
build/guest/%.elf: tests/guest/%.S tests/guest/guest.inc tests/guest/guest.ld | build/.setup
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) -c -o $(@:.elf=.o) $< && \
		ld -T tests/guest/guest.ld --no-warn-rwx-segments -o $@ $(@:.elf=.o)

# The same guest as a 32-bit file: some kernels with a PVH note are such.
guests += build/guest/pvh32.elf
build/guest/pvh32.elf: build/guest/pvh.elf
	$(Q)objcopy -O elf32-i386 $< $@

.PHONY: unit-tests layers rooms lint-flags fuzz check system mutants
unit-tests: $(unit_bins) $(replay_bins)
check: all deb $(static_tools) $(B)/tests/filters.trace unit-tests $(guests) images host build/fio/fio ## run every test, lint and check
	$(Q)$(MAKE) --no-print-directory MODE=asan build/asan/husk unit-tests
	$(Q)tests/check $(ONLY)

system: all $(static_tools) $(B)/tests/filters.trace $(guests) images host build/fio/fio ## only the tests with real guests
	$(Q)tests/check system

# Works in a copy of the tree, with objects of its own.
mutants: | build/.setup build/cjson/cJSON.c ## break lines one at a time: tests that do not notice
	$(Q)tests/mutants

layers: $(foreach r,$(rooms),$(call archives,$(r))) $(B)/builtin.a ## check what each room uses
	$(Q)tests/lint/layers $(foreach r,$(rooms),'$(r): $(call archives,$(r)) $(B)/builtin.a')
	$(Q)tests/lint/circles $(B) $(rooms)
rooms: ## list the rooms, and what each may include
	@$(foreach r,$(rooms),echo '$(r): $(uses/$(r))';)

# What tests/lint/sources compiles with.
lint-flags:
	@echo '$(std) $(filter-out -Werror,$(warn))'

# Fuzz targets have a mode of their own; each object is compiled once for all of them.
fuzz: ## fuzz one target, or all of them, T=all: make fuzz T=blk SECONDS=60
	$(Q)$(MAKE) --no-print-directory MODE=fuzz \
		$(addprefix build/fuzz/,$(if $(filter all,$(T)),$(fuzzers),fuzz_$(or $(T),blk)))
	$(Q)tests/fuzz/fuzz $(if $(filter all,$(T)),$(fuzzers:fuzz_%=%),$(or $(T),blk)) \
		$(or $(SECONDS),60)

.PHONY: bench bench-boot bench-api bench-io bench-jail
bench: bench-boot bench-api bench-io bench-jail ## all benchmarks
bench-boot: $(B)/husk images host ## ms at 1 GIPS from exec to the guest's init
	$(Q)benchmarks/boot
bench-io: $(B)/husk images host ## instructions of disks and networks, beside QEMU microvm
	$(Q)benchmarks/io
bench-api: $(B)/husk images host ## ms at 1 GIPS of the API: first reply, requests, pauses
	$(Q)benchmarks/api
bench-jail: all images host ## ms at 1 GIPS of a jail: to husk's main, to the guest's init, filters
	$(Q)benchmarks/jail

# --- the rest ---
.PHONY: format figures install deb clean help
figures: | build/.setup ## draw resources/figures/*.svg anew; needs graphviz, which set-up does not install
	$(Q)for f in resources/figures/*.dot; do dot -Tsvg "$$f" -o "$${f%.dot}.svg" || exit 1; done
format: | build/.setup ## format the sources
	$(Q)tests/lint/files '*.c' '*.h' | xargs clang-format -i
programs := $(addprefix $(B)/,husk husk-jailer husk-seccomp)
docs := README.md SECURITY.md CHANGELOG.md resources/contract.md resources/openapi.yaml
docdir = $(DESTDIR)$(PREFIX)/share/doc/husk
# Hard links, because the jailer follows a symbolic link to the name behind it.
install: $(programs) ## install it all: DESTDIR, PREFIX, FIRECRACKER_NAMES=yes for links named so
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $^
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 resources/man/*.1
	install -D -m 644 -t $(docdir) $(docs)
	install -m 644 jailer/README.md $(docdir)/jailer.md
	install -m 644 resources/seccomp/README.md $(docdir)/seccomp.md
	install -m 644 resources/seccomp/default.json $(docdir)/seccomp-default.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system resources/systemd/husk@.service
	sed -i 's,/usr/bin/husk,$(PREFIX)/bin/husk,g' $(DESTDIR)$(PREFIX)/lib/systemd/system/husk@.service
	$(if $(filter yes,$(FIRECRACKER_NAMES)),cd $(DESTDIR)$(PREFIX)/bin && ln -f husk firecracker && ln -f husk-jailer jailer)
deb: $(programs) ## a Debian package of the same: build/husk_VERSION_amd64.deb
	$(Q)rm -rf build/deb/root build/husk_*.deb
	$(Q)$(MAKE) -s install DESTDIR=build/deb/root PREFIX=/usr
	$(Q)resources/deb/build build/deb/root build
clean: ## remove what was built, but keep the guest kernel
	rm -rf build/release build/asan build/fuzz build/bench build/mutants
help: ## list the targets
	@awk -F ':.* ## ' '/^[a-z-]+:.* ## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B) -name '*.d' 2>/dev/null)
