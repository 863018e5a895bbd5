/* agent/user_io.c -- see user_io.h. In order: the socket, the data folder, the change itself.
 *
 * Capabilities by the bare system call (capabilities(7)): libcap would be a library for one word.
 */
#include "agent/user_io.h"

#include <errno.h>
#include <fts.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "watcher/docker_io.h"

enum user_way
user_way(const struct stat *socket)
{
	const mode_t group = S_IRGRP | S_IWGRP, others = S_IROTH | S_IWOTH;

	if (socket == NULL || (socket->st_mode & others) == others)
		return USER_ALONE;
	return (socket->st_mode & group) == group ? USER_GROUP : USER_STAYS;
}

/* False: the engine is off, or asked over TCP, or its socket is not there. */
static bool
user_socket(const struct options *o, struct stat *st)
{
	struct docker_endpoint engine;
	struct arena arena;
	bool found;

	arena_init(&arena, 64 * 1024);
	found = docker_endpoint_find(o->docker, &arena, &engine) &&
		str_starts(engine.url, STR("unix://"));
	if (found) {
		char *path = str_dup(str_skip(engine.url, strlen("unix://")));

		found = stat(path, st) == 0 && S_ISSOCK(st->st_mode);
		free(path);
	}
	arena_done(&arena);
	return found;
}

/* The folder and what an agent that ran as root left in it. Links are not followed. */
static int
user_take_folder(const struct options *o, const struct passwd *pw, struct err *err)
{
	char *paths[] = { str_dup(o->data_dir), NULL };
	int rc = 0;
	FTSENT *e;
	FTS *tree;

	if (mkdir(paths[0], 0750) < 0 && errno != EEXIST)
		rc = err_errno(err, "cannot make the data folder %s", paths[0]);
	tree = rc < 0 ? NULL : fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	while (tree != NULL && rc == 0 && (e = fts_read(tree)) != NULL)
		if (e->fts_info != FTS_DP && e->fts_statp->st_uid != pw->pw_uid &&
		    lchown(e->fts_path, pw->pw_uid, pw->pw_gid) < 0)
			rc = err_errno(err, "cannot give %s to %s", e->fts_path, pw->pw_name);
	if (tree != NULL)
		fts_close(tree);
	free(paths[0]);
	return rc;
}

/* Of what root may do, ports below 1024 only; nothing when we were not allowed that either. */
static void
user_keep_ports(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };
	const uint32_t ports = (uint32_t)1 << CAP_NET_BIND_SERVICE;

	if (syscall(SYS_capget, &head, caps) < 0)
		return;
	caps[0].permitted &= ports;
	caps[0].effective = caps[0].permitted;
	caps[0].inheritable = caps[1].permitted = caps[1].effective = caps[1].inheritable = 0;
	(void)syscall(SYS_capset, &head, caps);
}

static int
user_change(const struct passwd *pw, const gid_t *group, size_t count, struct err *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgroups(count, group) < 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return err_errno(err, "cannot become user %s", pw->pw_name);
	user_keep_ports();
	(void)prctl(PR_SET_KEEPCAPS, 0);
	return 0;
}

int
user_become(const struct options *o, struct err *err)
{
	struct stat st = { 0 };
	const struct passwd *pw;
	bool socket;
	enum user_way way;
	int rc = 0;

	if (o->user.n == 0 || geteuid() != 0)
		return 0;
	pw = getpwnam(o->user.p); /* terminated: options are */
	if (pw == NULL)
		return err_set(err, ERR_INPUT, "-user: \"" STR_FMT "\" is not known on this host",
		    STR_ARG(o->user));
	if (pw->pw_uid == 0)
		return 0;
	socket = user_socket(o, &st);
	way = user_way(socket ? &st : NULL);
	if (way == USER_STAYS) {
		log_warn("agent", "stays root: Docker's socket is root's alone mode=%o",
		    (unsigned)(st.st_mode & 0777));
		return 0;
	}
	if (o->data_dir.n > 0 && !o->dev)
		rc = user_take_folder(o, pw, err);
	if (rc == 0)
		rc = user_change(pw, &st.st_gid, way == USER_GROUP ? 1 : 0, err);
	if (rc < 0)
		return rc;
	if (way == USER_GROUP)
		log_info("agent", "is user=%s, in the group of Docker's socket gid=%u", pw->pw_name,
		    (unsigned)st.st_gid);
	else
		log_info("agent", "is user=%s%s", pw->pw_name,
		    socket || str_eq(o->docker, STR("off")) ? ""
							    : ": no socket of Docker is there");
	return 0;
}
