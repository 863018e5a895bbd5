/* agent/cmd/cmd_lock.c -- muster lock: runs a program while it holds a lock.
 *
 * The shell of lock.h: requests, signals, and the program itself. That has a process group of its
 * own, so that what it has started ends with it; but not with -pass-stdin, for only the
 * terminal's group may read from a terminal. It is also told when we are killed ourselves.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cmd/call_io.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/pair.h"
#include "agent/duration.h"

struct lock_flags {
	struct client_flags client;
	bool child_exit_code, pass_stdin, shell, verbose;
	const char *n, *name, *monitor_retry, *timeout, *try;
};

static const struct lock_flags lock_initial = { .shell = true, .n = "1", .monitor_retry = "3" };

static const struct flag lock_flags[] = {
	{ "child-exit-code", NULL, offsetof(struct lock_flags, child_exit_code),
	    "End with 2 when the program has ended with an error." },
	{ "monitor-retry", "NUMBER", offsetof(struct lock_flags, monitor_retry),
	    "How many errors of the agent in a row are put up with, a second apart, before the "
	    "lock "
	    "counts as lost. Default: 3." },
	{ "n", "NUMBER", offsetof(struct lock_flags, n),
	    "How many may hold it at once; above 1 it is a semaphore. Default: 1." },
	{ "name", "TEXT", offsetof(struct lock_flags, name), "Name of the session, for people." },
	{ "pass-stdin", NULL, offsetof(struct lock_flags, pass_stdin),
	    "The program reads our standard input; else it reads nothing." },
	{ "shell", NULL, offsetof(struct lock_flags, shell),
	    "Run it by $SHELL, or /bin/sh; -shell=false runs it itself. Default: true." },
	{ "timeout", "TIME", offsetof(struct lock_flags, timeout),
	    "How long to wait for the lock. Default: for ever." },
	{ "try", "TIME", offsetof(struct lock_flags, try), "The same, as it was called once." },
	{ "verbose", NULL, offsetof(struct lock_flags, verbose), "Say what is done." },
	{ 0 },
};

struct lock_run {
	const struct call *call;
	const struct lock_flags *flags;
	struct lock *lock;
	struct calls *calls;
	int signals; /* a signalfd */
	sigset_t before;
	pid_t child; /* 0: none */
	bool child_over, child_failed;
	bool done, ok;
};

static nsec
now_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_SEC + t.tv_nsec;
}

/* --- the program --- */

static void
words_join(const struct call *call, struct buf *out)
{
	for (int i = 1; i < call->count; i++)
		buf_addf(out, "%s%s", i > 1 ? " " : "", call->words[i]);
}

/* In the child: never returns. */
static void
child_become(const struct lock_run *r, pid_t parent)
{
	const char *shell = getenv("SHELL");
	struct buf script;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(126); /* we were killed before that */
	if (!r->flags->pass_stdin) {
		setpgid(0, 0);
		if (freopen("/dev/null", "r", stdin) == NULL)
			_exit(126);
	}
	sigprocmask(SIG_SETMASK, &r->before, NULL);
	setenv("CONSUL_LOCK_HELD", "true", 1);
	if (!r->flags->shell) {
		execvp(r->call->words[1], r->call->words + 1);
		fprintf(stderr, "Error executing handler: %s: %m\n", r->call->words[1]);
		_exit(127);
	}
	if (shell == NULL || shell[0] == '\0')
		shell = "/bin/sh";
	buf_init(&script, SIZE_MAX / 4);
	words_join(r->call, &script);
	buf_addc(&script, '\0');
	execl(shell, shell, "-c", script.p, (char *)NULL);
	fprintf(stderr, "Error executing handler: %s: %m\n", shell);
	_exit(127);
}

static void
child_start(struct lock_run *r)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_become(r, parent);
	if (pid < 0) {
		fprintf(stderr, "Error starting handler: %m\n");
		r->child_over = r->child_failed = true;
		return;
	}
	if (!r->flags->pass_stdin)
		setpgid(pid, pid); /* whoever is first */
	r->child = pid;
}

static void
child_signal(const struct lock_run *r, int signal)
{
	if (r->child > 0)
		kill(r->flags->pass_stdin ? r->child : -r->child, signal);
}

static void
child_reap(struct lock_run *r)
{
	int status;

	if (r->child <= 0 || waitpid(r->child, &status, WNOHANG) != r->child)
		return;
	r->child_over = true;
	r->child_failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "Error running handler: signal: %s\n", strsignal(WTERMSIG(status)));
	else if (r->child_failed)
		fprintf(stderr, "Error running handler: exit status %d\n", WEXITSTATUS(status));
	child_signal(r, SIGTERM); /* what it has left behind must not think that it holds it */
	r->child = 0;
}

/* --- the loop --- */

static void
act_carry_out(struct lock_run *r, const struct lock_action *a)
{
	switch (a->kind) {
	case LOCK_ASK:
		calls_begin(r->calls, a->slot, a->method, a->path, a->body, a->time);
		break;
	case LOCK_DROP:
		calls_drop(r->calls, a->slot);
		break;
	case LOCK_RUN:
		child_start(r);
		break;
	case LOCK_KILL:
		child_signal(r, a->signal);
		break;
	case LOCK_SAY:
		fprintf(a->error ? stderr : stdout, STR_FMT "\n", STR_ARG(a->text));
		fflush(stdout);
		break;
	case LOCK_DONE:
		r->done = true;
		r->ok = a->ok;
		break;
	}
}

