/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file: the sections of a config file (contract, section 10), applied to a
 * machine that never starts: what is taken, what is ignored, what is refused by which
 * name, and what a refused body leaves as it was.
 */
#include "api/config_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakes/fake_file.h"
#include "tests/unit/fakes/fake_machine.h"
#include "vmm/base/log.h"

static struct machine *machine;
static struct api_counts counts;
static struct api api;
static struct fake_file kernel, disk, other;
static struct err e;

static void set_up(void)
{
	static char sectors[1024];

	machine = fake_machine_create(NULL);
	api = (struct api){ .machine = machine, .counts = &counts, .id = "test" };
	kernel = fake_file("no kernel at all", 16);
	disk = fake_file(sectors, sizeof(sectors));
	other = fake_file(sectors, sizeof(sectors));
}

static void tear_down(void)
{
	fake_machine_destroy(machine);
	fake_file_close(&kernel);
	fake_file_close(&disk);
	fake_file_close(&other);
}

TestSuite(config_file, .init = set_up, .fini = tear_down);

/* Applies a document in which $K, $D and $E are the paths of a kernel and two disks,
 * and $B is a boot source without further settings. */
static int apply(const char *text)
{
	static char doc[1 << 16];
	size_t n = 0;

	for (; *text != '\0'; text++) {
		char what = *text == '$' ? *++text : '\0';
		const char *path = what == 'D' ? disk.path
			: what == 'E'	       ? other.path
					       : kernel.path;

		if (what == '\0')
			doc[n++] = *text;
		else if (what == 'B')
			n += (size_t)snprintf(doc + n, sizeof(doc) - n,
				"\"boot-source\":{\"kernel_image_path\":\"%s\"}", path);
		else
			n += (size_t)snprintf(doc + n, sizeof(doc) - n, "%s", path);
		cr_assert_lt(n, sizeof(doc));
	}
	return config_apply(&api, doc, n, &e);
}

static void expect_taken(const char *text)
{
	cr_expect_eq(apply(text), 0, "%s: %s", text, e.text);
}

static void expect_refused(const char *text, const char *section, const char *why)
{
	cr_expect_lt(apply(text), 0, "%s", text);
	cr_expect(strstr(e.text, section), "%s: %s", text, e.text);
	cr_expect(strstr(e.text, why), "%s: %s", text, e.text);
}

#define ROOT(id, path)                                      \
	"{\"drive_id\":\"" id "\",\"path_on_host\":\"" path \
	"\",\"is_root_device\":true}"
#define DATA(id, path)                                      \
	"{\"drive_id\":\"" id "\",\"path_on_host\":\"" path \
	"\",\"is_root_device\":false}"

Test(config_file, takes_the_least_that_is_required)
{
	expect_taken("{$B,\"drives\":[]}");
}

Test(config_file, takes_every_section)
{
	expect_taken(
		"{\"boot-source\":{\"kernel_image_path\":\"$K\","
		"\"initrd_path\":\"$K\",\"boot_args\":\"console=ttyS0 -- x\"},"
		"\"drives\":[{\"drive_id\":\"root\",\"path_on_host\":\"$D\","
		"\"is_root_device\":true,\"is_read_only\":false,"
		"\"partuuid\":null,\"cache_type\":\"Unsafe\","
		"\"io_engine\":\"Sync\"},{\"drive_id\":\"data\","
		"\"path_on_host\":\"$E\",\"is_root_device\":false,"
		"\"is_read_only\":true}],"
		"\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":256,"
		"\"smt\":true,\"track_dirty_pages\":false,\"huge_pages\":\"None\"},"
		"\"serial\":{\"serial_out_path\":\"/tmp/x\"}}");
}

Test(config_file, sets_log_and_metrics_first)
{
	struct fake_file log = fake_file("", 0);
	char doc[512], text[4096];

	/* in whatever order they come, so that the log has what fails later */
	(void)snprintf(doc, sizeof(doc),
		"{$B,\"drives\":[" DATA("half",
			"%s") "],"
			      "\"metrics\":{\"metrics_path\":\"/dev/null\"},"
			      "\"logger\":{\"log_path\":\"%s\",\"level\":\"Warn\"}}",
		log.path, log.path);
	cr_assert_eq(write(log.fd, "x", 1), 1);
	expect_taken(doc);
	(void)fake_file_text(&log, text, sizeof(text));
	cr_expect(strstr(text, "drive 'half': the last 1 bytes"), "%s", text);
	cr_expect_eq(machine_set_metrics(machine, "/dev/null", NULL, &e), -EEXIST);
	fake_file_close(&log);
}

