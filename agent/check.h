/* agent/check.h -- checks that this agent owns: what they are and when they change by time.
 *
 * A definition in Consul's terms, and the state machine of its status. TTL checks turn critical
 * when nobody reports in time. Active kinds (HTTP, TCP …) are defined and shown; what runs them
 * asks check_deadline() like everybody else.
 */
#ifndef AGENT_CHECK_H
#define AGENT_CHECK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/str.h"
#include "kv/entity.h"

enum check_type {
	CHECK_TTL, CHECK_HTTP, CHECK_TCP, CHECK_UDP, CHECK_GRPC, CHECK_SCRIPT, CHECK_DOCKER,
	CHECK_ALIAS,
	CHECK_STATE, /* set from inside: docker-health, docker-state, maintenance */
};

/* As given; slices borrowed from the request, the config or the caller. Durations in ns, 0: not
 * given. */
struct check_def {
	struct str id, name, notes, service_id;
	enum check_type type;
	struct str status; /* first status; empty: critical */
	struct str output;
	struct str http, method, body, tcp, udp, grpc, docker_container_id, shell, alias_node,
	    alias_service;
	struct str *args;
	size_t arg_count;
	struct pair *headers; /* one row per value; sorted by key */
	size_t header_count;
	bool grpc_use_tls, tls_skip_verify;
	struct str tls_server_name;
	nsec ttl, interval, timeout, deregister_after;
	int64_t success_before_passing, failures_before_critical, output_max_size;
};

#define CHECK_OUTPUT_MAX 4096 /* bytes kept of an output, unless output_max_size says otherwise */

/* Consul's checks on a definition: exactly one kind, durations, interval. ERR_INPUT with
 * Consul's own text. */
int check_def_validate(const struct check_def *, bool scripts_enabled, struct err *);

/* "ttl", "http", "tcp" … as answers show it. */
struct str check_type_text(enum check_type);

#endif
