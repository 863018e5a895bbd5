/* kv/raft_recover_io.c -- a log whose quorum is lost goes on under the configuration of peers.json.
 *
 * A crash on the way is harmless: the file is there until all is durable, and a second try appends
 * another entry of a later term.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "kv/raft_disk_priv.h"
#include "kv/raft_peers.h"

/* The newest configuration there is, committed or not. */
static bool
newest_config(const struct raft_core_found *found, struct raft_core_server *out, size_t *count)
{
	for (size_t i = found->count; i > 0; i--)
		if (raft_core_entry_is_config(&found->entries[i - 1]))
			return raft_core_config_read(found->entries[i - 1].bytes, out, count);
	return found->snapshot != NULL &&
	       raft_core_config_read(found->snapshot->config, out, count);
}

static int
recover_servers(const struct raft_disk *d, const struct raft_core_found *found,
    struct raft_core_server *out, size_t *count, struct err *err)
{
	struct raft_core_server known[RAFT_CORE_SERVERS_MAX];
	struct raft_peer peers[RAFT_CORE_SERVERS_MAX];
	size_t n = 0, known_count = 0;
	char *text = files_read_all(d->config.files, RAFT_DISK_PEERS, RAFT_DISK_PEERS_MAX, &n, err);
	int rc;

	if (text == NULL)
		return err == NULL ? ERR_IO : err->code;
	rc = raft_peers_read(str_mem(text, n), peers, count, err);
	free(text);
	if (rc == 0 && !newest_config(found, known, &known_count))
		rc = err_set(err, ERR_INPUT, RAFT_DISK_PEERS ": this log has no configuration");
	return rc < 0 ? rc : raft_peers_servers(peers, *count, known, known_count, out, err);
}

static int
recover_append(struct raft_disk *d, uint64_t term, const struct raft_core_server *servers,
    size_t count, struct err *err)
{
	struct raft_log_entry entry;
	struct buf bytes;
	int rc;

	buf_init(&bytes, RAFT_SNAPSHOT_CONFIG_MAX);
	rc = raft_core_config_entry(
	    raft_log_last(d->log) + 1, term, servers, count, &bytes, &entry, err);
	if (rc == 0)
		rc = raft_log_append(d->log, &entry, err);
	if (rc == 0)
		rc = raft_log_flush(d->log, err);
	buf_done(&bytes);
	return rc;
}

/* Leaves the log to be opened again. */
int
disk_recover(struct raft_disk *d, const struct raft_core_found *found, struct err *err)
{
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX];
	struct files *files = d->config.files;
	uint64_t term = d->vote.term;
	size_t count = 0;
	int rc = recover_servers(d, found, servers, &count, err);

	if (rc < 0)
		return rc;
	if (found->count > 0 && found->entries[found->count - 1].term > term)
		term = found->entries[found->count - 1].term;
	d->vote.term = raft_peers_term(term);
	d->vote.voted_for = 0;
	rc = raft_vote_write(d->vote_file, &d->vote, err);
	if (rc == 0)
		rc = recover_append(d, d->vote.term, servers, count, err);
	if (rc < 0)
		return rc;
	log_warn("raft", RAFT_DISK_PEERS ": the log goes on with %zu servers behind entry=%" PRIu64,
	    count, raft_log_last(d->log));
	rc = files->rename(files, RAFT_DISK_PEERS, RAFT_DISK_PEERS_USED);
	if (rc == 0)
		rc = files->sync_dir(files);
	if (rc < 0)
		return files_err(err, RAFT_DISK_PEERS, "cannot rename", rc);
	raft_log_close(d->log);
	d->log = NULL;
	return 0;
}
