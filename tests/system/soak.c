/* SPDX-License-Identifier: Apache-2.0
 *
 * soak: requests, most of them mutated, against a husk that is not started:
 *   soak SOCKET PID SEED COUNT
 * Every one must be answered or its connection ended within 10 s. After COUNT requests
 * husk must still answer, hold no more descriptors and no more than 64 KiB beyond what
 * it held after the first tenth. Prints "ok NAME" and "FAIL NAME: why".
 */
#include <dirent.h>
#include <stdbool.h>
#include <sys/time.h>

#include "tests/system/http_client.h"

enum { ANSWER_S = 10, SLACK_KIB = 64, PIPELINED_MAX = 4 };

/* What is mutated. The first of all: sent as they are before each measurement, so that
 * what husk is told last, and holds for it, is the same both times. */
static const char *const seeds[][3] = {
	{ "PUT", "/boot-source",
		"{\"kernel_image_path\":\"text\",\"initrd_path\":\"text\","
		"\"boot_args\":\"console=ttyS0 reboot=k\"}" },
	{ "PUT", "/machine-config",
		"{\"vcpu_count\":4,\"mem_size_mib\":256,\"smt\":true,"
		"\"track_dirty_pages\":true,\"huge_pages\":\"None\"}" },
	{ "PATCH", "/machine-config", "{\"vcpu_count\":2,\"cpu_template\":null}" },
	{ "PUT", "/drives/root",
		"{\"drive_id\":\"root\",\"path_on_host\":\"disk\",\"is_root_device\":true,"
		"\"is_read_only\":true,\"partuuid\":\"12345678-01\",\"io_engine\":\"Sync\"}" },
	{ "PUT", "/drives/b_2",
		"{\"drive_id\":\"b_2\",\"path_on_host\":\"disk\",\"is_root_device\":false,"
		"\"cache_type\":\"Writeback\",\"rate_limiter\":null}" },
	{ "PUT", "/logger",
		"{\"log_path\":\"log\",\"level\":\"Info\",\"show_level\":true,"
		"\"module\":\"\"}" },
	{ "PUT", "/serial", "{\"serial_out_path\":\"serial\"}" },
	{ "PUT", "/metrics",
		"{\"metrics_path\":\"metrics\",\"emit_id\":true,"
		"\"properties\":{\"b\":\"1\",\"a\":\"\\u00e9\"}}" },
	{ "PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}" },
	{ "PATCH", "/vm", "{\"state\":\"Paused\"}" },
	{ "PATCH", "/drives/root",
		"{\"drive_id\":\"root\",\"path_on_host\":\"disk\"}" },
	{ "PUT", "/cpu-config",
		"{\"kvm_capabilities\":[\"!121\"],\"cpuid_modifiers\":[],"
		"\"msr_modifiers\":[]}" },
	{ "PUT", "/network-interfaces/1",
		"{\"iface_id\":\"1\",\"host_dev_name\":\"none\"}" },
	{ "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"v\",\"vsock_id\":\"v\"}" },
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"disk\",\"mem_file_path\":\"disk\"}" },
	{ "PUT", "/balloon", "{\"amount_mib\":1}" },
	{ "DELETE", "/drives/root", NULL },
	{ "GET", "/", NULL },
	{ "GET", "/version", NULL },
	{ "GET", "/machine-config", NULL },
	{ "GET", "/vm/config", NULL },
	{ "GET", "/metrics", NULL },
	{ "GET", "/mmds", NULL },
};
enum { N_SEEDS = sizeof(seeds) / sizeof(seeds[0]) };

/* What breaks parsers, put anywhere. */
static const char *const scraps[] = {
	"\r\n",
	"\r\n\r\n",
	"\n",
	"\r",
	" ",
	"\t",
	"/",
	"//",
	"?x=1",
	"%41",
	":",
	"{",
	"}",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	"]",
	"\"",
	"\\u0000",
	"\\ud800",
	",",
	"null",
	"-1",
	"1e9",
	"18446744073709551616",
	"HTTP/1.0",
	"HTTP/9.9",
	"Content-Length: 5\r\n",
	"Content-Length: 4294967296\r\n",
	"Content-Length: -1\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Expect: 100-continue\r\n",
	"Accept-Encoding: identity;q=0\r\n",
	"Connection: close\r\n",
	"../",
	"\xff\xfe",
	"\xc3",
	"\x7f",
	"0x10",
	"true",
};

static struct client client;
static char bytes[REQUEST_MAX];
static size_t len;
static uint64_t state;

/* xorshift64*; below n */
static size_t any(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (size_t)((state * 0x2545f4914f6cdd1dULL >> 33) % n);
}

static void append(const char *text)
{
	size_t n = strlen(text);

	if (n > sizeof(bytes) - len)
		return;
	memcpy(bytes + len, text, n);
	len += n;
}

static void append_seed(size_t i)
{
	const char *body = seeds[i][2];
	char line[64];

	append(seeds[i][0]);
	append(" ");
	append(seeds[i][1]);
	append(" HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n");
	if (body) {
		(void)snprintf(
			line, sizeof(line), "Content-Length: %zu\r\n", strlen(body));
		append(line);
	}
	append("\r\n");
	append(body ? body : "");
}

