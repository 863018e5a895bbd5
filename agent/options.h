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

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/nsec.h"
#include "base/str.h"
#include "kv/entity.h"

struct option_ttl { /* of dns_config.service_ttl */
	struct str name;
	uint32_t seconds;
};

/* Slices live in the options' own arena. Durations in nanoseconds. */
struct options {
	struct arena arena;
	bool dev, server, bootstrap;
	int64_t bootstrap_expect;
	struct str bind, advertise, client; /* texts as given; empty: default */
	struct str node, node_id, datacenter, domain, alt_domain, data_dir, pid_file;
	struct str log_level;
	int64_t http_port, dns_port, serf_port, server_port; /* -1: off */
	struct str *config_files, *config_dirs;
	size_t config_file_count, config_dir_count;
	struct pair *node_meta;
	size_t node_meta_count;
	bool leave_on_terminate, skip_leave_on_interrupt;
	bool enable_script_checks, enable_local_script_checks;
	nsec check_update_interval;
	/* dns_config */
	nsec dns_node_ttl;
	struct option_ttl *dns_service_ttl;
	size_t dns_service_ttl_count;
	bool dns_only_passing, dns_enable_truncate, dns_disable_compression;
	int64_t dns_udp_answer_limit, dns_a_record_limit;
	int64_t dns_soa_refresh, dns_soa_retry, dns_soa_expire, dns_soa_min_ttl;
	/* limits */
	int64_t http_max_conns_per_client, http_max_conns;
	/* docker */
	struct str docker;          /* "", "auto", "off", or an address */
	bool docker_internal, docker_explicit, docker_meta;
	struct str docker_ip, docker_tags, docker_use_ip_from_label, docker_deregister;
	nsec docker_drain, docker_resync;
	/* derived by options_finish() */
	enum log_level level;
	struct addr advertise_addr, *client_addrs;
	size_t client_addr_count;
	bool docker_ip_forced;
	struct str node_name;
};

enum option_type {
	OPTION_BOOL, OPTION_TEXT, OPTION_INT, OPTION_DURATION, OPTION_LIST, OPTION_MAP,
	OPTION_IGNORED, /* Consul's, means nothing here: a line in the log */
};

struct option {
	const char *flag; /* without dashes; NULL: config files only */
	const char *key;  /* path in config files, "ports.http"; NULL: flag only */
	enum option_type type;
	size_t offset;    /* of the member of struct options */
	const char *value;   /* how --help names the value, "PORT"; NULL for BOOL */
	const char *initial; /* default as text; NULL: zero */
	int64_t min, max;    /* INT: the range; both 0: any */
	const char *help;    /* one sentence */
	const char *group;   /* heading in --help */
	bool reloads;        /* SIGHUP takes a new value over */
};
extern const struct option options_table[]; /* ends with a row of zeros */

/* Defaults, then config files, then flags, then what follows from them (addresses, node name).
 * argv holds the arguments after "agent". ERR_INPUT with a sentence that names the flag, or
 * file and key. *help_wanted: --help was given, nothing else counts. */
int options_read(struct options *, int argc, char **argv, bool *help_wanted, struct err *);
void options_done(struct options *);

/* One file (JSON) or all *.json of a folder, in order of name, on top of what is there. */
int config_file_read(struct options *, struct str path, struct err *);
int config_dir_read(struct options *, struct str path, struct err *);

/* Sets one option from text (flag) or a JSON value is config.c's business. */
int option_set_text(struct options *, const struct option *, struct str value, struct err *);
const struct option *option_by_flag(struct str flag);
const struct option *option_by_key(struct str path);

/* A span as Go writes it: "1h30m", "1.5s", "250ms"; "0" too. ERR_INPUT with Go's own text
 * (time: invalid duration "x"). */
int duration_parse(struct str, nsec *out, struct err *);
/* As Go prints it: "1m30s", "1.5s", "0s". Terminated. */
char *duration_format(nsec, char out[40]);

#endif
