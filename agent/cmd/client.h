/* agent/cmd/client.h -- a command's way to its agent: one HTTP request at a time (libcurl).
 *
 * Where the agent is: -http-addr, else MUSTER_HTTP_ADDR, else CONSUL_HTTP_ADDR, else
 * 127.0.0.1:8500. HOST, HOST:PORT, http://…, https://… and unix://PATH are understood.
 */
#ifndef AGENT_CMD_CLIENT_H
#define AGENT_CMD_CLIENT_H

#include <jansson.h>

#include "agent/cmd/flags.h"
#include "base/buf.h"
#include "base/err.h"

struct client_flags { /* at the beginning of every struct of flags */
	const char *http_addr, *token, *datacenter;
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
/* GET, and the answer as JSON, which the caller owns. */
int http_client_get_json(struct http_client *, struct str path, json_t **out, struct err *);

/* A part of a path, or a value of a query, with %XX where it is needed. */
void path_add(struct buf *, struct str part);

#endif
