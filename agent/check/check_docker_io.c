/* agent/check/check_docker_io.c -- checks that run a program inside a container, by the Engine API.
 *
 * Three exchanges: create the exec, start it and read what it writes, ask how it ended. Output
 * comes in frames: u8 stream, three zero bytes, be32 length, bytes. When its time is up we stop
 * listening; the engine has no call to end an exec.
 * Source: Docker Engine API 1.24 and later (exec, attach).
 */
#include "agent/check/check_http_io.h"

#include <jansson.h>

#include "base/cursor.h"
#include "base/json.h"
#include "base/mem.h"

#define DOCKER_ANSWER_MAX (64 * 1024)
#define DOCKER_ID_MAX 128
#define DOCKER_FRAME_HEAD 8

enum exec_step { EXEC_CREATE, EXEC_RUN, EXEC_ASK };

struct exec {
	struct probe *probe;
	const struct check_http_io *io;
	struct fetch *fetch;
	enum exec_step step;
	char id[DOCKER_ID_MAX + 1]; /* of the exec */
	struct buf output;          /* the end of what it wrote */
	uint64_t total;
};

static void exec_step(struct exec *);

static void
exec_free(struct exec *x)
{
	if (x == NULL)
		return;
	x->probe->state = NULL;
	fetch_cancel(x->fetch);
	buf_done(&x->output);
	free(x);
}

static void
exec_end(struct exec *x, enum check_status status, struct str text)
{
	struct probe *probe = x->probe;
	struct buf copy;

	buf_init(&copy, CHECK_OUTPUT_MAX + PROBE_TEXT_MAX);
	buf_add(&copy, text);
	exec_free(x);
	probe->done(probe, status, buf_str(&copy));
	buf_done(&copy);
}

static void
exec_refused(struct exec *x, const struct fetch_result *r)
{
	struct buf text;
	json_t *answer = NULL;

	buf_init(&text, PROBE_TEXT_MAX);
	buf_add(&text, STR("docker: "));
	if (r->error != NULL)
		buf_add(&text, str_of(r->error));
	else if (json_read(r->body, &answer, NULL) == 0)
		buf_add(&text, json_member_str(answer, "message"));
	else
		buf_add(&text, r->line);
	json_decref(answer);
	exec_end(x, CHECK_CRITICAL, buf_str(&text));
	buf_done(&text);
}

/* ---- what was written ---- */

/* Frames one after the other; the first may be cut when much was written. */
static void
exec_output(struct exec *x, struct str body)
{
	struct reader r = rd_of(body);

	while (rd_ok(&r) && rd_left(&r) >= DOCKER_FRAME_HEAD) {
		struct str bytes;
		uint32_t n;

		rd_take(&r, 4);
		n = rd_be32(&r);
		bytes = rd_str(&r, n < rd_left(&r) ? n : rd_left(&r));
		x->total += n;
		if (bytes.n > CHECK_OUTPUT_MAX)
			bytes = str_skip(bytes, bytes.n - CHECK_OUTPUT_MAX);
		if (x->output.n + bytes.n > 2 * CHECK_OUTPUT_MAX)
			buf_drop_front(&x->output, x->output.n + bytes.n - 2 * CHECK_OUTPUT_MAX);
		buf_add(&x->output, bytes);
	}
}

/* ---- the steps ---- */

static void
exec_asked(struct exec *x, const struct fetch_result *r)
{
	struct buf text;
	json_t *answer = NULL;
	int64_t code;

	if (json_read(r->body, &answer, NULL) < 0) {
		exec_refused(x, r);
		return;
	}
	code = json_member_int(answer, "ExitCode", -1);
	json_decref(answer);
	buf_init(&text, CHECK_OUTPUT_MAX + PROBE_TEXT_MAX);
	check_output_tail(&text, buf_str(&x->output), check_output_max(x->probe->def), x->total);
	exec_end(x,
	    code == 0   ? CHECK_PASSING
	    : code == 1 ? CHECK_WARNING
			: CHECK_CRITICAL,
	    buf_str(&text));
	buf_done(&text);
}

static void
exec_created(struct exec *x, const struct fetch_result *r)
{
	json_t *answer = NULL;
	struct str id;

	if (json_read(r->body, &answer, NULL) < 0) {
		exec_refused(x, r);
		return;
	}
	id = json_member_str(answer, "Id");
	if (id.n > 0 && id.n <= DOCKER_ID_MAX)
		memcpy(x->id, id.p, id.n);
	json_decref(answer);
	if (x->id[0] == '\0') {
		exec_end(x, CHECK_CRITICAL, STR("docker: the engine gave no id"));
		return;
	}
	x->step = EXEC_RUN;
	exec_step(x);
}