Test(config_file, refuses_log_and_metrics_that_cannot_be)
{
	expect_refused("{$B,\"drives\":[],\"logger\":{\"level\":\"loud\"}}", "logger",
		"level 'loud'");
	expect_refused("{$B,\"drives\":[],\"logger\":[]}", "logger", "not an object");
	expect_refused("{$B,\"drives\":[],\"metrics\":{}}", "metrics",
		"'metrics_path' is missing");
}

Test(config_file, takes_what_get_vm_config_prints_for_absent_sections)
{
	expect_taken("{$B,\"drives\":[],\"balloon\":null,\"network-interfaces\":[],"
		     "\"vsock\":null,\"logger\":null,\"metrics\":null,"
		     "\"mmds-config\":null,\"cpu-config\":null,\"entropy\":null,"
		     "\"pmem\":[],\"memory-hotplug\":null,\"machine-config\":null,"
		     "\"serial\":null}");
}

Test(config_file, ignores_unknown_sections)
{
	expect_taken("{$B,\"drives\":[],\"comment\":\"mine\",\"x\":{\"y\":[1,2]}}");
}

Test(config_file, refuses_a_missing_or_null_required_section)
{
	expect_refused("{}", "'boot-source'", "is missing");
	expect_refused("{\"drives\":[]}", "'boot-source'", "is missing");
	expect_refused("{$B}", "'drives'", "is missing");
	expect_refused(
		"{\"boot-source\":null,\"drives\":[]}", "boot-source", "not an object");
	expect_refused("{$B,\"drives\":null}", "drives", "not an array");
}

Test(config_file, refuses_sections_of_the_wrong_type)
{
	expect_refused(
		"{\"boot-source\":[],\"drives\":[]}", "boot-source", "not an object");
	expect_refused("{$B,\"drives\":{}}", "drives", "not an array");
	expect_refused("{$B,\"drives\":[1]}", "drives[0]", "not an object");
	expect_refused("{$B,\"drives\":[],\"machine-config\":2}", "machine-config",
		"not an object");
	expect_refused(
		"{$B,\"drives\":[],\"serial\":\"/x\"}", "serial", "not an object");
}

Test(config_file, refuses_what_is_no_object)
{
	expect_refused("[]", "not an object", "");
	expect_refused("null", "not an object", "");
	expect_refused("", "line 1 column 1", "ends early");
	expect_refused("{$B,\"drives\":[]}}", "line 1", "text follows");
}

Test(config_file, refuses_a_section_given_twice)
{
	expect_refused("{$B,\"drives\":[],\"drives\":[]}", "'drives'", "given twice");
}

Test(config_file, says_not_in_this_version_by_the_sections_name)
{
	static const char *const names[] = { "mmds-config" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		static const char *const values[] = { "{}", "[{}]", "\"x\"", "0",
			"false" };
		char doc[256], quoted[64];

		(void)snprintf(quoted, sizeof(quoted), "'%s'", names[i]);
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			(void)snprintf(doc, sizeof(doc), "{$B,\"drives\":[],\"%s\":%s}",
				names[i], values[v]);
			expect_refused(doc, quoted, "not in this version");
		}
	}
}

Test(config_file, takes_cpu_templates_of_both_kinds)
{
	static const char text[] = "{\"kvm_capabilities\":[\"9\"]}";
	struct fake_file body = fake_file(text, strlen(text));
	char doc[256];

	expect_taken("{$B,\"drives\":[],\"cpu-config\":{}}");
	expect_taken("{$B,\"drives\":[],\"machine-config\":{\"vcpu_count\":1,"
		     "\"mem_size_mib\":1,\"cpu_template\":\"T2CL\"},\"cpu-config\":"
		     "{\"msr_modifiers\":[{\"addr\":\"0x1\",\"bitmap\":\"1\"}]}}");
	(void)snprintf(doc, sizeof(doc), "{$B,\"drives\":[],\"cpu-config\":\"%s\"}",
		body.path);
	expect_taken(doc);
	fake_file_close(&body);
	expect_refused(
		"{$B,\"drives\":[],\"cpu-config\":[]}", "cpu-config", "not an object");
	expect_refused("{$B,\"drives\":[],\"cpu-config\":{\"x\":1}}", "cpu-config",
		"unknown member 'x'");
	expect_refused("{$B,\"drives\":[],\"cpu-config\":\"/nowhere\"}", "cpu-config",
		"cannot open '/nowhere'");
	expect_refused("{$B,\"drives\":[],\"cpu-config\":\"$K\"}", "/proc/self/fd/",
		"line 1 column 1");
}

