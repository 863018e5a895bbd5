/* agent/cmd/client.h -- a command's way to its agent: one HTTP request at a time (libcurl).
 *
 * Where the agent is: -http-addr, else MUSTER_HTTP_ADDR, else CONSUL_HTTP_ADDR, else
 * 127.0.0.1:8500. HOST, HOST:PORT, http://…, https://… and unix://PATH are understood. How TLS is
 * spoken: -ca-file and the like, else MUSTER_CACERT and so on, else CONSUL_CACERT, by Consul's names.
 */
#ifndef AGENT_CMD_CLIENT_H
#define AGENT_CMD_CLIENT_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

#include "agent/cmd/flags.h"
#include "agent/cmd/path.h"
#include "base/buf.h"
#include "base/err.h"

struct client_flags { /* at the beginning of every struct of flags */
	const char *http_addr, *token, *datacenter;
	const char *ca_file, *ca_path, *client_cert, *client_key, *tls_server_name;
	bool stale;
};
extern const struct flag client_flags_table[];

#define CLIENT_CONNECT_SECONDS 5
#define CLIENT_SECONDS 90 /* for an answer: longer than the agent puts one off */
#define CLIENT_BYTES_MAX (64 * 1024 * 1024)

struct http_client;

/* ERR_INPUT: the address makes no sense. */
int http_client_new(const struct client_flags *, struct http_client **out, struct err *);
void http_client_free(struct http_client *); /* NULL is fine */

/* The answer's body replaces what is in *out (may be NULL). ERR_IO: nobody answered, in words for a
 * person; ERR_NOT_FOUND: status 404; ERR_REFUSED: another status from 400 on, with its text. */
int http_client_ask(struct http_client *, const char *method, struct str path, struct str body,
    struct buf *out, struct err *);
/* GET, and the answer as JSON (json_read_wide()), which the caller owns. */
int http_client_get_json(struct http_client *, struct str path, json_t **out, struct err *);

/* The same; an answer with this status is one too. */
int http_client_get_any(
    struct http_client *, struct str path, long status, json_t **out, struct err *);

/* Bodies of any size. GET into a file; *index: its X-Consul-Index. */
int http_client_save(struct http_client *, struct str path, FILE *, uint64_t *index, struct err *);
/* GET of a body that has no end, written as it comes. 0: the agent has ended it. */
int http_client_follow(struct http_client *, struct str path, FILE *, struct err *);
/* GET that may wait for as long as it takes; *index: its X-Consul-Index. */
int http_client_wait(struct http_client *, struct str path, struct buf *out, uint64_t *index,
    struct err *);
/* PUT of all that is in a file, from where it stands. */
int http_client_send(struct http_client *, struct str path, FILE *, struct err *);

/* For who runs requests side by side (call_io.h): a handle like ours, and the URL of a path,
 * terminated. */
CURL *http_client_handle(const struct http_client *);
void http_client_url(const struct http_client *, struct str path, struct buf *url);
const char *http_client_address(const struct http_client *);
/* From a line of an answer's head, when it is that one. */
void http_client_index(struct str line, uint64_t *index);

#endif