/* After every call that fed the lock. */
static void
lock_carry_out(struct lock_run *r)
{
	struct lock_action a;

	while (lock_action_next(r->lock, &a))
		act_carry_out(r, &a);
	if (!r->child_over)
		return;
	r->child_over = false;
	lock_child_ended(r->lock, now_mono());
	lock_carry_out(r);
}

static void
signals_take(struct lock_run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			child_reap(r);
		else
			lock_stop(r->lock, now_mono());
		lock_carry_out(r);
	}
}

static void
lock_loop(struct lock_run *r)
{
	struct lock_answer answer;
	size_t slot;

	lock_carry_out(r);
	while (!r->done) {
		if (calls_wait(r->calls, r->signals, lock_deadline(r->lock) - now_mono()))
			signals_take(r);
		while (!r->done && calls_next(r->calls, &slot, &answer)) {
			lock_answer(r->lock, now_mono(), (enum lock_slot)slot, &answer);
			lock_carry_out(r);
		}
		if (!r->done && now_mono() >= lock_deadline(r->lock)) {
			lock_tick(r->lock, now_mono());
			lock_carry_out(r);
		}
	}
}

static int
signals_open(struct lock_run *r)
{
	static const int wanted[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, &r->before);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals;
}

static int
lock_hold(const struct call *call, const struct lock_config *config)
{
	struct lock_run r = { .call = call, .flags = call->flags };

	if (signals_open(&r) < 0) {
		fprintf(stderr, "Lock setup failed: %m\n");
		return 1;
	}
	r.calls = calls_new(call->client, LOCK_SLOTS);
	r.lock = lock_new(config, now_mono());
	lock_loop(&r);
	lock_free(r.lock);
	calls_free(r.calls);
	close(r.signals);
	if (!r.ok)
		return 1;
	return r.flags->child_exit_code && r.child_failed ? 2 : 0;
}

/* --- the command line --- */

static int
config_read(const struct lock_flags *f, struct lock_config *c, struct err *err)
{
	const char *timeout = f->timeout != NULL ? f->timeout : f->try;
	uint64_t limit = 0, retries = 0;

	if (pair_number("n", f->n, &limit, err) < 0 ||
	    pair_number("monitor-retry", f->monitor_retry, &retries, err) < 0)
		return err->code;
	if (timeout != NULL && duration_parse(str_of(timeout), &c->timeout, err) < 0)
		return err_wrap(err, "-timeout");
	if (limit == 0 || limit > LOCK_LIMIT_MAX)
		return err_set(err, ERR_INPUT, "-n is a number from 1 to %d", LOCK_LIMIT_MAX);
	if (retries > UINT32_MAX)
		return err_set(err, ERR_INPUT, "-monitor-retry is too large");
	if (c->timeout < 0)
		return err_set(err, ERR_INPUT, "-timeout is below 0");
	if (c->prefix.n == 0)
		return err_set(err, ERR_INPUT, "the PREFIX is empty");
	c->limit = (unsigned)limit;
	c->monitor_retries = (unsigned)retries;
	c->verbose = f->verbose;
	return 0;
}

static int
lock_run(const struct call *call)
{
	const struct lock_flags *flags = call->flags;
	struct lock_config config = { .prefix = pair_key(call->words[0]) };
	struct err err = { 0 };
	struct buf name;
	int code;

	if (config_read(flags, &config, &err) < 0)
		return usage_wrong(&lock_usage, err.text);
	buf_init(&name, 64 * 1024);
	if (flags->name != NULL && flags->name[0] != '\0') {
		buf_add(&name, str_of(flags->name));
	} else {
		buf_add(&name, STR("Consul lock for '"));
		words_join(call, &name);
		buf_addf(&name, "' at '" STR_FMT "'", STR_ARG(config.prefix));
	}
	config.name = buf_str(&name);
	code = lock_hold(call, &config);
	buf_done(&name);
	return code;
}

const struct usage lock_usage = {
	.name = "lock",
	.takes = "[FLAG...] PREFIX PROGRAM...",
	.text =
	    "Waits for the lock at PREFIX/.lock, runs a program while it is held, and gives it "
	    "back. "
	    "When the lock is lost, or muster lock itself is asked to end, the program and what it "
	    "has started get SIGTERM, and SIGKILL 5 seconds later. In its environment "
	    "CONSUL_LOCK_HELD is true. Flags come before the PREFIX. A lock holds as long as its "
	    "session: read in muster-api(7) what it promises. Exit status: 0; 1: the lock was not "
	    "got, or it was lost; 2: with -child-exit-code, the program ended with an error.",
	.flags = lock_flags,
	.size = sizeof(struct lock_flags),
	.initial = &lock_initial,
	.words_last = true,
	.words_min = 2,
	.words_max = -1,
	.words_wrong = "it takes a PREFIX and a PROGRAM with its words",
	.client = true,
	.run = lock_run,
};

int
cmd_lock(int argc, char **argv)
{
	return usage_run(&lock_usage, argc, argv);
}
