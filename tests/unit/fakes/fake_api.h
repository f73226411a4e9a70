/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_api: the control API without socket and KVM: requests as text, replies judged,
 * over a machine that can be put into the states of one that runs. One in a process.
 * Failures of its own end the test.
 */
#ifndef HUSK_FAKE_API_H
#define HUSK_FAKE_API_H

#include "api/api.h"
#include "tests/unit/fakes/fake_file.h"

struct fake_api {
	struct machine *machine;
	struct api_counts counts;
	struct api api; /* of the instance "test-1" */
	/* What $K, $D, $E and $L in a request stand for: the paths of a file that is no
	 * kernel, of two disks of two and four sectors, and of an empty file. */
	struct fake_file kernel, disk, other, log;
	struct fake_fifo fifo; /* $F */
	char sock[48], second[48]; /* $S, $T: for sockets, of which there are none */
	/* Of the last request. */
	unsigned status;
	char text[4096]; /* the body, or "" */
	bool deprecated;
};

extern struct fake_api fake_api;

/* For a TestSuite's .init and .fini. The log goes to /dev/null. */
void fake_api_init(void);
void fake_api_fini(void);

/* The machine is now in this state, with a device for each drive and no vCPU. */
void fake_api_enter(enum machine_state state);

/* Sends a request, "METHOD PATH" or "METHOD PATH BODY", and returns the status. Every
 * reply's form is judged: a body or not by status, JSON, the key of an error. */
unsigned ask(const char *request);

/* The request is answered 204; or 200 with this body; or 400 with a text that names
 * each of what, which ends with NULL, and then nothing that can be read has changed. */
void expect_done(const char *request);
void expect_reply(const char *request, const char *body);
void expect_refused(const char *request, const char *const *what);
#define REFUSED(request, ...) \
	expect_refused(request, (const char *const[]){ __VA_ARGS__, NULL })

/* Rows of requests that are refused: request, and one or two things that are named. */
struct refused {
	const char *request, *what, *more;
};
#define EXPECT_ALL_REFUSED(rows) expect_all_refused(rows, ARRAY_LEN(rows))
void expect_all_refused(const struct refused *rows, size_t n);

#endif
