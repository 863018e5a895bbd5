/* agent/options.h -- everything a user can set, in one table.
 *
 * A row names the flag, the key in config files, the type, the default, the range and the help
 * text; flags, files, --help and the manual all come from it. Flags take one dash or two, a value
 * after a blank or '='; later ones win; flags beat files.
 */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/definition.h"
#include "agent/duration.h"
#include "agent/listen.h"
#include "agent/http/access.h"
#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/nsec.h"
#include "base/str.h"
#include "gossip/swim.h"
#include "kv/entity.h"

struct option;

struct option_ttl { /* of dns_config.service_ttl */
	struct str name;
	uint32_t seconds;
};

struct option_unused { /* given, but nothing acts on it */
	struct str name;  /* as the user wrote it: "-ui", "performance.raft_multiplier" */
	const struct option *row;
};

/* Slices live in the options' own arena. Durations in nanoseconds. */
struct options {
	struct arena arena;
	bool dev, server, bootstrap;
	int64_t bootstrap_expect;
	struct str bind, advertise, client; /* texts as given; empty: default */
	struct str node, node_id, datacenter, domain, alt_domain, data_dir, pid_file, user;
	struct str log_level;
	int64_t http_port, https_port, dns_port, dns_second_port; /* -1: off */
	int64_t serf_port, server_port;
	struct str config_format; /* "json", "hcl"; empty: as a file's name ends */
	struct str *config_files, *config_dirs;
	size_t config_file_count, config_dir_count;
	struct pair *node_meta;
	size_t node_meta_count;
	/* joining */
	struct str *start_join, *retry_join;
	size_t start_join_count, retry_join_count;
	nsec retry_interval;
	int64_t retry_max; /* 0: no end */
	bool rejoin_after_leave;
	/* gossip */
	struct str encrypt; /* base64; a secret: never shown */
	bool encrypt_verify_incoming, encrypt_verify_outgoing, disable_keyring_file;
	struct str serf_lan; /* text as given; empty: as bind */
	struct str gossip_profile_name;
	struct { /* gossip_lan.*; 0: as the profile says */
		nsec gossip_interval, probe_interval, probe_timeout;
		int64_t gossip_nodes, retransmit_mult, suspicion_mult;
	} gossip_lan;
	nsec reconnect_timeout;  /* failed members are reaped after it */
	nsec restart_grace;      /* 0: a stop is not announced */
	int64_t hold_share;      /* percent; 0: off */
	int64_t damp_flaps;
	bool leave_on_terminate, skip_leave_on_interrupt;
	bool enable_script_checks, enable_local_script_checks;
	nsec check_update_interval, check_deregister_interval_min;
	nsec session_ttl_min;
	/* dns_config */
	struct str *recursors;
	size_t recursor_count;
	struct str dns_recursor_strategy;
	nsec dns_recursor_timeout;
	bool dns_query_log, dns_node_meta_txt;
	nsec dns_node_ttl;
	struct option_ttl *dns_service_ttl;
	size_t dns_service_ttl_count;
	bool dns_only_passing, dns_enable_truncate, dns_disable_compression;
	int64_t dns_udp_answer_limit, dns_a_record_limit, dns_threads;
	int64_t dns_rate_limit, dns_rate_slip;
	int64_t dns_soa_refresh, dns_soa_retry, dns_soa_expire, dns_soa_min_ttl;
	/* telemetry */
	struct str metrics_prefix;
	bool metrics_disable_hostname, metrics_filter_default;
	struct str *metrics_rules; /* telemetry.prefix_filter */
	size_t metrics_rule_count;
	/* limits */
	int64_t http_max_conns_per_client, http_max_conns;
	int64_t http_max_header_bytes; /* 0: HTTP_HEAD_BYTES_MAX */
	struct str *block_endpoints, *allow_write_from;
	size_t block_endpoint_count, allow_write_from_count;
	struct pair *response_headers;
	size_t response_header_count;
	/* addresses.*: where one protocol listens, instead of -client */
	struct str http_address, https_address, dns_address;
	/* TLS, as tls_io.h has it */
	struct str ca_file, ca_path, cert_file, key_file, tls_min_version, tls_cipher_suites;
	bool tls_prefer_server_cipher_suites, verify_incoming, verify_incoming_https;
	bool verify_incoming_rpc, verify_outgoing, verify_server_hostname;
	nsec https_handshake_timeout;
	struct { /* unix_sockets.*: names or numbers; empty: as the system makes them */
		struct str user, group, mode;
	} unix_sockets;
	struct definitions definitions; /* of services and checks, in config files */
	struct str *watches; /* of config files: JSON that watch_plan_read() takes */
	size_t watch_count;
	struct option_unused *unused; /* each once */
	size_t unused_count;
	/* docker */
	struct str docker;          /* "", "auto", "off", or an address */
	bool docker_internal, docker_explicit, docker_meta, docker_cleanup, docker_swarm_nodes;
	struct str docker_ip; /* or two, of both families: "10.0.0.1,fd00::1" */
	struct str docker_tags, docker_use_ip_from_label, docker_deregister;
	struct str docker_network, docker_compose;
	nsec docker_drain, docker_resync, docker_ttl, docker_ttl_refresh;
	int64_t docker_workers;
	/* derived by options_finish() */
	enum log_level level;
	struct addr bind_addr, advertise_addr; /* with the port of gossip */
	struct addr gossip_bind;               /* where gossip binds; else bind_addr */
	struct swim_profile gossip_profile;
	uint8_t encrypt_key[32];
	size_t encrypt_key_len; /* 0: no key was given */
	struct listen_at *http_listen; /* with ports, of TLS behind the plain ones; none when off */
	struct addr *dns_listen;
	size_t http_listen_count, dns_listen_count;
	size_t dns_listen_must; /* of these; behind them are those of the second port */
	struct listen_mode http_unix_mode;
	struct http_access http_access;
	struct str tls_server_name; /* that verify_server_hostname wants; terminated */
	bool docker_ip_forced;
	struct str node_name;
	bool node_name_is_container; /* the host name is this container's own id */
};

