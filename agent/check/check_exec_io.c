/* agent/check/check_exec_io.c -- posix_spawn() with one pipe; SIGCHLD tells the end.
 *
 * In order: children, what they write, their end, starting, the three verbs. A child lives here
 * until it has been waited for, also when its check does not want it any more. Its result is
 * ready when it has ended, whether or not something it left behind still holds the pipe.
 * Source: posix_spawn(3), Consul's answers for texts.
 */
#include "agent/check/check_exec_io.h"

#include "config.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/check/check_tcp_io.h"
#include "agent/duration.h"
#include "base/log.h"
#include "base/mem.h"

#define EXEC_READ 16384              /* bytes at a time */
#define EXEC_DRAIN_MAX (1024 * 1024) /* read after the end: what was written before it */

extern char **environ;

struct child {
	RB_ENTRY(child) link;
	struct check_exec_io *io;
	struct probe *probe; /* NULL: not wanted any more */
	pid_t pid;
	int out; /* our end of the pipe; -1: closed */
	struct event *event;
	char *tail; /* a ring of the last `max` bytes */
	size_t max;
	uint64_t total;
};

RB_HEAD(child_tree, child);

struct check_exec_io {
	struct event_base *base;
	struct event *sigchld; /* NULL: no program ran yet */
	struct child_tree children;
};

static int
child_cmp(const struct child *a, const struct child *b)
{
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

RB_GENERATE_INTERNAL(child_tree, child, link, child_cmp, static __attribute__((unused)))

/* ---- what they write ---- */

static void
child_close(struct child *c)
{
	if (c->event != NULL)
		event_free(c->event);
	if (c->out >= 0)
		close(c->out);
	c->event = NULL;
	c->out = -1;
}

static void
child_keep(struct child *c, const char *p, size_t n)
{
	size_t at;

	if (n > c->max) {
		c->total += n - c->max;
		p += n - c->max;
		n = c->max;
	}
	at = (size_t)(c->total % c->max);
	c->total += n;
	if (n > c->max - at) {
		memcpy(c->tail + at, p, c->max - at);
		p += c->max - at;
		n -= c->max - at;
		at = 0;
	}
	memcpy(c->tail + at, p, n);
}

/* The ring in order. */
static void
child_output(const struct child *c, struct buf *out)
{
	size_t at = c->total > c->max ? (size_t)(c->total % c->max) : 0;
	size_t n = c->total > c->max ? c->max : (size_t)c->total;
	struct buf tail;

	buf_init(&tail, c->max);
	buf_add(&tail, str_mem(c->tail + at, n - at));
	buf_add(&tail, str_mem(c->tail, at));
	check_output_tail(out, buf_str(&tail), c->max, c->total);
	buf_done(&tail);
}

/* False: the end of the pipe. */
static bool
child_read(struct child *c, size_t *n)
{
	char bytes[EXEC_READ];
	ssize_t got = read(c->out, bytes, sizeof bytes);

	*n = got > 0 ? (size_t)got : 0;
	if (got > 0)
		child_keep(c, bytes, (size_t)got);
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void
child_on_output(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	size_t n;

	(void)fd;
	(void)what;
	if (!child_read(c, &n))
		child_close(c);
}

/* ---- their end ---- */

static void
child_free(struct child *c)
{
	child_close(c);
	RB_REMOVE(child_tree, &c->io->children, c);
	free(c->tail);
	free(c);
}

enum check_status
check_exit_status(int code)
{
	return code == 0 ? CHECK_PASSING : code == 1 ? CHECK_WARNING : CHECK_CRITICAL;
}

static void
child_ended(struct child *c, int status)
{
	struct probe *probe = c->probe;
	enum check_status result =
	    WIFEXITED(status) ? check_exit_status(WEXITSTATUS(status)) : CHECK_CRITICAL;
	size_t n = 0;
	struct buf text;

	for (size_t sum = 0; c->out >= 0 && sum < EXEC_DRAIN_MAX; sum += n)
		if (!child_read(c, &n) || n == 0)
			break;
	buf_init(&text, c->max + PROBE_TEXT_MAX);
	child_output(c, &text);
	child_free(c);
	if (probe != NULL) {
		probe->state = NULL;
		probe->done(probe, result, buf_str(&text));
	}
	buf_done(&text);
}

/* Waits for any child: as process 1 of a container we inherit those whose parents went. */
static void
check_exec_reap(struct check_exec_io *io)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child key = { .pid = pid };
		struct child *c = RB_FIND(child_tree, &io->children, &key);

		if (c != NULL)
			child_ended(c, status);
	}
}

static void
check_exec_on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	check_exec_reap(arg);
}

/* ---- starting ---- */

/* The words to run. One word with blanks that names no file is a line for the shell: that is
 * what registrator's SERVICE_CHECK_SCRIPT makes. */
