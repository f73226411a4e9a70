/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>

#include "jailer/paths.h"

#define LIST_MAX 4096 /* bytes of a cgroup file that is read, at most */

int cgroup_parse_property(const char *text, struct cgroup_property *out, struct err *e)
{
	const char *eq = strchr(text, '=');
	size_t name = eq ? (size_t)(eq - text) : 0;
	size_t controller = strcspn(text, ".");

	if (!eq || strchr(eq + 1, '=') || eq[1] == '\0')
		return err_bad(
			e, "cgroup '%s' is not <controller>.<file>=<value>", text);
	if (controller == 0 || controller + 1 >= name || name > NAME_MAX ||
		memchr(text, '/', name))
		return err_bad(
			e, "cgroup '%s' does not name <controller>.<file>", text);
	memcpy(out->file, text, name);
	out->file[name] = '\0';
	memcpy(out->controller, text, controller);
	out->controller[controller] = '\0';
	out->value = eq + 1;
	return 0;
}

int cgroup_find_mount(
	FILE *mounts, unsigned version, const char *controller, char path[PATH_MAX])
{
	const char *type = version == 1 ? "cgroup" : "cgroup2";
	char text[2 * PATH_MAX];
	struct mntent m;

	while (getmntent_r(mounts, &m, text, sizeof(text))) {
		if (strcmp(m.mnt_type, type) != 0 || strlen(m.mnt_dir) >= PATH_MAX)
			continue;
		if (controller && !hasmntopt(&m, controller))
			continue;
		(void)strcpy(path, m.mnt_dir);
		return 0;
	}
	return -ENOENT;
}

static int open_mount(unsigned version, const char *controller, int *fd, struct err *e)
{
	FILE *mounts = setmntent("/proc/mounts", "re");
	char path[PATH_MAX];
	int r;

	if (!mounts)
		return err_sys(e, "cannot open /proc/mounts");
	r = cgroup_find_mount(mounts, version, controller, path);
	(void)endmntent(mounts);
	if (r < 0)
		return err_code(e, r, "no cgroup v%u mount%s%s", version,
			controller ? " with the controller " : "",
			controller ? controller : "");
	return path_open_dir(path, fd, e);
}

static int join(int dir, const char *file, struct err *e)
{
	char pid[16];
	int r;

	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	r = path_write_text(dir, file, pid);
	return r < 0 ? err_code(e, r, "cannot join the cgroup by its %s", file) : 0;
}

int cgroup_join_existing(const char *parent, struct err *e)
{
	AUTO(close_fd) int dir = -1;
	char name[NAME_MAX + 1];
	int r = open_mount(2, NULL, &dir, e);

	while (r == 0 && path_next(&parent, name)) {
		int child = openat(
			dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (child < 0 && errno == ENOENT)
			return 0;
		if (child < 0)
			return err_sys(e, "cannot open the cgroup '%s'", name);
		close_fd(dir);
		dir = child;
	}
	return r < 0 ? r : join(dir, "cgroup.procs", e);
}

static bool has_word(const char *list, const char *word)
{
	const char *space = " \n";
	size_t n = strlen(word);

	for (list += strspn(list, space); *list != '\0'; list += strspn(list, space)) {
		size_t len = strcspn(list, space);

		if (len == n && memcmp(list, word, n) == 0)
			return true;
		list += len;
	}
	return false;
}

/* Version 2: refuses a controller that the root group does not have. */
static int check_controller(int root, const struct cgroup_property *p, struct err *e)
{
	char list[LIST_MAX];
	int r = path_read_text(root, "cgroup.controllers", list, sizeof(list));

	if (r < 0)
		return err_code(e, r, "cannot read cgroup.controllers");
	if (!has_word(list, p->controller))
		return err_bad(e, "cgroup '%s': the host has no controller '%s'",
			p->file, p->controller);
	return 0;
}

/* Version 2, on the way down: enables the controller for the children of dir. */
static int enable(int dir, const struct cgroup_property *p, struct err *e)
{
	char text[NAME_MAX + 2];
	int r;

	(void)snprintf(text, sizeof(text), "+%s", p->controller);
	r = path_write_text(dir, "cgroup.subtree_control", text);
	return r < 0 ? err_code(e, r, "cannot enable the cgroup controller '%s'",
			       p->controller)
		     : 0;
}

/* Version 1, on the way down: if the property's file is empty in the child, copies the
 * parent's value, because a cpuset without processors accepts no process. A file that
 * cannot be read is left alone. */
static int inherit(int dir, int child, const struct cgroup_property *p, struct err *e)
{
	char own[LIST_MAX], value[LIST_MAX];
	int r = path_read_text(child, p->file, own, sizeof(own));

	if (r == -ENOENT)
		return err_bad(e, "the cgroup has no file '%s'", p->file);
	if (r < 0 || own[strspn(own, " \n")] != '\0')
		return 0;
	r = path_read_text(dir, p->file, value, sizeof(value));
	if (r >= 0)
		r = path_write_text(child, p->file, value);
	return r < 0 ? err_code(e, r, "cgroup '%s' cannot be inherited", p->file) : 0;
}

/* Replaces *dir by its child `name`, which is made if it is missing. */
static int step_down(unsigned version, int *dir, const char *name,
	const struct cgroup_property *p, struct err *e)
{
	int child = -1;
	int r = version == 2 ? enable(*dir, p, e) : 0;

	if (r == 0)
		r = path_make_dir(*dir, name, 0755, &child, e);
	if (r == 0 && version == 1)
		r = inherit(*dir, child, p, e);
	if (r < 0) {
		close_fd(child);
		return r;
	}
	close_fd(*dir);
	*dir = child;
	return 0;
}

static bool has_controller(const struct cgroup *c, const char *controller)
{
	if (c->version == 2)
		return c->n > 0; /* one directory has all controllers */
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->controllers[i], controller) == 0)
			return true;
	return false;
}

static int set_property(struct cgroup *c, const char *parent, const char *id,
	const struct cgroup_property *p, struct err *e)
{
	AUTO(close_fd) int dir = -1;
	char name[NAME_MAX + 1], line[LIST_MAX];
	int r = open_mount(c->version, c->version == 1 ? p->controller : NULL, &dir, e);

	if (r == 0 && c->version == 2)
		r = check_controller(dir, p, e);
	while (r == 0 && path_next(&parent, name))
		r = step_down(c->version, &dir, name, p, e);
	if (r == 0)
		r = step_down(c->version, &dir, id, p, e);
	if (r < 0)
		return r;
	if ((size_t)snprintf(line, sizeof(line), "%s\n", p->value) >= sizeof(line))
		return err_bad(e, "cgroup '%s': the value is too long", p->file);
	r = path_write_text(dir, p->file, line);
	if (r < 0)
		return err_code(
			e, r, "cgroup '%s': cannot write '%s'", p->file, p->value);
	if (has_controller(c, p->controller))
		return 0;
	if (c->n == CGROUP_DIRS_MAX)
		return err_bad(e, "more than %d cgroup controllers", CGROUP_DIRS_MAX);
	c->controllers[c->n] = p->controller;
	c->dirs[c->n++] = TAKE_FD(dir);
	return 0;
}

int cgroup_set_up(struct cgroup *c, const char *parent, const char *id,
	const struct cgroup_property *p, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = set_property(c, parent, id, &p[i], e);
	return r;
}

int cgroup_attach(const struct cgroup *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = join(c->dirs[i], c->version == 1 ? "tasks" : "cgroup.procs", e);
	return r;
}
