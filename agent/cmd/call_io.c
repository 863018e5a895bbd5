/* agent/cmd/call_io.c -- see call_io.h. */
#include "agent/cmd/call_io.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define WAIT_MAX (60 * NSEC_SEC)

struct call_slot {
	CURL *curl; /* NULL: nothing is under way */
	struct curl_slist *headers;
	struct buf answer;
	uint64_t index;
	char error[CURL_ERROR_SIZE];
};

struct calls {
	struct http_client *client;
	CURLM *multi;
	size_t count;
	struct call_slot slots[];
};

struct calls *
calls_new(struct http_client *client, size_t slots)
{
	struct calls *c = mem_zalloc(sizeof *c + slots * sizeof c->slots[0]);

	c->client = client;
	c->multi = curl_multi_init();
	if (c->multi == NULL)
		abort();
	c->count = slots;
	for (size_t i = 0; i < slots; i++)
		buf_init(&c->slots[i].answer, CLIENT_BYTES_MAX);
	return c;
}

void
calls_drop(struct calls *c, size_t slot)
{
	struct call_slot *s = &c->slots[slot];

	if (s->curl == NULL)
		return;
	curl_multi_remove_handle(c->multi, s->curl);
	curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	s->curl = NULL;
	s->headers = NULL;
}

void
calls_free(struct calls *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++) {
		calls_drop(c, i);
		buf_done(&c->slots[i].answer);
	}
	curl_multi_cleanup(c->multi);
	free(c);
}

static size_t
body_take(char *p, size_t size, size_t n, void *arg)
{
	struct call_slot *s = arg;

	buf_add(&s->answer, str_mem(p, size * n));
	return s->answer.full ? 0 : size * n;
}

static size_t
header_take(char *p, size_t size, size_t n, void *arg)
{
	struct call_slot *s = arg;

	http_client_index(str_mem(p, size * n), &s->index);
	return size * n;
}

void
calls_begin(
    struct calls *c, size_t slot, const char *method, struct str path, struct str body, nsec time)
{
	struct call_slot *s = &c->slots[slot];
	struct buf url;

	calls_drop(c, slot);
	s->curl = http_client_handle(c->client);
	s->headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
	if (s->curl == NULL || s->headers == NULL)
		abort();
	buf_clear(&s->answer);
	s->index = 0;
	s->error[0] = '\0';
	buf_init(&url, PATH_URL_MAX);
	http_client_url(c->client, path, &url);
	curl_easy_setopt(s->curl, CURLOPT_URL, url.full ? "" : url.p);
	buf_done(&url);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_TIMEOUT_MS, (long)(time / NSEC_MS));
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->error);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, body_take);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_HEADERFUNCTION, header_take);
	curl_easy_setopt(s->curl, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
		curl_easy_setopt(s->curl, CURLOPT_COPYPOSTFIELDS, body.n == 0 ? "" : body.p);
	}
	curl_easy_setopt(s->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_multi_add_handle(c->multi, s->curl);
}

static int
calls_open(const struct calls *c)
{
	int n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += c->slots[i].curl != NULL;
	return n;
}

bool
calls_wait(struct calls *c, int fd, nsec wait)
{
	struct curl_waitfd also = { .fd = fd, .events = CURL_WAIT_POLLIN };
	int running;

	wait = wait < 0 ? 0 : nsec_min(wait, WAIT_MAX);
	curl_multi_perform(c->multi, &running);
	if (running < calls_open(c))
		wait = 0; /* an answer is here already */
	/* rounded up: a moment too late is better than a loop that is a moment too early */
	curl_multi_poll(c->multi, &also, 1, (int)((wait + NSEC_MS - 1) / NSEC_MS), NULL);
	curl_multi_perform(c->multi, &running);
	return also.revents != 0;
}

static size_t
slot_of(const struct calls *c, const CURL *curl)
{
	size_t i = 0;

	while (i < c->count && c->slots[i].curl != curl)
		i++;
	return i;
}

bool
calls_next(struct calls *c, size_t *slot, struct lock_answer *out)
{
	struct call_slot *s;
	CURLMsg *msg;
	CURLcode code;
	long status = 0;
	int left;

	do
		msg = curl_multi_info_read(c->multi, &left);
	while (msg != NULL && msg->msg != CURLMSG_DONE);
	if (msg == NULL)
		return false;
	*slot = slot_of(c, msg->easy_handle);
	code = msg->data.result;
	s = &c->slots[*slot];
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK) {
		buf_clear(&s->answer);
		buf_addf(&s->answer, "the agent at %s does not answer: %s",
		    http_client_address(c->client),
		    s->error[0] != '\0' ? s->error : curl_easy_strerror(code));
	}
	*out = (struct lock_answer){
		.status = code == CURLE_OK ? (int)status : 0,
		.index = s->index,
		.body = buf_str(&s->answer),
	};
	calls_drop(c, *slot);
	return true;
}