static char **
exec_words(const struct check_def *def)
{
	char **words = mem_zalloc((def->arg_count + 4) * sizeof *words);
	size_t n = 0;
	struct stat st;

	if (def->shell.n > 0 && def->arg_count == 1) {
		words[n++] = str_dup(def->shell);
		words[n++] = str_dup(STR("-c"));
	}
	for (size_t i = 0; i < def->arg_count; i++)
		words[n++] = str_dup(def->args[i]);
	if (n == 1 && strpbrk(words[0], " \t\n") != NULL && stat(words[0], &st) < 0) {
		words[2] = words[0];
		words[1] = str_dup(STR("-c"));
		words[0] = str_dup(STR("/bin/sh"));
	}
	return words;
}

static void
exec_words_free(char **words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

/* The environment with one more variable in front; to be freed, without what is in it. */
static char **
exec_environ(char *variable)
{
	size_t n = 0;
	char **all;

	while (environ[n] != NULL)
		n++;
	all = mem_zalloc((n + 2) * sizeof *all);
	all[0] = variable;
	memcpy(all + 1, environ, n * sizeof *all);
	return all;
}

static int
exec_spawn(char **words, const struct probe *probe, int out, pid_t *pid)
{
	char **variables = probe->variable == NULL ? NULL : exec_environ(probe->variable);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	if (probe->input > 0)
		posix_spawn_file_actions_adddup2(&files, probe->input, 0);
	else
		posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
	posix_spawn_file_actions_addclosefrom_np(&files, 3); /* libraries open without CLOEXEC */
#endif
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	rc = posix_spawnp(
	    pid, words[0], &files, &attr, words, variables == NULL ? environ : variables);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	free(variables);
	return rc;
}

/* 0, or what is wrong by errno's numbers. */
static int
child_start(struct check_exec_io *io, struct probe *probe, char **words)
{
	struct child *c;
	int pipe_fds[2], error;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return errno;
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK); /* ours only: programs expect to block */
	error = exec_spawn(words, probe, pipe_fds[1], &pid);
	close(pipe_fds[1]);
	if (error != 0) {
		close(pipe_fds[0]);
		return error;
	}
	c = mem_new(struct child);
	c->io = io;
	c->probe = probe;
	c->pid = pid;
	c->out = pipe_fds[0];
	c->max = check_output_max(probe->def);
	c->tail = mem_alloc(c->max);
	c->event = event_new(io->base, c->out, EV_READ | EV_PERSIST, child_on_output, c);
	event_add(c->event, NULL);
	RB_INSERT(child_tree, &io->children, c);
	probe->state = c;
	return 0;
}

/* ---- the three verbs ---- */

static void
check_exec_start(void *shell, struct probe *probe)
{
	struct check_exec_io *io = shell;
	char **words = exec_words(probe->def), why[128];
	struct buf text;
	int error;

	if (io->sigchld == NULL) {
		io->sigchld = evsignal_new(io->base, SIGCHLD, check_exec_on_sigchld, io);
		event_add(io->sigchld, NULL);
	}
	error = child_start(io, probe, words);
	buf_init(&text, PROBE_TEXT_MAX);
	if (error != 0)
		buf_addf(&text, "fork/exec %.1024s: " STR_FMT, words[0],
		    STR_ARG(check_errno_text(error, why, sizeof why)));
	exec_words_free(words);
	if (error != 0)
		probe->done(probe, CHECK_CRITICAL, buf_str(&text));
	buf_done(&text);
}

static enum check_status
check_exec_expire(struct probe *probe, struct buf *out)
{
	char span[DURATION_TEXT_MAX];

	buf_addf(out, "Timed out (%s) running check", duration_format(probe->timeout, span));
	return CHECK_CRITICAL;
}

static void
check_exec_stop(struct probe *probe)
{
	struct child *c = probe->state;

	if (c == NULL)
		return;
	probe->state = NULL;
	c->probe = NULL;
	child_close(c);
	kill(-c->pid, SIGKILL);
}

const struct probe_kind check_exec_kind = { check_exec_start, check_exec_expire, check_exec_stop };

struct check_exec_io *
check_exec_io_new(struct event_base *base)
{
	struct check_exec_io *io = mem_new(struct check_exec_io);

	io->base = base;
	RB_INIT(&io->children);
	return io;
}

void
check_exec_io_free(struct check_exec_io *io)
{
	struct child *c;

	if (io == NULL)
		return;
	/* They were killed when they were stopped: this does not take long. */
	while ((c = RB_ROOT(&io->children)) != NULL) {
		waitpid(c->pid, NULL, 0);
		child_free(c);
	}
	if (io->sigchld != NULL)
		event_free(io->sigchld);
	free(io);
}