Test(config_file, takes_vsock_and_limits_and_names_what_it_refuses)
{
	struct fake_fifo fifo = fake_fifo();
	char doc[512], path[48];

	(void)snprintf(path, sizeof(path), "%.30s/s", fifo.dir.path);
	(void)snprintf(doc, sizeof(doc),
		"{$B,\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"$D\","
		"\"is_root_device\":false,\"rate_limiter\":{\"ops\":{\"size\":1,"
		"\"refill_time\":2}}}],\"vsock\":{\"guest_cid\":3,\"uds_path\":\"%s\"}}",
		path);
	expect_taken(doc);
	expect_taken(doc); /* replaces it by itself */
	cr_expect_eq(unlink(path), 0);
	(void)snprintf(doc, sizeof(doc),
		"{$B,\"drives\":[],\"vsock\":{\"guest_cid\":3,\"uds_path\":\"%s\"}}",
		fifo.path);
	expect_refused(doc, "vsock config", "in use");
	expect_refused("{$B,\"drives\":[],\"vsock\":[]}", "vsock", "not an object");
	fake_fifo_remove(&fifo);
}

Test(config_file, takes_interfaces_as_a_list)
{
	expect_refused("{$B,\"drives\":[],\"network-interfaces\":{}}",
		"network-interfaces", "not an array");
	expect_refused("{$B,\"drives\":[],\"network-interfaces\":[{\"iface_id\":\"e\","
		       "\"host_dev_name\":\"tap4567890123456\"}]}",
		"network-interfaces[0]", "1 to 15 bytes");
}

Test(config_file, says_which_devices_there_will_never_be)
{
	static const char *const names[] = { "balloon", "entropy", "pmem",
		"memory-hotplug" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char doc[256];

		(void)snprintf(doc, sizeof(doc), "{$B,\"drives\":[],\"%s\":{\"a\":1}}",
			names[i]);
		expect_refused(
			doc, names[i], "virtio-net, virtio-blk and virtio-vsock only");
	}
}

Test(config_file, refuses_unknown_members_inside_sections)
{
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"$K\",\"x\":1},"
		       "\"drives\":[]}",
		"boot-source", "unknown member 'x'");
	expect_refused("{$B,\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"$D\","
		       "\"is_root_device\":false},{\"id\":1}]}",
		"drives[1]", "unknown member 'id'");
}

/* --- machine-config --- */

Test(config_file, refuses_an_impossible_machine)
{
	static const char *const bad[][2] = {
		{ "{\"vcpu_count\":0,\"mem_size_mib\":1}", "vcpu_count" },
		{ "{\"vcpu_count\":33,\"mem_size_mib\":1}", "vcpu_count" },
		{ "{\"vcpu_count\":3,\"mem_size_mib\":1,\"smt\":true}",
			"vcpu_count 3 is odd" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":0}", "mem_size_mib" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":18446744073709551615}",
			"mem_size_mib" },
		{ "{\"vcpu_count\":1,\"mem_size_mib\":3,\"huge_pages\":\"2M\"}",
			"mem_size_mib 3 is odd" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char doc[256];

		(void)snprintf(doc, sizeof(doc),
			"{$B,\"drives\":[],\"machine-config\":%s}", bad[i][0]);
		expect_refused(doc, bad[i][1], "");
	}
}

/* --- boot-source --- */

Test(config_file, refuses_a_kernel_or_initrd_that_cannot_be_opened)
{
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"/nonexistent/k\"},"
		       "\"drives\":[]}",
		"kernel '/nonexistent/k'", "No such file");
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"$K\","
		       "\"initrd_path\":\"/nonexistent/i\"},\"drives\":[]}",
		"initrd '/nonexistent/i'", "No such file");
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"\"},\"drives\":[]}",
		"kernel ''", "No such file");
}

Test(config_file, does_not_wait_for_the_writer_of_a_fifo, .timeout = 300)
{
	struct fake_fifo fifo = fake_fifo();
	char doc[256];

	(void)snprintf(doc, sizeof(doc),
		"{\"boot-source\":{\"kernel_image_path\":\"%s\"},\"drives\":[]}",
		fifo.path);
	(void)apply(doc); /* that it comes back is the point */
	(void)snprintf(doc, sizeof(doc),
		"{$B,\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"%s\","
		"\"is_root_device\":false,\"is_read_only\":true}]}",
		fifo.path);
	expect_refused(doc, "drive 'a'", "cannot be a disk");
	fake_fifo_remove(&fifo);
}

