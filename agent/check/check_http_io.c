/* agent/check/check_http_io.c -- HTTP and HTTPS checks. Texts and headers are Consul's. */
#include "agent/check/check_http_io.h"

#include "base/mem.h"

static void
check_http_stop(struct probe *probe)
{
	fetch_cancel(probe->state);
	probe->state = NULL;
}

static struct str
http_method(const struct check_def *def)
{
	return def->method.n > 0 ? def->method : STR("GET");
}

/* As Go's client begins its complaints: Get "http://…": … */
static void
http_complain(const struct check_def *def, struct buf *out, struct str why)
{
	struct str method = http_method(def);

	buf_add(out, str_head(method, 1));
	for (size_t i = 1; i < method.n && i < 32; i++)
		buf_addc(out, chr_lower(method.p[i]));
	buf_add(out, STR(" \""));
	buf_add(out, str_head(def->http, def->http.n < 1024 ? def->http.n : 1024));
	buf_add(out, STR("\": "));
	buf_add(out, why);
}

static enum check_status
http_status(int status)
{
	if (status >= 200 && status <= 299)
		return CHECK_PASSING;
	return status == 429 ? CHECK_WARNING : CHECK_CRITICAL;
}

static void
http_done(void *arg, const struct fetch_result *r)
{
	struct probe *probe = arg;
	const struct check_def *def = probe->def;
	enum check_status status = r->error != NULL ? CHECK_CRITICAL : http_status(r->status);
	struct buf text;

	probe->state = NULL;
	buf_init(&text, CHECK_OUTPUT_MAX + PROBE_TEXT_MAX);
	if (r->error != NULL) {
		http_complain(def, &text, str_of(r->error));
	} else {
		buf_addf(&text, "HTTP %.*s " STR_FMT ": " STR_FMT " Output: ",
		    (int)(http_method(def).n < 32 ? http_method(def).n : 32), http_method(def).p,
		    STR_ARG(str_head(def->http, def->http.n < 1024 ? def->http.n : 1024)),
		    STR_ARG(r->line));
		buf_add(&text, r->body);
	}
	probe->done(probe, status, buf_str(&text));
	buf_done(&text);
}

static bool
http_has_header(const struct check_def *def, struct str name)
{
	for (size_t i = 0; i < def->header_count; i++)
		if (str_eq_nocase(def->headers[i].key, name))
			return true;
	return false;
}

static void
check_http_start(void *shell, struct probe *probe)
{
	const struct check_http_io *io = shell;
	const struct check_def *def = probe->def;
	struct pair *headers = mem_zalloc((def->header_count + 2) * sizeof *headers);
	size_t n = def->header_count;
	struct fetch_request q = {
		.url = def->http,
		.method = def->method,
		.body = def->body,
		.server_name = def->tls_server_name,
		.tls_skip_verify = def->tls_skip_verify,
		.follow = true,
		.keep_max = check_output_max(def),
		.headers = headers,
		.done = http_done,
		.arg = probe,
	};

	if (n > 0)
		memcpy(headers, def->headers, n * sizeof *headers);
	if (!http_has_header(def, STR("User-Agent")))
		headers[n++] = (struct pair){ STR("User-Agent"), STR("Consul Health Check") };
	if (!http_has_header(def, STR("Accept")))
		headers[n++] = (struct pair){ STR("Accept"), STR("text/plain, text/*, */*") };
	q.header_count = n;
	probe->state = fetch_start(io->fetcher, &q);
	free(headers);
}

static enum check_status
check_http_expire(struct probe *probe, struct buf *out)
{
	http_complain(probe->def, out,
	    STR("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"));
	return CHECK_CRITICAL;
}

const struct probe_kind check_http_kind = { check_http_start, check_http_expire, check_http_stop };
