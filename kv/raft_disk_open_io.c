/* kv/raft_disk_open_io.c -- what a start finds, a new log's files, and the end.
 *
 * A new log takes an old one's place in steps that may each be the last before a crash: the vote,
 * with its identity and RAFT_DISK_ANEW, put in place whole; old files removed; the first segment;
 * the vote without that flag. A start that sees the flag begins again behind the first step.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/mem.h"
#include "kv/raft_disk_priv.h"

/* ---- files ---- */

struct folder {
	struct files *files;
	bool log, snapshot, peers;
	bool wipe;
	int rc;
};

static bool
name_starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

static void
folder_saw(void *arg, const char *name)
{
	struct folder *f = arg;
	bool log = name_starts(name, "log-"), snapshot = name_starts(name, "snapshot-");

	f->log = f->log || log;
	f->snapshot = f->snapshot || snapshot;
	f->peers = f->peers || strcmp(name, RAFT_DISK_PEERS) == 0;
	if (((log || snapshot) && f->wipe) || name_starts(name, DISK_INCOMING)) {
		int rc = f->files->unlink(f->files, name);

		if (rc < 0 && f->rc == 0)
			f->rc = rc;
	}
}

/* What is in the folder; with `wipe` logs and snapshots go. */
static int
folder_look(struct files *files, bool wipe, struct folder *out, struct err *err)
{
	int rc;

	do { /* until what was to go is seen no more */
		*out = (struct folder){ .files = files, .wipe = wipe };
		rc = files->list(files, folder_saw, out);
		if (rc == 0 && wipe)
			rc = out->rc;
	} while (rc == 0 && wipe && (out->log || out->snapshot));
	if (rc == 0 && wipe)
		rc = files->sync_dir(files);
	return rc < 0 ? files_err(err, ".", "cannot look into Raft's folder", rc) : 0;
}

/* ---- what is there ---- */

static void
snapshot_damaged(void *arg, const char *text)
{
	(void)arg;
	log_error("raft", "a snapshot is of no use: %s", text);
}

static int
fsm_read(struct raft_snapshot *file, struct fsm *fsm, struct now now, struct err *err)
{
	uint64_t size = raft_snapshot_size(file), at = 0;
	struct fsm_load *load = fsm_load_new(now.mono);
	char *piece = mem_alloc(RAFT_DISK_PIECE);
	int rc = 0;

	while (rc == 0 && at < size) {
		size_t n = size - at < RAFT_DISK_PIECE ? (size_t)(size - at) : RAFT_DISK_PIECE;

		rc = raft_snapshot_read(file, at, piece, n, err);
		if (rc == 0)
			rc = fsm_load_feed(load, str_mem(piece, n), err);
		at += n;
	}
	if (rc == 0)
		rc = fsm_load_finish(load, fsm, err);
	fsm_load_free(load);
	free(piece);
	return rc;
}

static int
snapshot_find(struct raft_disk *d, struct now now, struct raft_disk_found *out, struct err *err)
{
	struct raft_snapshot *file = NULL;
	struct err none = { 0 };
	int rc = raft_snapshot_open(d->config.files, &file, snapshot_damaged, NULL, &none);

	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return err_set(err, none.code, "%s", none.text);
	d->snapshot = mem_new(struct disk_snapshot);
	d->snapshot->uses = 1;
	d->snapshot->file = file;
	d->snapshot->index = raft_snapshot_meta(file)->index;
	d->snapshot->term = raft_snapshot_meta(file)->term;
	out->found.snapshot = raft_snapshot_meta(file);
	return fsm_read(file, out->fsm, now, err);
}

static int
log_find(struct raft_disk *d, struct raft_disk_found *out, struct err *err)
{
	const struct raft_snapshot_meta *s = out->found.snapshot;
	struct raft_log_config config = {
		.raft_id = d->vote.raft_id,
		.snapshot_index = s == NULL ? 0 : s->index,
		.snapshot_term = s == NULL ? 0 : s->term,
	};

	d->log = raft_log_open(d->config.files, &config, err);
	if (d->log == NULL)
		return err == NULL || err->code == 0 ? ERR_IO : err->code;
	if (raft_log_torn(d->log) > 0)
		log_warn("raft",
		    "the log's end was torn, which nobody was told to be kept: cut bytes=%" PRIu64,
		    raft_log_torn(d->log));
	if (raft_log_waiting(d->log) && raft_log_flush(d->log, err) < 0)
		return ERR_IO;
	out->found.entries = raft_log_entries(d->log, &out->found.count);
	d->durable = raft_log_durable(d->log);
	return 0;
}

/* ---- a new log ---- */

static int
found_make(struct raft_disk *d, struct err *err)
{
	struct raft_log_config config = { .raft_id = d->vote.raft_id };
	struct raft_vote anew = d->vote;
	struct files *files = d->config.files;
	struct folder folder;
	int rc = 0;

	anew.flags |= RAFT_DISK_ANEW;
	raft_vote_close(d->vote_file);
	d->vote_file = NULL;
	rc = raft_vote_create(files, &d->vote_file, &anew, err);
	if (rc == 0)
		rc = folder_look(files, true, &folder, err);
	if (rc == 0) {
		raft_log_close(d->log);
		d->log = raft_log_open(files, &config, err);
		rc = d->log == NULL ? ERR_IO : 0;
	}
	return rc == 0 ? raft_vote_write(d->vote_file, &d->vote, err) : rc;
}

