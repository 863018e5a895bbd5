/* agent/pool/keyring_io.h -- the pool's keys on disk: file `keyring` in the data folder.
 *
 * Serf's format: a JSON list of keys in base64, the primary first; mode 0600. Once the file is
 * there its keys count and -encrypt only founds it, as in Consul: keys are changed over the pool
 * (muster keyring), and the file holds what came of that.
 */
#ifndef AGENT_KEYRING_IO_H
#define AGENT_KEYRING_IO_H

#include "base/err.h"
#include "base/str.h"
#include "gossip/keyring.h"

enum keyring_source {
	KEYRING_NONE,    /* no file, no key: gossip is not encrypted */
	KEYRING_FILE,    /* from the file; -encrypt is none or its primary */
	KEYRING_CONFLICT, /* from the file, though -encrypt says another key: warn */
	KEYRING_GIVEN,   /* from -encrypt; the file is new, or there shall be none */
	KEYRING_CONSUL,  /* from a Consul agent's file in the same folder, serf/local.keyring */
};

/* The ring to begin with; *out is NULL with KEYRING_NONE, else the caller's. folder NULL: memory
 * only. key: -encrypt decoded, empty when not given. ERR_INPUT: a damaged file, which ends the start:
 * without its keys we would be shut out, or speak in the clear. */
int keyring_io_load(const char *folder, struct str key, struct keyring **out,
    enum keyring_source *source, struct err *);

/* Call it before a changed ring counts. folder NULL: nothing happens. */
int keyring_io_save(const char *folder, const struct keyring *, struct err *);

#endif
