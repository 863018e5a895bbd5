/* agent/cmd/registrar_io.h -- the shell around watcher/registrar.h: Consul's HTTP API by libcurl's
 * multi interface, in the loop.
 */
#ifndef AGENT_CMD_REGISTRAR_IO_H
#define AGENT_CMD_REGISTRAR_IO_H

#include <event2/event.h>

#include "agent/cmd/client.h"
#include "watcher/registrar.h"

struct registrar_io;

struct registrar_io_config {
	struct event_base *base; /* borrowed, as all of them */
	struct registrar *registrar;
	struct http_client *client;  /* where the backend is */
	bool keys;                   /* as in the registrar's config */
	const char *token;           /* X-Consul-Token; NULL: none */
	void (*given_up)(void *arg); /* never from within registrar_io_new() */
	void *arg;
};

struct registrar_io *registrar_io_new(const struct registrar_io_config *);
void registrar_io_free(struct registrar_io *); /* NULL is fine */
/* Carries out what the registrar wants; after everything that fed it. */
void registrar_io_kick(struct registrar_io *);

#endif
