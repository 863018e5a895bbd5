/* agent/check/check_http_io.h -- shells over fetch_io.h: HTTP and HTTPS checks, gRPC health, Docker exec.
 *
 *     HTTP     2xx passing, 429 warning, all else critical; redirects are followed
 *     gRPC     grpc.health.v1.Health/Check over HTTP/2 says SERVING
 *     Docker   a program run in a container through the Engine API; exit status as a script's
 */
#ifndef AGENT_CHECK_HTTP_IO_H
#define AGENT_CHECK_HTTP_IO_H

#include "agent/check/check_probe.h"
#include "agent/fetch_io.h"

/* What the kinds below take as their `shell`. */
struct check_http_io {
	struct fetcher *fetcher; /* borrowed */
	struct str docker_url;   /* "unix:///var/run/docker.sock", "tcp://…"; empty: off */
};

extern const struct probe_kind check_http_kind, check_grpc_kind, check_docker_kind;

#endif
