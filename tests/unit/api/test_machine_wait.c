/* SPDX-License-Identifier: Apache-2.0
 *
 * machine_wait: a machine with a drive whose disk does not answer: what the API asks of
 * it is answered later or fails with its reason, and nothing waits meanwhile.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>

#include "api/api.h"
#include "tests/unit/fakes/fake_api.h"
#include "tests/unit/fakes/fake_machine.h"
#include "virtio/blk/blk.h"
#include "virtio/blk/disk_internal.h"
#include "vmm/base/clock.h"
#include "vmm/machine/internal.h"

enum { HEADER = 0x4000, DATA = 0x5000, STATUS = 0x6000 };

static struct machine *machine;
static struct err e;

/* --- a disk that keeps its one request --- */

static struct disk_req *held;
static bool is_dead; /* not even in a drain it answers */
static int held_fd; /* never readable */

static void held_submit(struct disk *d, struct disk_req *req)
{
	(void)d;
	cr_assert_null(held);
	held = req;
}

static void held_submit_all(struct disk *d)
{
	(void)d;
}

static int held_drain(struct disk *d)
{
	struct disk_req *req = held;

	if (!req)
		return -1;
	if (is_dead)
		return held_fd;
	held = NULL;
	req->done(req, 0);
	d->batch(d->batch_self);
	return -1;
}

static void held_close(struct disk *d)
{
	(void)d;
	cr_assert_null(held);
}

static const struct disk_engine engine = { held_submit, held_submit_all, held_drain,
	held_close };

/* The guest's one request, a read of the first sector. */
static void post(void)
{
	const struct virtio_blk_outhdr h = { .type = htole32(VIRTIO_BLK_T_IN) };
	const struct vring_desc chain[3] = {
		{ htole64(HEADER), htole32(sizeof(h)), htole16(VRING_DESC_F_NEXT),
			htole16(1) },
		{ htole64(DATA), htole32(512),
			htole16(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE), htole16(2) },
		{ htole64(STATUS), htole32(1), htole16(VRING_DESC_F_WRITE), 0 },
	};
	const uint16_t avail[3] = { 0, htole16(1), 0 };

	cr_assert_eq(guest_write(machine->mem, HEADER, &h, sizeof(h)), 0);
	cr_assert_eq(guest_write(machine->mem, 0x1000, chain, sizeof(chain)), 0);
	cr_assert_eq(guest_write(machine->mem, 0x2000, avail, sizeof(avail)), 0);
	(void)eventfd_write(mmio_notify_fd(machine->devices.virtio[0], 0), 1);
	cr_assert_eq(loop_poll(machine->env.loop, 1000), 0);
	cr_assert_not_null(held);
}

static void set_up(void)
{
	fake_api_init();
	machine = fake_api.machine;
	held_fd = eventfd(0, EFD_CLOEXEC);
	expect_done("PUT /drives/a {\"drive_id\":\"a\",\"path_on_host\":\"$D\","
		    "\"is_root_device\":false}");
	((struct disk *)machine->set[0].backend)->engine = &engine;
	fake_api_enter(MACHINE_RUNNING);
	fake_machine_drive(machine, 0);
	is_dead = true;
	post();
}

static void tear_down(void)
{
	is_dead = false;
	fake_api_fini();
	close_fd(held_fd);
}

TestSuite(machine_wait, .init = set_up, .fini = tear_down, .timeout = 60);

/* One call of the handler. */
static struct http_reply handle(const struct http_request *req)
{
	struct http_reply reply = { 0 };

	api_handle(&fake_api.api, req, &reply);
	free(reply.body);
	reply.body = NULL;
	return reply;
}

static struct http_request request(
	enum http_method method, const char *path, const char *body)
{
	struct http_request req = {
		.method = method, .body = body, .body_len = strlen(body)
	};

	(void)snprintf(req.path, sizeof(req.path), "%s", path);
	return req;
}

Test(machine_wait, is_paused_when_its_disk_has_answered)
{
	unsigned calls = 0;

	for (; calls < 5; calls++)
		cr_assert_eq(machine_pause(machine, &e), -EINPROGRESS);
	cr_assert_eq(machine_state(machine), MACHINE_RUNNING);
	is_dead = false;
	cr_assert_eq(machine_pause(machine, &e), 0);
	cr_assert_eq(machine_state(machine), MACHINE_PAUSED);
	machine_resume(machine);
	cr_assert_eq(machine_pause(machine, &e), 0, "with its own 30 s");
}

