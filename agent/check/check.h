/* agent/check/check.h -- checks that this agent owns: what they are and when they change by time.
 *
 * A definition in Consul's terms: what is allowed, how it is shown, how it is kept on disk, and
 * how much of an output is kept. Status and time are local.h's business: there TTL checks turn
 * critical when nobody reports in time. Active kinds (HTTP, TCP …) are run by check_io.h, when
 * check_run.h says so.
 */
#ifndef AGENT_CHECK_H
#define AGENT_CHECK_H

#include "base/arena.h"
#include "base/buf.h"
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
 * given. `type` counts only as CHECK_STATE; else what is given decides (check_def_type()). */
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

#define CHECK_OUTPUT_MAX 4096 /* bytes kept of an output, unless output_max_size says less */
#define CHECK_ARGS_MAX   256  /* of Args, and of values of Header */

/* Which kind a definition is, in Consul's order of precedence; CHECK_STATE stays what it is. */
enum check_type check_def_type(const struct check_def *);

/* Consul's checks on a definition: exactly one kind, durations, interval. ERR_INPUT with
 * Consul's own text ("Invalid check: …"); ERR_REFUSED: scripts are off. */
int check_def_validate(const struct check_def *, bool scripts_enabled, struct err *);

/* Kinds that this agent has to do something for: neither TTL nor a state. */
bool check_type_runs(enum check_type);

/* "ttl", "http", "tcp" … as answers show it. A state has no type of its own: "". */
struct str check_type_text(enum check_type);
/* The same for one definition: a state that is maintenance says "maintenance". */
struct str check_def_type_text(const struct check_def *);

/* How much of an output a check keeps. */
size_t check_output_max(const struct check_def *);
/* The tail of an output of `total` bytes whose last ones (at most `max`) are `tail`; when that is
 * not all, behind "Captured MAX of TOTAL bytes\n...\n". */
void check_output_tail(struct buf *out, struct str tail, size_t max, uint64_t total);
/* The head of an output, at most `max` bytes, and when that is not all
 * " ... (captured MAX of N bytes)". Appends to out, whose cap must have room for both. */
void check_output_keep(struct buf *out, struct str output, size_t max);
/* At most `max` bytes of it, not ending within a UTF-8 character. */
struct str check_output_head(struct str output, size_t max);

/* A body like an entity's (entity.h): rows of (tag, length, bytes) in rising order of tag. */
void check_def_pack(struct buf *, const struct check_def *);
/* Strings point into body, arrays come from the arena. ERR_INPUT, ERR_MEMORY. */
int check_def_unpack(struct arena *, struct str body, struct check_def *out, struct err *);

/* A copy that lives in one allocation, returned in *memory for free(). */
void check_def_copy(struct check_def *out, void **memory, const struct check_def *);

#endif
