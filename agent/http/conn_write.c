/* agent/http/conn_write.c -- the head of a reply: status line, headers, date.
 *
 * Values that come from outside cannot end a line: control characters become blanks, as in Go.
 */
#include "agent/http/conn_private.h"

#include <stdio.h>
#include <time.h>

static const struct {
	int status;
	struct str text;
} status_texts[] = {
	{ 200, STR("200 OK") },
	{ 204, STR("204 No Content") },
	{ 301, STR("301 Moved Permanently") },
	{ 304, STR("304 Not Modified") },
	{ 307, STR("307 Temporary Redirect") },
	{ 400, STR("400 Bad Request") },
	{ 401, STR("401 Unauthorized") },
	{ 403, STR("403 Forbidden") },
	{ 404, STR("404 Not Found") },
	{ 405, STR("405 Method Not Allowed") },
	{ 408, STR("408 Request Timeout") },
	{ 409, STR("409 Conflict") },
	{ 413, STR("413 Request Entity Too Large") },
	{ 415, STR("415 Unsupported Media Type") },
	{ 417, STR("417 Expectation Failed") },
	{ 429, STR("429 Too Many Requests") },
	{ 431, STR("431 Request Header Fields Too Large") },
	{ 500, STR("500 Internal Server Error") },
	{ 501, STR("501 Not Implemented") },
	{ 503, STR("503 Service Unavailable") },
	{ 505, STR("505 HTTP Version Not Supported") },
};

static struct str
status_text(int status)
{
	for (size_t i = 0; i < sizeof status_texts / sizeof status_texts[0]; i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return STR_NONE;
}

/* RFC 9110 5.6.7, but for the line's end; written once a second. */
static struct str
date_line(struct http_work *w, struct now now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t sec = (time_t)(now.wall_ms / 1000);
	struct tm tm;

	if (w->date_sec == sec && w->date[0] != '\0')
		return str_mem(w->date, sizeof w->date - 1);
	if (gmtime_r(&sec, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 8099)
		return STR("Date: Thu, 01 Jan 1970 00:00:00 GMT");
	snprintf(w->date, sizeof w->date, "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
	    days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 32, months + 3 * tm.tm_mon,
	    (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 24,
	    (unsigned)tm.tm_min % 60, (unsigned)tm.tm_sec % 61);
	w->date_sec = sec;
	return str_mem(w->date, sizeof w->date - 1);
}

static void
value_add(struct buf *out, struct str value)
{
	char *p = buf_reserve(out, value.n);

	if (p == NULL)
		return;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		p[i] = (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : value.p[i];
	}
	buf_commit(out, value.n);
}

static void
reply_headers(const struct http_answer *a, struct buf *out)
{
	const struct http_reply *rp = a->reply;

	if (rp->indexed) {
		buf_add(out, STR("X-Consul-Effective-Consistency: "));
		buf_add(out, request_consistency(a->request));
		buf_add(out, STR("\r\nX-Consul-Index: "));
		buf_add_u64(out, rp->index == 0 ? 1 : rp->index); /* 0 makes watchers spin */
		buf_add(out, STR("\r\nX-Consul-KnownLeader: "));
		buf_add(out, rp->leaderless ? STR("false") : STR("true"));
		buf_add(out, STR("\r\nX-Consul-LastContact: "));
		buf_add_u64(out, rp->contact_ms);
		buf_add(out, STR("\r\n"));
	}
	for (size_t i = 0; i < rp->extra_count; i++) {
		value_add(out, rp->extra[i].name);
		buf_add(out, STR(": "));
		value_add(out, rp->extra[i].value);
		buf_add(out, STR("\r\n"));
	}
}

void
http_head_write(struct http_work *w, struct now now, const struct http_answer *a, struct buf *out)
{
	struct str status = status_text(a->status);

	if (a->status == 200 && !a->http10) {
		buf_add(out, STR("HTTP/1.1 200 OK\r\n"));
	} else {
		buf_add(out, a->http10 ? STR("HTTP/1.0 ") : STR("HTTP/1.1 "));
		if (status.n > 0)
			buf_add(out, status);
		else
			buf_addf(out, "%03d status code %d", a->status, a->status);
		buf_add(out, STR("\r\n"));
	}
	buf_add(out, buf_str(&w->fixed));
	if (a->content_type != NULL) {
		buf_add(out, STR("Content-Type: "));
		buf_add(out, str_of(a->content_type));
		buf_add(out, STR("\r\n"));
	}
	if (a->reply != NULL)
		reply_headers(a, out);
	if (a->close)
		buf_add(out, STR("Connection: close\r\n"));
	else if (a->http10)
		buf_add(out, STR("Connection: keep-alive\r\n"));
	buf_add(out, date_line(w, now));
	if (a->stream) {
		buf_add(out,
		    a->http10 ? STR("\r\n\r\n") : STR("\r\nTransfer-Encoding: chunked\r\n\r\n"));
		return;
	}
	buf_add(out, STR("\r\nContent-Length: "));
	buf_add_u64(out, a->length);
	buf_add(out, STR("\r\n\r\n"));
}
