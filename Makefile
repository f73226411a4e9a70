# husk: `make run` boots a guest, `make check` tests everything, `make help` lists targets.
# One file, not recursive. Outputs go to build/; V=1 shows commands; MODE=release|asan|fuzz.

# All processors, unless a -j says otherwise. Makes that this one runs share them.
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

std := -std=gnu11 -D_GNU_SOURCE -I. -Ibuild/cjson -isystem /usr/share/include/llhttp -MMD -MP -pthread
warn := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wconversion \
	$(if $(CI),-Werror)
# Small, but for the data path and what copies guest memory.
opt_release = $(if $(filter virtio/% vmm/core/%,$<),-O2,-Os)
mode_release := -fPIE -ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2 \
	-fstack-protector-strong -ftrivial-auto-var-init=zero -fno-asynchronous-unwind-tables
mode_asan := -O1 -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
# Clang's, with its own warnings off: tests/lint/warnings has them.
mode_fuzz := -w -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
# Half the time of the compiler; what is tested has -O1.
opt_asan = $(if $(filter tests/%,$<),-O0)
# What is tested is to be covered, not what tests it.
opt_fuzz = $(if $(filter tests/%,$<),,-fsanitize=fuzzer-no-link)
link_release := -static-pie -Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs \
	-Wl,--no-eh-frame-hdr,-T,resources/release.ld
# Dynamic, and whole: Criterion finds its tests in a section that nothing refers to.
link_tests_release := -pie
link_tests_asan := -fsanitize=address,undefined -pie
link_asan := -fsanitize=address,undefined -pie
link_fuzz := -fsanitize=address,undefined
ldlibs := -l:liburing.a
flags := $(std) $(warn) $(mode_$(MODE)) $(CFLAGS)

