/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics: see the header. This file has the stream of lines.
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
	bool own; /* see metrics_show_own */
	size_t room; /* bytes of text and of fatal_text */
	struct metrics_values now;
	struct metrics_values last; /* when the file last took a line */
	uint64_t missed, fails;
	/* A try-lock for text, at, n and last: nobody waits for it, because a signal
	 * handler could not. metrics_flush_fatal takes it and never releases it. */
	bool is_writing;
	char *text; /* bytes at to n of it are not yet written */
	size_t at, n;
	struct metrics_values fatal_values; /* metrics_flush_fatal's own */
	char *fatal_text;
};

/* Whether the caller has it now. */
static bool try_lock(struct metrics *m)
{
	return !__atomic_exchange_n(&m->is_writing, true, __ATOMIC_ACQUIRE);
}

static void unlock(struct metrics *m)
{
	__atomic_store_n(&m->is_writing, false, __ATOMIC_RELEASE);
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

/* Copies all values of this moment. Safe in a signal handler. */
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

/* Puts a whole line into text, which has m->room bytes. Returns its length. Safe in a
 * signal handler. */
static size_t put_line(const struct metrics *m, const struct metrics_view *v,
	const struct metrics_values *values, char *text)
{
	size_t n = metrics_put_text(
		values, &m->last, v->groups, m->extra, m->own, text, m->room);

	assert(n > 0); /* metrics_room says so */
	text[n] = '\n'; /* in place of the NUL */
	return n + 1;
}

/* Writes the rest of m->text. 0, -EAGAIN when the file takes no more now, or another
 * -errno. */
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

static void restart_device_latencies(const struct metrics_device *d)
{
	char *counters = d->counters;

	for (unsigned i = 0; i < d->group->n; i++) {
		const struct counter *c = &d->group->counter[i];

		if (c->type == COUNTER_LATENCY)
			latency_restart((void *)(counters + c->offset));
	}
}

/* Begins a new period for the extremes of every struct latency. */
static void restart_latencies(const struct metrics_view *v)
{
	for (unsigned i = 0; i < v->n_vcpus; i++)
		for (unsigned x = 0; x < EXIT_SERVED; x++)
			latency_restart(&v->vcpus[i]->served[x]);
	for (unsigned i = 0; i < v->n_devices; i++)
		restart_device_latencies(&v->devices[i]);
}

/* Writes the rest of the last line, if there is any. 0 or -errno; -EBUSY when the
 * process is dying. */
static int finish_last(struct metrics *m)
{
	int r;

	if (!try_lock(m))
		return -EBUSY;
	r = push(m);
	unlock(m);
	return r;
}

/* Writes the line of m->now, n bytes in m->text. Once the file has taken a part of it
 * the line counts as written: the next call writes the rest. 0 or -errno. */
static int start_line(struct metrics *m, const struct metrics_view *v, size_t n)
{
	int r;

	if (!try_lock(m))
		return -EBUSY; /* the process is dying */
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
	unlock(m);
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

	if (!m || !try_lock(m))
		return;
	if (push(m) < 0)
		return; /* nothing may follow half a line */
	gather(m, v, &m->fatal_values);
	n = put_line(m, v, &m->fatal_values, m->fatal_text);
	(void)!write(m->fd, m->fatal_text, n); /* nothing else to try */
}
