/* agent/cmd/cmd_watch.c -- muster watch: waits for changes; shows the first, or runs a program for
 * each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/watch_plan.h"

#define WATCH_ARENA_MAX (1024 * 1024)

struct watch_flags {
	struct client_flags client;
	const char *type, *key, *prefix, *service, *state, *name, *passing;
	struct flag_list tag;
	bool shell;
};

static const struct watch_flags watch_initial = { .shell = true };

static const struct flag watch_flags[] = {
	{ "key", "KEY", offsetof(struct watch_flags, key), "The key, of type key." },
	{ "name", "NAME", offsetof(struct watch_flags, name),
	    "Only events of this name, of type event." },
	{ "passingonly", "true|false", offsetof(struct watch_flags, passing),
	    "Only instances whose checks pass, of type service." },
	{ "prefix", "PREFIX", offsetof(struct watch_flags, prefix),
	    "How the keys begin, of type keyprefix." },
	{ "service", "NAME", offsetof(struct watch_flags, service),
	    "The service, of types service and checks." },
	{ "shell", NULL, offsetof(struct watch_flags, shell),
	    "Run the program by $SHELL, or /bin/sh; -shell=false runs it itself. Default: true." },
	{ "state", "STATE", offsetof(struct watch_flags, state),
	    "Only checks in this state, of type checks." },
	{ "tag", "TAG...", offsetof(struct watch_flags, tag),
	    "Only instances with this tag, of type service; may be repeated." },
	{ "type", "TYPE", offsetof(struct watch_flags, type),
	    "What to wait for: key, keyprefix, services, nodes, service, checks or event; "
	    "needed." },
	{ 0 },
};

static void
param_set(json_t *params, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_object_set_new(params, name, json_string(value));
}

static json_t *
flags_params(const struct watch_flags *f)
{
	json_t *params = json_object(), *tags = json_array();

	param_set(params, "type", f->type);
	param_set(params, "key", f->key);
	param_set(params, "prefix", f->prefix);
	param_set(params, "service", f->service);
	param_set(params, "state", f->state);
	param_set(params, "name", f->name);
	param_set(params, "passingonly", f->passing);
	param_set(params, "datacenter", f->client.datacenter);
	if (f->client.stale)
		json_object_set_new(params, "stale", json_true());
	for (size_t i = 0; i < f->tag.count; i++)
		json_array_append_new(tags, json_string(f->tag.words[i]));
	json_object_set_new(params, "tag", tags);
	return params;
}

/* In the child; never returns. */
static void
child_become(const struct call *call, int input, uint64_t index)
{
	const struct watch_flags *f = call->flags;
	const char *shell = getenv("SHELL");
	char text[24];
	struct buf line;

	snprintf(text, sizeof text, "%llu", (unsigned long long)index);
	setenv("CONSUL_INDEX", text, 1);
	dup2(input, 0);
	if (!f->shell) {
		execvp(call->words[0], call->words);
		fprintf(stderr, "Error executing handler: %s: %m\n", call->words[0]);
		_exit(127);
	}
	if (shell == NULL || shell[0] == '\0')
		shell = "/bin/sh";
	buf_init(&line, SIZE_MAX / 4);
	for (int i = 0; i < call->count; i++)
		buf_addf(&line, "%s%s", i > 0 ? " " : "", call->words[i]);
	buf_addc(&line, '\0');
	execl(shell, shell, "-c", line.p, (char *)NULL);
	fprintf(stderr, "Error executing handler: %s: %m\n", shell);
	_exit(127);
}

/* The data goes through a file without a name, so that no side waits for the other. */
static int
child_run(const struct call *call, struct str data, uint64_t index)
{
	FILE *file = tmpfile();
	int status = 0;
	pid_t pid;

	if (file == NULL || fwrite(data.p, 1, data.n, file) != data.n || fflush(file) != 0) {
		fprintf(stderr, "Error executing handler: no room for its input: %m\n");
		if (file != NULL)
			fclose(file);
		return 1;
	}
	rewind(file);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child_become(call, fileno(file), index);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	fclose(file);
	if (pid < 0)
		fprintf(stderr, "Error executing handler: %m\n");
	else if (status != 0)
		fprintf(stderr, "Error executing handler: exit status %d\n",
		    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return pid > 0 && status == 0 ? 0 : 1;
}

static int
data_print(struct str data)
{
	struct buf out;
	struct jw w;

	buf_init(&out, 8 * (size_t)WATCH_DATA_MAX);
	jw_init(&w, &out, true);
	jw_raw(&w, str_trim(data));
	buf_addc(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_done(&out);
	return 0;
}

/* One request; 1: the handler is to be called, 0: not, below 0: the agent has not answered. */
static int
watch_ask(const struct call *call, const struct watch_plan *plan, struct watch_state *state,
    struct err *err)
{
	uint64_t index = 0;
	struct buf path, body;
	int rc;

	buf_init(&path, PATH_URL_MAX);
	buf_init(&body, CLIENT_BYTES_MAX);
	watch_state_path(plan, state, &path);
	rc = http_client_wait(call->client, buf_str(&path), &body, &index, err);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = watch_state_answer(plan, state, rc == 0 ? 200 : 404, index, buf_str(&body));
	buf_done(&body);
	buf_done(&path);
	return rc;
}

static int
watch_loop(const struct call *call, const struct watch_plan *plan, struct watch_state *state)
{
	for (;;) {
		struct err err = { 0 };
		int rc = watch_ask(call, plan, state, &err);

		if (rc < 0) {
			nsec wait = watch_state_failed(state);

			fprintf(stderr, "Error querying the agent: %s\n", err.text);
			if (!state->known)
				return 1;
			sleep((unsigned)(wait / NSEC_SEC));
		} else if (rc > 0 && call->count == 0) {
			return data_print(buf_str(&state->last));
		} else if (rc > 0 && child_run(call, buf_str(&state->last), state->index) != 0) {
			return 1;
		}
	}
}

static int
watch_run(const struct call *call)
{
	const struct watch_flags *f = call->flags;
	json_t *params = flags_params(f);
	struct watch_state state;
	struct watch_plan plan;
	struct arena arena;
	struct err err = { 0 };
	int code;

	arena_init(&arena, WATCH_ARENA_MAX);
	watch_state_init(&state);
	if (watch_plan_read(&plan, &arena, params, false, &err) < 0)
		code = usage_wrong(&watch_usage, err.text);
	else
		code = watch_loop(call, &plan, &state);
	watch_state_done(&state);
	arena_done(&arena);
	json_decref(params);
	return code;
}

const struct usage watch_usage = {
	.name = "watch",
	.takes = "-type TYPE [FLAG...] [PROGRAM...]",
	.text =
	    "Waits for changes of what the flags name. Without a PROGRAM shows what there is, as "
	    "JSON, and ends; else runs it with that on its standard input, at once and after each "
	    "change, never twice at the same time. CONSUL_INDEX in its environment is the index. "
	    "Flags come before the PROGRAM. Exit status: 0; 1: the agent could not be asked, or "
	    "the program has ended with an error.",
	.flags = watch_flags,
	.size = sizeof(struct watch_flags),
	.initial = &watch_initial,
	.words_last = true,
	.words_max = -1,
	.client = true,
	.run = watch_run,
};

int
cmd_watch(int argc, char **argv)
{
	return usage_run(&watch_usage, argc, argv);
}
