/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: see the header. Phases, and the stream of lines.
 */
#include "vmm/metrics/metrics.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/metrics/internal.h"

struct metrics {
	int fd;
	char *extra; /* or NULL */
	bool own; /* lines have husk's own groups and members too */
	size_t room; /* of each text */
	struct metrics_values now, last; /* last: of the last line that was taken */
	uint64_t missed, fails;
	/* Held while the file is written and what that changes is noted, never waited
	 * for; metrics_flush_fatal keeps it. */
	bool writing;
	char *text; /* at to n of it is still to be written */
	size_t at, n;
	struct metrics_values fatal_values;
	char *fatal_text;
};

static bool take_writing(struct metrics *m)
{
	return !__atomic_exchange_n(&m->writing, true, __ATOMIC_ACQUIRE);
}

static void leave_writing(struct metrics *m)
{
	__atomic_store_n(&m->writing, false, __ATOMIC_RELEASE);
}

int metrics_open(
	const char *path, const char *extra, struct metrics **out, struct err *e)
{
	AUTO(metrics_close) struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return err_code(e, -ENOMEM, "metrics '%s'", path);
	m->fd = io_open_output(path, "metrics", e);
	if (m->fd < 0)
		return m->fd;
	m->extra = extra ? strdup(extra) : NULL;
	m->room = METRICS_TEXT_MAX + (extra ? strlen(extra) : 0);
	m->text = malloc(m->room);
	m->fatal_text = malloc(m->room);
	if ((extra && !m->extra) || !m->text || !m->fatal_text)
		return err_code(e, -ENOMEM, "metrics '%s'", path);
	*out = TAKE(m);
	return 0;
}

void metrics_show_own(struct metrics *m)
{
	m->own = true;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	close_fd(m->fd);
	free(m->extra);
	free(m->text);
	free(m->fatal_text);
	free(m);
}

/* Everything at this moment. Safe in a signal handler, as is render. */
static void gather(const struct metrics *m, const struct metrics_view *v,
	struct metrics_values *out)
{
	metrics_gather(v, out);
	if (m) {
		out->logger.missed_metrics_count = m->missed;
		out->logger.metrics_fails = m->fails;
	}
	out->logger.missed_log_count = log_missed();
	out->logger.rate_limited_log_count = log_rate_limited();
}

/* A whole line into text; its length. */
static size_t put_line(const struct metrics *m, const struct metrics_view *v,
	const struct metrics_values *values, char *text)
{
	size_t n = metrics_put_text(
		values, &m->last, v->groups, m->extra, m->own, text, m->room);

	assert(n > 0); /* metrics_room says so */
	text[n] = '\n'; /* for the NUL */
	return n + 1;
}

/* Writes what is left of m->text: 0, -EAGAIN when the file takes no more now, or
 * another -errno. */
static int push(struct metrics *m)
{
	while (m->at < m->n) {
		ssize_t n = write(m->fd, m->text + m->at, m->n - m->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		m->at += (size_t)n;
	}
	return 0;
}

static void restart_device(const struct metrics_device *d)
{
	char *counters = d->counters;

	for (unsigned i = 0; i < d->group->n; i++) {
		const struct counter *c = &d->group->counter[i];

		if (c->type == COUNTER_LATENCY)
			latency_restart((void *)(counters + c->offset));
	}
}

/* New extremes for every struct latency. */
static void restart_latencies(const struct metrics_view *v)
{
	for (unsigned i = 0; i < v->n_vcpus; i++)
		for (unsigned x = 0; x < EXIT_SERVED; x++)
			latency_restart(&v->vcpus[i]->served[x]);
	for (unsigned i = 0; i < v->n_devices; i++)
		restart_device(&v->devices[i]);
}

/* Writes the rest of the line before, if there is one. */
static int finish_last(struct metrics *m)
{
	int r = take_writing(m) ? push(m) : -EBUSY;

	if (r != -EBUSY)
		leave_writing(m);
	return r;
}

/* Starts the line of m->now, which is n bytes in m->text. Once the file has a part of
 * it, it is taken: the rest comes before the next. */
static int start_line(struct metrics *m, const struct metrics_view *v, size_t n)
{
	int r;

	if (!take_writing(m))
		return -EBUSY; /* the process ends */
	m->at = 0;
	m->n = n;
	r = push(m);
	if (m->at > 0) {
		m->last = m->now;
		restart_latencies(v);
		r = 0;
	} else {
		m->n = 0;
	}
	leave_writing(m);
	return r;
}

int metrics_write(struct metrics *m, const struct metrics_view *v)
{
	int r = finish_last(m);

	if (r == 0) {
		gather(m, v, &m->now);
		r = start_line(m, v, put_line(m, v, &m->now, m->text));
	}
	if (r < 0)
		m->missed++;
	if (r < 0 && r != -EAGAIN)
		m->fails++;
	return r;
}

size_t metrics_room(const struct metrics *m)
{
	return m ? m->room : METRICS_TEXT_MAX;
}

size_t metrics_render(const struct metrics *m, const struct metrics_view *v,
	bool totals, char *buf, size_t room)
{
	struct metrics_values now;

	assert(m || totals);
	gather(m, v, &now);
	return metrics_put_text(&now, totals ? NULL : &m->last, v->groups,
		m ? m->extra : NULL, totals || m->own, buf, room);
}

void metrics_flush_fatal(struct metrics *m, const struct metrics_view *v)
{
	size_t n;

	if (!m || !take_writing(m))
		return;
	if (push(m) < 0)
		return; /* half a line is the end */
	gather(m, v, &m->fatal_values);
	n = put_line(m, v, &m->fatal_values, m->fatal_text);
	(void)!write(m->fd, m->fatal_text, n); /* there is nobody left to tell */
}