static int
worker_start(struct raft_disk *d, struct err *err)
{
	raft_log_forget(d->log);
	d->worker =
	    raft_log_worker_start(d->config.base, d->log, d->vote_file, disk_worker_done, d, err);
	d->ticket = d->marked = 0;
	return d->worker == NULL ? ERR_IO : 0;
}

void
disk_found_try(struct raft_disk *d)
{
	struct err err = { 0 };
	int rc = found_make(d, &err);

	if (rc == 0)
		rc = worker_start(d, &err);
	if (rc < 0) {
		if (!d->failing)
			log_error("raft", "a new log cannot be made, trying again: %s", err.text);
		d->failing = true;
		disk_retry_later(d);
		return;
	}
	if (d->failing)
		log_info("raft", "the new log is made");
	d->failing = d->founding = false;
	d->tell_votes = d->votes > d->votes_durable;
	disk_release(d);
}

static void
marks_drop(struct raft_disk *d)
{
	struct disk_mark *m;

	while ((m = TAILQ_FIRST(&d->marks)) != NULL) {
		TAILQ_REMOVE(&d->marks, m, link);
		free(m);
	}
}

static void
held_drop(struct raft_disk *d)
{
	struct disk_op *op;

	while ((op = TAILQ_FIRST(&d->held)) != NULL) {
		TAILQ_REMOVE(&d->held, op, link);
		disk_op_free(op);
	}
	d->held_bytes = 0;
}

void
raft_disk_founded(struct raft_disk *d, const struct raft_vote *vote)
{
	struct err err = { 0 };

	raft_log_worker_stop(d->worker, &err); /* what it could not write is not wanted any more */
	d->worker = NULL;
	disk_take_drop(d);
	held_drop(d);
	marks_drop(d);
	disk_snapshot_set(d, NULL);
	d->vote = *vote;
	d->votes++;
	d->bytes_durable = d->bytes;
	d->cut_ticket = d->durable = 0;
	d->tell_durable = d->tell_stored = d->broken = false;
	d->lives++;
	if (d->config.files == NULL) {
		d->tell_votes = true;
		return;
	}
	d->founding = true;
	disk_found_try(d);
}

/* ---- life ---- */

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct raft_disk *d = arg;

	(void)fd;
	(void)what;
	if (d->founding)
		disk_found_try(d);
	disk_take_retry(d);
	raft_disk_turn(d);
}

static int
disk_find(struct raft_disk *d, struct now now, struct raft_disk_found *out, struct err *err)
{
	struct files *files = d->config.files;
	struct err none = { 0 };
	struct folder folder;
	int rc = folder_look(files, false, &folder, err);

	if (rc < 0)
		return rc;
	rc = raft_vote_open(files, &d->vote_file, &d->vote, &none);
	if (rc == ERR_NOT_FOUND && (folder.log || folder.snapshot))
		return err_set(err, ERR_INPUT,
		    "kv: %s is missing, but a log or snapshots of Raft are there", RAFT_VOTE_FILE);
	if (rc == ERR_NOT_FOUND && folder.peers)
		log_warn("raft", RAFT_DISK_PEERS " is left alone: there is no log to recover");
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return err_set(err, none.code, "%s", none.text);
	if (d->vote.flags & RAFT_DISK_ANEW) {
		d->vote.flags &= ~RAFT_DISK_ANEW;
		rc = found_make(d, err);
		raft_log_close(d->log);
		d->log = NULL;
	}
	if (rc < 0)
		return rc;
	out->there = true;
	out->fsm = fsm_new(d->config.watches);
	rc = snapshot_find(d, now, out, err);
	if (rc == 0)
		rc = log_find(d, out, err);
	if (rc == 0 && folder.peers) {
		rc = disk_recover(d, &out->found, err);
		if (rc == 0)
			rc = log_find(d, out, err);
	}
	out->vote = d->vote;
	out->found.term = d->vote.term;
	out->found.voted_for = d->vote.voted_for;
	return rc;
}

int
raft_disk_open(const struct raft_disk_config *config, struct now now, struct raft_disk **out,
    struct raft_disk_found *found, struct err *err)
{
	struct raft_disk *d = mem_new(struct raft_disk);
	int rc = 0;

	*found = (struct raft_disk_found){ .there = false };
	d->config = *config;
	TAILQ_INIT(&d->held);
	TAILQ_INIT(&d->marks);
	d->retry = evtimer_new(config->base, on_retry, d);
	if (d->retry == NULL)
		rc = err_set(err, ERR_IO, "kv: no timer");
	if (rc == 0)
		rc = disk_take_open(d, err);
	if (rc == 0 && config->files != NULL)
		rc = disk_find(d, now, found, err);
	if (rc < 0) {
		fsm_free(found->fsm);
		*found = (struct raft_disk_found){ .there = false };
		raft_disk_close(d, NULL);
		return rc;
	}
	*out = d;
	return 0;
}

int
raft_disk_start(struct raft_disk *d, struct err *err)
{
	return d->log == NULL ? 0 : worker_start(d, err);
}

int
raft_disk_close(struct raft_disk *d, struct err *err)
{
	int rc;

	if (d == NULL)
		return 0;
	rc = raft_log_worker_stop(d->worker, err);
	disk_take_close(d);
	held_drop(d);
	marks_drop(d);
	disk_snapshot_set(d, NULL);
	raft_log_close(d->log);
	raft_vote_close(d->vote_file);
	if (d->retry != NULL)
		event_free(d->retry);
	free(d);
	return rc;
}