/* A pipe with n bytes and no writer any more, by the path that a shell gives it. */
static int fake_pipe(const char *text, char path[static 32])
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
	close(ends[1]);
	(void)snprintf(path, 32, "/dev/fd/%d", ends[0]);
	return ends[0];
}

Test(config_file, may_be_a_pipe_and_so_may_its_cpu_template)
{
	char doc[256], path[32], template[32];
	int cpu = fake_pipe("{}", template), config;

	(void)snprintf(doc, sizeof(doc),
		"{\"boot-source\":{\"kernel_image_path\":\"%s\"},\"drives\":[],"
		"\"cpu-config\":\"%s\"}",
		kernel.path, template);
	config = fake_pipe(doc, path);
	cr_expect_eq(config_load(&api, path, &e), 0, "%s", e.text);
	close(config);
	close(cpu);
}

static int apply_args(size_t n, char c)
{
	char doc[4096] =
		"{\"boot-source\":{\"kernel_image_path\":\"$K\",\"boot_args\":\"";
	size_t at = strlen(doc);

	memset(doc + at, c, n);
	(void)snprintf(doc + at + n, sizeof(doc) - at - n, "\"},\"drives\":[]}");
	return apply(doc);
}

Test(config_file, refuses_boot_arguments_over_2047_characters)
{
	cr_expect_eq(apply_args(0, 'x'), 0);
	cr_expect_eq(apply_args(2047, 'x'), 0, "%s", e.text);
	cr_expect_eq(apply_args(2048, 'x'), -EINVAL);
	cr_expect(strstr(e.text, "longer than 2047"), "%s", e.text);
}

Test(config_file, refuses_boot_arguments_that_are_not_printable)
{
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"$K\","
		       "\"boot_args\":\"a\\nb\"},\"drives\":[]}",
		"boot arguments", "not printable");
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"$K\","
		       "\"boot_args\":\"gr\\u00fc\"},\"drives\":[]}",
		"boot arguments", "not printable");
}

/* --- drives --- */

Test(config_file, refuses_two_root_drives)
{
	expect_refused("{$B,\"drives\":[" ROOT("a", "$D") "," ROOT("b", "$E") "]}",
		"drives[1]: drive config: drive 'b'", "'a' is the root device already");
}

Test(config_file, replaces_a_drive_of_the_same_id)
{
	expect_taken("{$B,\"drives\":[" ROOT("a", "$D") "," ROOT("a", "$E") "]}");
	expect_taken("{$B,\"drives\":[" DATA("a", "$D") "," ROOT("b", "$E") "]}");
}

Test(config_file, refuses_a_drive_that_cannot_be_opened)
{
	expect_refused("{$B,\"drives\":[" DATA("a", "/nonexistent/d") "]}",
		"drives[0]: drive config: drive 'a'", "'/nonexistent/d': No such file");
	expect_refused("{$B,\"drives\":[" DATA("a", "/tmp") "]}", "drive 'a'",
		"Is a directory");
	expect_refused("{$B,\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"/tmp\","
		       "\"is_root_device\":false,\"is_read_only\":true}]}",
		"drive 'a'", "Is a directory");
	expect_refused("{$B,\"drives\":[" DATA("a", "/dev/ptmx") "]}", "drive 'a'",
		"'/dev/ptmx' cannot be a disk");
}

Test(config_file, refuses_a_drive_without_a_path_and_of_a_wrong_name)
{
	expect_refused(
		"{$B,\"drives\":[{\"drive_id\":\"a\",\"is_root_device\":false}]}",
		"drive 'a'", "path_on_host is missing");
	expect_refused("{$B,\"drives\":[" DATA("a-b", "$D") "]}", "drives[0]", "'a-b'");
	expect_refused("{$B,\"drives\":[" DATA("", "$D") "]}", "drives[0]", "drive_id");
}

Test(config_file, takes_an_empty_drive_and_one_with_half_a_sector)
{
	struct fake_file half = fake_file("x", 1), none = fake_file("", 0);
	char doc[512];

	(void)snprintf(doc, sizeof(doc),
		"{$B,\"drives\":[" DATA("h", "%s") "," DATA("n", "%s") "]}", half.path,
		none.path);
	expect_taken(doc);
	fake_file_close(&half);
	fake_file_close(&none);
}