#define OPTIONS_BYTES_MAX (8 * 1024 * 1024) /* all values together */
#define CONFIG_FILE_BYTES_MAX (4 * 1024 * 1024)

enum option_type {
	OPTION_BOOL,
	OPTION_TEXT,
	OPTION_INT,
	OPTION_DURATION,
	OPTION_SECONDS, /* a duration whose bare number is seconds: registrator's */
	OPTION_LIST,    /* every use adds one */
	OPTION_MAP,     /* flag: key:value; file: an object of texts */
	OPTION_TTLS,    /* file: an object of durations */
	OPTION_DEFINITION, /* file: services or checks, as definition.h has them */
	OPTION_IGNORED, /* Consul's, means nothing here: a line in the log */
	OPTION_LATER,   /* Consul's, would matter, not in this version: a warning, unless the value
	                 * switches it off, as it is */
};

struct option {
	const char *flag; /* without dashes; NULL: config files only */
	const char *key;  /* path in config files, "ports.http"; NULL: flag only. IGNORED and LATER
	                   * cover what lies below it too */
	enum option_type type;
	size_t offset;       /* of the member of struct options */
	size_t count_offset; /* LIST, MAP, TTLS: of its count */
	const char *value;   /* how --help names the value, "PORT"; NULL: takes none (BOOL) */
	const char *initial; /* default as text; NULL: zero */
	int64_t min, max;    /* INT: the range; both 0: any */
	const char *help;    /* one sentence; NULL for IGNORED */
	const char *group;   /* heading in --help */
	bool reloads;        /* SIGHUP takes a new value over */
};
extern const struct option options_table[]; /* ends with a row of zeros */

/* Defaults, then config files, then flags, then what follows from them (addresses, node name).
 * argv holds the arguments after "agent". ERR_INPUT with a sentence that names the flag, or
 * file and key. *help_wanted: --help was given, nothing else counts. Call options_done() in
 * every case. */
int options_read(struct options *, int argc, char **argv, bool *help_wanted, struct err *);
void options_done(struct options *);

/* The steps of options_read(). init: defaults. finish: checks that concern several options, and
 * the derived members; asks the host for its name and addresses. */
int options_init(struct options *, struct err *);
int options_flags(struct options *, int argc, char **argv, bool *help_wanted, struct err *);
int options_finish(struct options *, struct err *);

/* The address to advertise out of this host's (each is looked at as IPv4 only, as Consul does):
 * the one private address. ERR_INPUT names them when there are several, or says there is none. */
int options_advertise_choose(const struct addr *, size_t count, struct addr *out, struct err *);

struct recurse_config;
/* The name servers to ask, and how; checked by options_finish(). */
int options_recursors(const struct options *, struct recurse_config *out, struct err *);

/* After SIGHUP: takes over what reloads from `fresh` (copied), and the level derived from it.
 * `changed` (cap bytes) receives the names of options that changed but need a restart. */
int options_reload(struct options *, const struct options *fresh, char *changed, size_t cap,
    struct err *);

/* One file (HCL when it ends in .hcl, else JSON), or all *.json and *.hcl of a folder in order of
 * name, on top of what is there. With a config_format all of them are of that, and every file of a
 * folder counts. */
int config_file_read(struct options *, struct str path, struct err *);
int config_dir_read(struct options *, struct str path, struct err *);
/* The same of text; `name` stands where a path would. */
int config_text_read(struct options *, struct str name, struct str text, struct err *);

/* Before any file is read. ERR_INPUT: neither "json" nor "hcl". */
int config_format_set(struct options *, struct str format, struct err *);

/* Sets one option from text, as a flag does. Lists and maps grow by one. */
int option_set_text(struct options *, const struct option *, struct str value, struct err *);
int option_add_pair(struct options *, const struct option *, struct str key, struct str value,
    struct err *);
int option_add_watch(struct options *, struct str text, struct err *);
/* Used once or often: noted once. */
int option_note_unused(struct options *, const struct option *, struct str name, struct err *);
/* "-1", "false" and the like. */
bool option_value_is_off(struct str value);
const struct option *option_by_flag(struct str flag);
/* An IGNORED or LATER row also answers for paths below its own. */
const struct option *option_by_key(struct str path);
/* Whether some row's key lies below this path. */
bool option_key_is_parent(struct str path);

static inline void * /* where an option's value lies */
option_at(const struct options *o, size_t offset)
{
	return (char *)(uintptr_t)o + offset;
}

#endif
