/* watcher/docker_io.h -- the shell around docker.h: libcurl's multi interface in the loop.
 *
 * Reaches the engine over its unix socket or over TCP (DOCKER_HOST, with TLS by
 * DOCKER_TLS_VERIFY and DOCKER_CERT_PATH). No polling: libcurl's sockets and timer live in
 * libevent.
 */
#ifndef WATCHER_DOCKER_IO_H
#define WATCHER_DOCKER_IO_H

#include <event2/event.h>

#include "base/err.h"
#include "watcher/docker.h"

struct docker_io;

struct docker_endpoint {
	struct str url;       /* "unix:///var/run/docker.sock", "tcp://10.0.0.1:2376" */
	bool tls;
	struct str cert_path; /* folder with ca.pem, cert.pem, key.pem; empty: none */
};

/* From -docker (empty: auto), the environment's DOCKER_HOST and the sockets that exist. False
 * for "off". When nothing is there the usual path is taken: it may come. Memory from arena. */
bool docker_endpoint_find(struct str option, struct arena *, struct docker_endpoint *out);

/* `docker` is borrowed and driven. `on_news` is called (never from within docker_io_new) when
 * docker_news_next() has something; it must drain it. */
int docker_io_new(struct event_base *, struct docker *, const struct docker_endpoint *,
    void (*on_news)(void *), void *arg, struct docker_io **out, struct err *);
void docker_io_free(struct docker_io *);

/* Runs the core's timers and actions; after docker_reconfigure() or docker_resync(). News goes
 * to `on_news` before this returns. */
void docker_io_kick(struct docker_io *);

#endif