/* Makes room for n bytes at a place, or takes as many away. */
static char *open_gap(size_t at, size_t n)
{
	if (n > sizeof(bytes) - len)
		n = 0;
	memmove(bytes + at + n, bytes + at, len - at);
	len += n;
	return bytes + at;
}

static void mutate(void)
{
	size_t at = any(len), n = 1 + any(40);
	const char *scrap = scraps[any(sizeof(scraps) / sizeof(scraps[0]))];

	switch (any(7)) {
	case 0:
		bytes[at] = (char)any(256);
		break;
	case 1:
		bytes[at] ^= (char)(1 << any(8));
		break;
	case 2: /* something is missing */
		n = n < len - at ? n : len - at - 1;
		memmove(bytes + at, bytes + at + n, len - at - n);
		len -= n;
		break;
	case 3: /* something comes twice */
		n = n < len - at ? n : len - at;
		memmove(open_gap(at, n), bytes + at + n, n);
		break;
	case 4:
		if (sizeof(bytes) - len > 64)
			memcpy(open_gap(at, strlen(scrap)), scrap, strlen(scrap));
		break;
	case 5: /* far too long */
		n = any(20) == 0 ? 60000 : 1100;
		if (sizeof(bytes) - len > n)
			memset(open_gap(at, n), 'a', n);
		break;
	default: /* the end is missing */
		len = at + 1;
	}
}

/* One to four requests, the last or all of them mutated, or none. */
static void make_requests(void)
{
	size_t n = any(4) == 0 ? 1 + any(PIPELINED_MAX) : 1;

	len = 0;
	for (size_t i = 0; i < n; i++)
		append_seed(any(N_SEEDS));
	for (n = any(5); n > 0; n--)
		mutate();
}

/* What a socket takes of an endless request before it ends is husk's business. */
static bool send_some(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(client.fd, text, n, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return true;
		if (sent < 0)
			return false;
		text += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Reads until husk ends the connection, as it does once it is half closed. */
static bool read_to_end(void)
{
	ssize_t n;

	do
		n = recv(client.fd, client.in, sizeof(client.in), 0);
	while (n > 0);
	return n == 0 || errno == ECONNRESET;
}

/* Sends the bytes, maybe in pieces, and maybe does not wait for an answer. */
static bool is_answered(const char *path)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	size_t piece = any(3) == 0 ? 1 + any(len) : len;
	bool ok = true;

	client_connect(&client, path);
	if (setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
		setsockopt(client.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) <
			0)
		die("setsockopt");
	for (size_t at = 0; ok && at < len; at += piece)
		ok = send_some(bytes + at, piece < len - at ? piece : len - at);
	if (ok && any(10) > 0) {
		(void)shutdown(client.fd, SHUT_WR);
		ok = read_to_end();
	}
	(void)close(client.fd);
	return ok;
}

static size_t count_fds(const char *pid)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		die(path);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

/* Exact, where VmRSS is what the kernel counted some page faults ago. */
static size_t rss_kib(const char *pid)
{
	char path[64], line[256];
	size_t kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	while (kib == 0 && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Rss: %zu", &kib);
	(void)fclose(f);
	return kib;
}

static bool send_seeds(const char *path)
{
	for (size_t i = 0; i < N_SEEDS; i++) {
		len = 0;
		append_seed(i);
		if (!is_answered(path))
			return false;
	}
	return true;
}

static bool send_many(const char *path, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		make_requests();
		if (is_answered(path))
			continue;
		printf("FAIL every request is answered: not in %d s: %.*s\n", ANSWER_S,
			(int)len, bytes);
		return false;
	}
	return true;
}

static int result(bool ok, const char *name, size_t now, size_t before)
{
	printf("%s %s: %zu, after a tenth %zu\n", ok ? "ok" : "FAIL", name, now,
		before);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	static char body[REPLY_MAX];
	unsigned long count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	size_t fds, rss;
	int r = 0;

	if (count < 10)
		return 2;
	state = strtoull(argv[3], NULL, 10) | 1;
	if (!send_seeds(argv[1]) || !send_many(argv[1], count / 10) ||
		!send_seeds(argv[1]))
		return 1;
	fds = count_fds(argv[2]);
	rss = rss_kib(argv[2]);
	if (!send_many(argv[1], count - count / 10) || !send_seeds(argv[1]))
		return 1;
	printf("ok every request is answered: %lu\n", count);
	client_connect(&client, argv[1]);
	client_request(&client, "GET", "/machine-config", NULL);
	if (client_reply(&client, body, sizeof(body)) != 200) {
		printf("FAIL it still answers: %s\n", body);
		return 1;
	}
	printf("ok it still answers\n");
	(void)close(client.fd);
	(void)usleep(100000); /* until it has seen that */
	r |= result(count_fds(argv[2]) <= fds, "no descriptor is left",
		count_fds(argv[2]), fds);
	r |= result(rss_kib(argv[2]) <= rss + SLACK_KIB, "no memory is left (KiB)",
		rss_kib(argv[2]), rss);
	return r;
}