Test(machine_wait, runs_on_when_its_disk_does_not_answer_in_30_s)
{
	uint64_t now = clock_us();

	cr_assert_eq(machine_pause(machine, &e), -EINPROGRESS);
	cr_assert_geq(machine->pause_until_us, now + 29 * 1000000);
	cr_assert_leq(machine->pause_until_us, clock_us() + 30 * 1000000);
	machine->pause_until_us = 1; /* they are over */
	cr_assert_eq(machine_pause(machine, &e), -ETIMEDOUT);
	cr_assert_str_eq(e.text, "'a': its disk does not answer");
	cr_assert_eq(machine_state(machine), MACHINE_RUNNING);
	cr_assert_eq(machine_pause(machine, &e), -EINPROGRESS, "a new one");
	is_dead = false;
	cr_assert_eq(machine_pause(machine, &e), 0);
}

static int patch(const char *path)
{
	return fake_machine_patch_drive(machine, "a", path, NULL, &e);
}

Test(machine_wait, changes_a_drive_when_its_disk_has_answered)
{
	const struct blk_stats *stats = blk_stats(machine->set[0].dev);

	for (unsigned i = 0; i < 5; i++)
		cr_assert_eq(patch(fake_api.other.path), -EINPROGRESS);
	cr_assert_str_eq(fake_machine_drive_path(machine), fake_api.disk.path);
	is_dead = false;
	cr_assert_eq(patch(fake_api.other.path), 0, "%s", e.text);
	cr_assert_str_eq(fake_machine_drive_path(machine), fake_api.other.path);
	cr_assert_eq(stats->update_count, 1);
	cr_assert_eq(stats->update_fails, 0);
}

Test(machine_wait, keeps_a_drive_whose_disk_does_not_answer_in_30_s)
{
	cr_assert_eq(patch(fake_api.other.path), -EINPROGRESS);
	machine->set[0].change_until_us = 1;
	cr_assert_eq(patch(fake_api.other.path), -ETIMEDOUT);
	cr_assert_str_eq(e.text, "drive 'a': its disk does not answer");
	cr_assert_str_eq(fake_machine_drive_path(machine), fake_api.disk.path);
	cr_assert_eq(blk_stats(machine->set[0].dev)->update_fails, 1);
	is_dead = false;
}

Test(machine_wait, answers_who_only_asks_while_it_is_paused)
{
	struct http_request pause = request(
				    HTTP_METHOD_PATCH, "/vm", "{\"state\":\"Paused\"}"),
			    resume = request(HTTP_METHOD_PATCH, "/vm",
				    "{\"state\":\"Resumed\"}"),
			    get = request(HTTP_METHOD_GET, "/", "");

	for (unsigned i = 0; i < 5; i++) {
		cr_assert(handle(&pause).later);
		cr_assert(handle(&resume).later, "it comes after the pause");
		cr_assert_eq(handle(&get).status, 200);
	}
	is_dead = false;
	cr_assert_eq(handle(&pause).status, 204);
	cr_assert_eq(machine_state(machine), MACHINE_PAUSED);
	cr_assert_eq(handle(&resume).status, 204);
	cr_assert_eq(machine_state(machine), MACHINE_RUNNING);
	cr_assert_gt(fake_api.counts.latencies_us.pause_vm, 0);
}

Test(machine_wait, says_in_the_reply_what_did_not_answer)
{
	struct http_request pause =
		request(HTTP_METHOD_PATCH, "/vm", "{\"state\":\"Paused\"}");

	cr_assert(handle(&pause).later);
	machine->pause_until_us = 1;
	cr_assert_eq(handle(&pause).status, 400);
	cr_assert_null(fake_api.api.waiting);
	is_dead = false;
}

Test(machine_wait, counts_a_request_that_is_answered_later_once)
{
	struct http_request change = request(HTTP_METHOD_PATCH, "/drives/a",
		"{\"drive_id\":\"a\",\"path_on_host\":\"/dev/null\"}");

	for (unsigned i = 0; i < 5; i++)
		cr_assert(handle(&change).later);
	is_dead = false;
	cr_assert_eq(handle(&change).status, 204);
	cr_assert_eq(fake_api.counts.patch_api_requests.drive_count, 1);
}

/* What it leaves behind, which the process would. */
static struct mmio *left;
static struct guest_mem *left_memory;

Test(machine_wait, ends_although_its_disk_does_not_answer)
{
	uint8_t byte = 1;

	left = machine->devices.virtio[0];
	left_memory = machine->mem;
	machine_unbuild(machine);
	cr_assert_null(machine->mem);
	cr_assert_eq(machine->devices.n_virtio, 0);
	/* the kernel may write to it still */
	cr_assert_eq(guest_read(left_memory, DATA, &byte, 1), 0);
	is_dead = false;
	mmio_destroy(left);
	guest_mem_destroy(left_memory);
}