# --- layers, lowest first: each may use those before it (HACKING.md) ---
layers := base core virtio vmm api
src_base := $(wildcard vmm/base/*.c)
src_core := $(wildcard vmm/core/*.c)
src_virtio := $(wildcard virtio/*.c)
src_vmm := $(filter-out vmm/main.c,$(wildcard vmm/*.c))
src_api := $(wildcard api/*.c)
# Beside the others: it uses base only, and nothing uses it.
src_jailer := $(filter-out jailer/main.c,$(wildcard jailer/*.c))
src := $(foreach l,$(layers),$(src_$(l)))
# Beside the others, and in no program but husk-seccomp, which the build runs.
src_seccomp := $(filter-out %/main.c,$(wildcard resources/seccomp/*.c))
obj = $(patsubst %.c,$(B)/%.o,$(1))
libs_base := $(B)/base.a
libs_core := $(B)/core.a $(libs_base)
libs_virtio := $(B)/virtio.a $(libs_core)
libs_vmm := $(B)/vmm.a $(libs_virtio)
libs_seccomp := $(B)/seccomp.a $(call obj,api/json.c api/json_fields.c api/json_scan.c vmm/filter.c) \
	$(B)/cjson.a $(libs_core)
libs_api := $(B)/api.a $(B)/cjson.a $(B)/llhttp.a $(libs_vmm)
libs_jailer := $(B)/jailer.a $(libs_base)

.PHONY: all FORCE
all: $(B)/husk $(B)/husk-jailer $(B)/husk-seccomp ## build husk, its jailer and husk-seccomp
.DELETE_ON_ERROR:
.PRECIOUS: $(B)/%.o $(B)/%.a build/guest/%.elf

$(B)/husk $(B)/husk-jailer: resources/release.ld
$(B)/husk: $(B)/vmm/main.o $(libs_api)
$(B)/husk-jailer: $(B)/jailer/main.o $(libs_jailer)
$(B)/husk $(B)/husk-jailer:
	$(call say,LINK,$@)
	$(Q)$(CC) $(flags) $(link_$(MODE)) -o $@ $(filter-out %.ld,$^) $(ldlibs) $(LDFLAGS)
	$(Q)$(if $(filter release,$(MODE)),cp $@ $@.debug && strip $@,true)

$(foreach l,$(layers) jailer,$(eval $(B)/$(l).a: $(call obj,$(src_$(l)))))
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

# --- the system call filters: compiled now, so that nothing is at husk's start ---
$(B)/seccomp.a: $(call obj,$(src_seccomp))
$(B)/vmm.a: $(B)/filter_builtin.o
$(B)/husk-seccomp: $(B)/resources/seccomp/main.o $(libs_seccomp)
	$(call say,LINK,$@)
	$(Q)$(CC) $(flags) $(link_$(MODE)) -o $@ $^ -l:libseccomp.a $(LDFLAGS)
	$(Q)$(if $(filter release,$(MODE)),strip $@,true)
filters := resources/seccomp/default.json $(if $(filter asan,$(MODE)),resources/seccomp/asan.json)
compile_filters = $(B)/husk-seccomp --input-file $(firstword $(filters)) \
	$(addprefix --add-file ,$(word 2,$(filters)))
$(B)/filter_builtin.c: $(B)/husk-seccomp $(filters)
	$(call say,BPF,$@)
	$(Q)$(compile_filters) --c-source --output-file $@
$(B)/filter_builtin.o: $(B)/filter_builtin.c $(B)/flags
	$(Q)$(CC) $(flags) $(opt_$(MODE)) -c -o $@ $<
# The same, which stop for a tracer that counts what is of use: tests/system/filters.
$(B)/tests/filters.trace: $(B)/husk-seccomp $(filters)
	$(Q)mkdir -p $(@D) && $(compile_filters) --trace --output-file $@ && $(compile_filters) --list >$@.list
# Its tests need more than a layer and those below.
$(B)/tests/test_dialect: ldlibs := $(B)/seccomp.a $(libs_api) $(ldlibs) -l:libseccomp.a
$(B)/tests/test_dialect: $(B)/seccomp.a

$(B)/cjson/cJSON.o: build/cjson/cJSON.c $(B)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(opt_$(MODE)) -w -DCJSON_NESTING_LIMIT=64 -c -o $@ $<

$(B)/llhttp/%.o: /usr/share/llhttp/%.c $(B)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(opt_$(MODE)) -w -c -o $@ $<

build/cjson/cJSON.c: | build/.setup
	$(Q)resources/build-cjson.sh build/cjson

# A changed flag rebuilds.
$(B)/flags: FORCE
	$(Q)mkdir -p $(@D) && echo '$(CC) $(flags) $(link_$(MODE))' | cmp -s - $@ || \
		echo '$(CC) $(flags) $(link_$(MODE))' >$@
FORCE:

# Every time, since build/ may come from another machine; it takes 0.03 s. Whatever runs a
# command that is not in Debian's minimal system, or reads a file that is not, comes after it.
build/.setup: FORCE
	$(Q)mkdir -p build && $(if $(filter no,$(SETUP)),true,$(or $(SETUP),resources/setup.sh)) && touch $@

# --- guest kernel, images, reference host ---
.PHONY: kernel images host
kernel: | build/.setup ## the guest kernel: build/kernel/vmlinux and bzImage
	$(Q)resources/build-kernel.sh build/kernel
images: kernel ## root images and initramfs: build/images
	$(Q)resources/build-images.sh build/kernel build/images
# After cJSON: one apt at a time.
host: | build/.setup build/cjson/cJSON.c ## the emulated AMD server on which real guests run: build/host
	$(Q)tests/host/build-refhost build/host

build/fio/fio: tests/build-fio | build/.setup
	$(Q)tests/build-fio build/fio

.PHONY: run
run: $(B)/husk images host ## boot a guest and say how long it took
	$(Q)tests/system/run $(B)/husk

# --- tests ---
units := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
unit_fakes := $(filter-out $(patsubst %,tests/unit/%.c,$(units)),$(wildcard tests/unit/*.c))
fuzzers := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
unit_bins := $(addprefix $(B)/tests/,$(units))
replay_bins := $(addprefix $(B)/tests/replay_,$(fuzzers:fuzz_%=%))
# The layer that a test is about; it links that and what is below, nothing more.
layer_of = $(or $(strip $(foreach l,$(layers) jailer,$(if $(filter $(1),$(tests_$(l))),$(l)))),api)
tests_base := test_args test_base test_err test_io test_log test_loop test_name test_unix_socket test_utf8
tests_core := test_bus test_guest_mem test_kvm test_snap
tests_virtio := fuzz_blk fuzz_net fuzz_vsock test_blk test_blk_async test_blk_config test_blk_flight test_blk_limits test_blk_ranges test_blk_turns test_bucket test_disk test_disk_async test_limiter test_mmio test_mmio_life test_net test_net_errors test_net_rx test_net_tx test_queue test_queue_ring test_tap test_vsock test_vsock_bad test_vsock_conn test_vsock_end test_vsock_last test_vsock_life test_vsock_places test_vsock_time
tests_vmm := fuzz_filter fuzz_kernel test_acpi test_boot test_cmdline test_config test_cpu_start test_cpu_template test_cpuid test_device_list test_filter test_i8042 test_input test_kernel_args test_kernel_hostile test_kernel_image test_kernel_pvh test_machine_lock test_machine_net test_machine_run test_machine_vsock test_metrics test_metrics_stream test_mptable test_notify test_power test_rtc test_serial test_serial_limit test_signals test_start_order test_vcpu test_vcpu_exits
tests_jailer := test_jailer_cgroup test_jailer_devices test_jailer_files test_jailer_ids test_jailer_options
ldlibs_openapi := -lyaml

$(B)/fakes.a: $(call obj,$(unit_fakes))
$(B)/tests/test_%: $(B)/tests/unit/test_%.o $(B)/fakes.a $(libs_api) $(B)/jailer.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(link_tests_$(MODE)) -o $@ \
		$< -Wl,--start-group $(B)/fakes.a $(libs_$(call layer_of,test_$*)) -Wl,--end-group \
		$(ldlibs) -lcriterion $(ldlibs_$*)
fuzz_parts := $(B)/tests/fuzz/confine.o $(B)/tests/fuzz/fake_timer.o
replay_parts := $(B)/tests/fuzz/replay.o $(fuzz_parts)
$(B)/tests/replay_%: $(B)/tests/fuzz/fuzz_%.o $(replay_parts) $(libs_api)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(flags) $(link_tests_$(MODE)) -o $@ \
		$< $(replay_parts) $(libs_$(call layer_of,fuzz_$*)) $(ldlibs)

$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(fuzz_parts) $(libs_api)
	$(call say,LINK,$@)
	$(Q)$(CC) $(flags) $(link_fuzz) -fsanitize=fuzzer -o $@ \
		$< $(fuzz_parts) $(libs_$(call layer_of,fuzz_$*)) $(ldlibs)

# What tests/system/jail puts into jails in place of husk; what attacks one that is jailed;
# what those of devices run in guests and beside them.
static_tools := $(addprefix $(B)/tests/,attack jailed talk traffic)
$(static_tools): $(B)/tests/%: tests/system/%.c $(B)/flags | build/.setup
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(std) $(warn) -O1 -static -o $@ $<

guests := $(patsubst tests/guest/%.S,build/guest/%.elf,$(wildcard tests/guest/*.S))
build/guest/%.elf: tests/guest/%.S tests/guest/guest.inc tests/guest/guest.ld | build/.setup
	$(call say,GUEST,$@)
	$(Q)mkdir -p $(@D) && $(CC) -c -o $(@:.elf=.o) $< && \
		ld -T tests/guest/guest.ld --no-warn-rwx-segments -o $@ $(@:.elf=.o)

# The same kernel as a 32-bit file, as some of those with a PVH entry are.
guests += build/guest/pvh32.elf
build/guest/pvh32.elf: build/guest/pvh.elf
	$(Q)objcopy -O elf32-i386 $< $@

.PHONY: unit-tests layers fuzz check system mutants
unit-tests: $(unit_bins) $(replay_bins)
check: all deb $(static_tools) $(B)/tests/filters.trace unit-tests $(guests) images host build/fio/fio ## run every test, lint and check
	$(Q)$(MAKE) --no-print-directory MODE=asan build/asan/husk unit-tests
	$(Q)tests/check $(ONLY)

system: all $(static_tools) $(B)/tests/filters.trace $(guests) images host build/fio/fio ## only the tests with real guests
	$(Q)tests/check system

# In a copy of the tree, with objects of its own.
mutants: | build/.setup build/cjson/cJSON.c ## break lines one at a time: tests that do not notice
	$(Q)tests/mutants

layers: $(libs_api) $(libs_jailer) ## check that no layer calls a higher one
	$(Q)tests/lint/layers $(B) $(layers)
	$(Q)tests/lint/layers $(B) base jailer

# Objects of a mode of their own, each compiled once for all targets.
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
# Hard links, since the jailer follows symbolic ones to the name behind them.
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