static void
exec_done(void *arg, const struct fetch_result *r)
{
	struct exec *x = arg;

	x->fetch = NULL;
	if (r->error != NULL || r->status < 200 || r->status > 299) {
		exec_refused(x, r);
	} else if (x->step == EXEC_CREATE) {
		exec_created(x, r);
	} else if (x->step == EXEC_RUN) {
		exec_output(x, r->body);
		x->step = EXEC_ASK;
		exec_step(x);
	} else {
		exec_asked(x, r);
	}
}

static void
exec_create_body(const struct check_def *def, struct buf *body)
{
	json_t *words = json_array(), *ask = json_object();
	char *text;

	if (def->shell.n > 0 && def->arg_count == 1) {
		json_array_append_new(words, json_stringn(def->shell.p, def->shell.n));
		json_array_append_new(words, json_string("-c"));
	}
	for (size_t i = 0; i < def->arg_count; i++)
		json_array_append_new(words, json_stringn(def->args[i].p, def->args[i].n));
	json_object_set_new(ask, "AttachStdout", json_true());
	json_object_set_new(ask, "AttachStderr", json_true());
	json_object_set_new(ask, "Cmd", words);
	text = json_dumps(ask, JSON_COMPACT);
	buf_add(body, str_of(text));
	free(text);
	json_decref(ask);
}

/* A container's name or id as part of a path. */
static void
exec_add_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (chr_digit(c) || (chr_lower(c) >= 'a' && chr_lower(c) <= 'z') || c == '_' ||
		    c == '-' || c == '.')
			buf_addc(out, c);
		else
			buf_addf(out, "%%%02X", (unsigned)(uint8_t)c);
	}
}

static void
exec_step(struct exec *x)
{
	static const struct pair headers[] = { { { "Content-Type", 12 },
	    { "application/json", 16 } } };
	const struct check_def *def = x->probe->def;
	struct str engine = x->io->docker_url;
	struct fetch_request q = { .method = x->step == EXEC_ASK ? STR("GET") : STR("POST"),
		.headers = headers,
		.header_count = 1,
		.keep_max = x->step == EXEC_RUN ? FETCH_READ_MAX : DOCKER_ANSWER_MAX,
		.done = exec_done,
		.arg = x };
	struct buf url, body;

	buf_init(&url, 4096);
	buf_init(&body, DOCKER_ANSWER_MAX);
	if (str_starts(engine, STR("unix://"))) {
		q.unix_path = str_skip(engine, 7);
		buf_add(&url, STR("http://docker"));
	} else {
		buf_add(&url, STR("http://"));
		buf_add(&url, str_starts(engine, STR("tcp://")) ? str_skip(engine, 6) : engine);
	}
	if (x->step == EXEC_CREATE) {
		buf_add(&url, STR("/containers/"));
		exec_add_escaped(&url, def->docker_container_id);
		buf_add(&url, STR("/exec"));
		exec_create_body(def, &body);
	} else {
		buf_add(&url, STR("/exec/"));
		exec_add_escaped(&url, str_of(x->id));
		buf_add(&url, x->step == EXEC_RUN ? STR("/start") : STR("/json"));
		if (x->step == EXEC_RUN)
			buf_add(&body, STR("{\"Detach\":false,\"Tty\":false}"));
	}
	q.url = buf_str(&url);
	q.body = buf_str(&body);
	x->fetch = fetch_start(x->io->fetcher, &q);
	buf_done(&url);
	buf_done(&body);
}

/* ---- the three verbs ---- */

static void
check_docker_start(void *shell, struct probe *probe)
{
	const struct check_http_io *io = shell;
	struct exec *x;

	if (io->docker_url.n == 0) {
		probe->done(probe, CHECK_CRITICAL, STR("docker: this agent has no engine"));
		return;
	}
	x = mem_new(struct exec);
	x->probe = probe;
	x->io = io;
	buf_init(&x->output, 2 * CHECK_OUTPUT_MAX);
	probe->state = x;
	exec_step(x);
}

static enum check_status
check_docker_expire(struct probe *probe, struct buf *out)
{
	(void)probe;
	buf_add(out, STR("Timed out running check in the container"));
	return CHECK_CRITICAL;
}

static void
check_docker_stop(struct probe *probe)
{
	exec_free(probe->state);
}

const struct probe_kind check_docker_kind = { check_docker_start, check_docker_expire,
	check_docker_stop };
