/* agent/check/check_grpc_io.c -- gRPC health checks: one call of grpc.health.v1.Health/Check.
 *
 * "HOST:PORT/SERVICE", the service may be missing (the whole server). The call is an HTTP/2 POST
 * with one framed message each way:
 *
 *     frame    u8 compressed (0), be32 length, message
 *     request  field 1 (length-delimited): service
 *     answer   field 1 (varint): status, 1 is SERVING
 *
 * Source: "gRPC over HTTP2" and health.proto, both public specifications.
 */
#include "agent/check/check_http_io.h"

#include "base/cursor.h"

#define GRPC_SERVICE_MAX 1024
#define GRPC_ANSWER_MAX 256
#define GRPC_SERVING 1
#define GRPC_FIELD_STATUS (1 << 3)      /* number 1, a varint */
#define GRPC_FIELD_SERVICE (1 << 3 | 2) /* number 1, bytes */

static const char *const grpc_codes[] = { "OK", "Canceled", "Unknown", "InvalidArgument",
	"DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
	"FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
	"DataLoss", "Unauthenticated" };
#define GRPC_CODES (sizeof grpc_codes / sizeof grpc_codes[0])

/* The status of the answer; -1: it is none. An empty message is status 0, UNKNOWN. */
static int
grpc_answer(struct str body)
{
	struct reader r = rd_of(body), message;
	uint64_t status = 0;
	uint8_t compressed = rd_u8(&r);
	uint32_t n = rd_be32(&r);

	if (!rd_ok(&r) || compressed != 0 || n > rd_left(&r))
		return -1;
	message = rd_of(rd_str(&r, n));
	while (rd_ok(&message) && rd_left(&message) > 0) {
		uint64_t field = rd_varint(&message), value;

		if ((field & 7) == 2)
			rd_str(&message, rd_varint(&message));
		else if ((field & 7) != 0)
			return -1;
		else if (value = rd_varint(&message), field == GRPC_FIELD_STATUS)
			status = value;
	}
	return rd_ok(&message) && status < 128 ? (int)status : -1;
}

static void
grpc_refusal(struct buf *out, uint64_t code, struct str text)
{
	if (code < GRPC_CODES)
		buf_addf(out, "rpc error: code = %s desc = ", grpc_codes[code]);
	else
		buf_addf(out, "rpc error: code = Code(%llu) desc = ", (unsigned long long)code);
	buf_add(out, text);
}

static enum check_status
grpc_judge(const struct check_def *def, const struct fetch_result *r, struct buf *out)
{
	uint64_t code = 0;

	if (r->error != NULL) {
		grpc_refusal(out, 14, str_of(r->error));
	} else if (r->status != 200) {
		buf_addf(out, "rpc error: code = Unknown desc = HTTP status %d", r->status);
	} else if (!str_u64(r->trailer, UINT32_MAX, &code)) {
		grpc_refusal(out, 13, STR("the answer has no grpc-status"));
	} else if (code != 0) {
		grpc_refusal(out, code, r->trailer_text);
	} else if (grpc_answer(r->body) != GRPC_SERVING) {
		buf_add(out, STR("gRPC application didn't report service healthy"));
	} else {
		buf_add(out, STR("gRPC check "));
		buf_add(out, def->grpc);
		buf_add(out, STR(": success"));
		return CHECK_PASSING;
	}
	return CHECK_CRITICAL;
}

static void
grpc_done(void *arg, const struct fetch_result *r)
{
	struct probe *probe = arg;
	enum check_status status;
	struct buf text;

	probe->state = NULL;
	buf_init(&text, PROBE_TEXT_MAX);
	status = grpc_judge(probe->def, r, &text);
	probe->done(probe, status, buf_str(&text));
	buf_done(&text);
}

static void
check_grpc_start(void *shell, struct probe *probe)
{
	static const struct pair headers[] = {
		{ { "Content-Type", 12 }, { "application/grpc", 16 } },
		{ { "TE", 2 }, { "trailers", 8 } },
		{ { "User-Agent", 10 }, { "Consul Health Check", 19 } },
	};
	const struct check_http_io *io = shell;
	const struct check_def *def = probe->def;
	struct str service = def->grpc, target = str_cut(&service, '/');
	uint8_t message[GRPC_SERVICE_MAX + 16], frame[GRPC_SERVICE_MAX + 32];
	struct writer m = wr_of(message, sizeof message), f = wr_of(frame, sizeof frame);
	struct fetch_request q = {
		.method = STR("POST"),
		.headers = headers,
		.header_count = sizeof headers / sizeof headers[0],
		.server_name = def->tls_server_name,
		.tls_skip_verify = def->tls_skip_verify,
		.http2 = true,
		.trailer = "grpc-status",
		.trailer_text = "grpc-message",
		.keep_max = GRPC_ANSWER_MAX,
		.done = grpc_done,
		.arg = probe,
	};
	struct buf url;

	if (service.n > GRPC_SERVICE_MAX) {
		probe->done(probe, CHECK_CRITICAL, STR("the service's name is too long"));
		return;
	}
	if (service.n > 0) {
		wr_u8(&m, GRPC_FIELD_SERVICE);
		wr_varint(&m, service.n);
		wr_bytes(&m, service);
	}
	wr_u8(&f, 0);
	wr_be32(&f, (uint32_t)wr_done(&m).n);
	wr_bytes(&f, wr_done(&m));
	q.body = wr_done(&f);
	buf_init(&url, 1024);
	buf_add(&url, def->grpc_use_tls ? STR("https://") : STR("http://"));
	buf_add(&url, target);
	buf_add(&url, STR("/grpc.health.v1.Health/Check"));
	q.url = buf_str(&url);
	probe->state = fetch_start(io->fetcher, &q);
	buf_done(&url);
}

static enum check_status
check_grpc_expire(struct probe *probe, struct buf *out)
{
	(void)probe;
	grpc_refusal(out, 4, STR("context deadline exceeded"));
	return CHECK_CRITICAL;
}

static void
check_grpc_stop(struct probe *probe)
{
	fetch_cancel(probe->state);
	probe->state = NULL;
}

const struct probe_kind check_grpc_kind = { check_grpc_start, check_grpc_expire, check_grpc_stop };