Test(config_file, takes_18_drives_and_refuses_19)
{
	char doc[8192] = "{$B,\"drives\":[";
	size_t n = strlen(doc);

	for (unsigned i = 0; i < 18; i++)
		n += (size_t)snprintf(
			doc + n, sizeof(doc) - n, DATA("d%u", "$D") ",", i);
	doc[n - 1] = ']';
	doc[n] = '}';
	doc[n + 1] = '\0';
	expect_taken(doc);
	(void)snprintf(doc + n - 1, sizeof(doc) - n, "," DATA("more", "$D") "]}");
	expect_refused(doc, "drives[18]: drive config: drive 'more'", "18 already");
}

/* --- what a refused body leaves --- */

Test(config_file, keeps_a_drive_whose_replacement_is_refused)
{
	expect_taken("{$B,\"drives\":[" ROOT("a", "$D") "]}");
	expect_refused("{$B,\"drives\":[" DATA("a", "/tmp") "]}", "drive 'a'", "");
	expect_refused("{$B,\"drives\":[" ROOT("b", "$E") "]}", "drive 'b'",
		"'a' is the root device already");
	expect_taken("{$B,\"drives\":[" DATA("a", "$D") "," ROOT("b", "$E") "]}");
}

Test(config_file, keeps_a_boot_source_whose_replacement_is_refused)
{
	expect_taken("{$B,\"drives\":[]}");
	expect_refused("{\"boot-source\":{\"kernel_image_path\":\"/nonexistent\"},"
		       "\"drives\":[]}",
		"kernel", "");
	/* without KVM it cannot start, with KVM it finds no kernel in the file */
	cr_expect_lt(machine_start(machine, &e), 0);
	cr_expect_null(strstr(e.text, "no boot source"), "%s", e.text);
}

Test(config_file, leaves_a_machine_that_cannot_start_without_a_boot_source)
{
	expect_refused("{\"drives\":[]}", "boot-source", "");
	cr_expect_eq(machine_start(machine, &e), -EINVAL);
	cr_expect(strstr(e.text, "no boot source is set"), "%s", e.text);
}

Test(config_file, opens_no_more_files_than_the_settings_have)
{
	static const char doc[] = "{$B,\"drives\":[" ROOT("a", "$D") "]}";
	static const char bad[] =
		"{\"boot-source\":{\"kernel_image_path\":\"$K\",\"initrd_path\":\"/none\"},"
		"\"drives\":[" ROOT("a", "$D") "]}";
	unsigned fds;

	expect_taken(doc);
	fds = fake_open_fds();
	for (int i = 0; i < 5; i++) {
		expect_taken(doc);
		expect_refused(bad, "initrd", "");
		expect_refused("{$B,\"drives\":[" DATA("b", "/tmp") "]}", "'b'", "");
	}
	cr_expect_eq(fake_open_fds(), fds);
}

/* --- from a file --- */

Test(config_file, names_the_file_that_it_read)
{
	struct fake_file f = fake_file("{\n\"drives\": 01}", 15);

	cr_expect_eq(config_load(&api, f.path, &e), -EINVAL);
	cr_expect(strstr(e.text, f.path) && strstr(e.text, "line 2 column 12"), "%s",
		e.text);
	cr_expect_eq(config_load(&api, "/nonexistent/c", &e), -ENOENT);
	cr_expect(strstr(e.text, "'/nonexistent/c'"), "%s", e.text);
	fake_file_close(&f);
}

Test(config_file, refuses_a_file_over_its_limit)
{
	static char much[CONFIG_FILE_MAX + 1];
	struct fake_file f;

	memset(much, ' ', sizeof(much));
	f = fake_file(much, sizeof(much));
	cr_expect_eq(config_load(&api, f.path, &e), -EINVAL);
	cr_expect(strstr(e.text, "at most 1048576"), "%s", e.text);
	fake_file_close(&f);
}

Test(config_file, loads_a_file)
{
	char doc[256];
	struct fake_file f;

	(void)snprintf(doc, sizeof(doc),
		"{\"boot-source\":{\"kernel_image_path\":\"%s\"},\"drives\":[]}\n",
		kernel.path);
	f = fake_file(doc, strlen(doc));
	cr_expect_eq(config_load(&api, f.path, &e), 0, "%s", e.text);
	fake_file_close(&f);
}
