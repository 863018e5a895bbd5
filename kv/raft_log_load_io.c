/* kv/raft_log_load_io.c -- the reading half: what a start makes of the files it finds.
 *
 * Files are read whole, oldest first. All but the last are sealed by the head of the next one
 * and must be right to the byte; in the last one a torn tail is zeroed. Then the last file and
 * the folder are synced: after a mere kill what was read may be in memory only, and whoever
 * gets these entries counts them as durable.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kv/raft_log_priv.h"

struct found { /* sequences of the files there are */
	uint64_t *sequences;
	size_t count, cap;
	bool aside;
};

static void
found_add(void *arg, const char *name)
{
	struct found *found = arg;
	char again[LOG_NAME_LEN + 1];
	uint64_t sequence;

	if (strcmp(name, LOG_ASIDE) == 0)
		found->aside = true;
	if (strncmp(name, "log-", 4) != 0)
		return;
	sequence = strtoull(name + 4, NULL, 16);
	log_name(again, sequence);
	if (strcmp(name, again) != 0)
		return;
	found->sequences =
	    mem_grow(found->sequences, found->count, &found->cap, sizeof *found->sequences);
	found->sequences[found->count++] = sequence;
}

static int
sequence_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int
damage(struct err *err, uint64_t sequence, uint64_t at, const char *why)
{
	char name[LOG_NAME_LEN + 1];

	log_name(name, sequence);
	return err_set(err, ERR_INPUT, "kv: %s: damaged at offset %" PRIu64 ": %s", name, at, why);
}

struct file {
	struct str bytes;
	struct segment_head head;
};

/* Reads a file and its head; `prev` is the one before, or NULL. */
static int
file_read(struct raft_log *log, uint64_t sequence, const struct file *prev, struct file *out,
    struct err *err)
{
	struct segment_head *h = &out->head;
	char name[LOG_NAME_LEN + 1];
	size_t n = 0;
	char *p;

	log_name(name, sequence);
	if (prev != NULL && sequence != prev->head.sequence + 1) {
		log_name(name, prev->head.sequence + 1);
		return err_set(err, ERR_INPUT, "kv: %s is missing, later ones are there", name);
	}
	p = files_read_all(log->files, name, SEGMENT_SIZE_MAX + LOG_BLOCK, &n, err);
	if (p == NULL)
		return ERR_IO;
	log->held = mem_grow(log->held, log->held_count, &log->held_cap, sizeof *log->held);
	log->held[log->held_count++] = p;
	out->bytes = str_mem(p, n);
	if (n < SEGMENT_HEAD || !segment_head_read(str_head(out->bytes, SEGMENT_HEAD), h))
		return damage(err, sequence, 0, "the head of the file");
	if (h->raft_id != log->raft_id)
		return err_set(err, ERR_REFUSED,
		    "kv: %s is the log of Raft server %" PRIu64 ", this is %" PRIu64, name,
		    h->raft_id, log->raft_id);
	if (h->sequence != sequence)
		return damage(err, sequence, 0, "a file under another one's name");
	if (prev != NULL && h->prev_nonce != prev->head.nonce)
		return damage(err, sequence, 0, "the file does not follow the one before it");
	if (n < h->size)
		return damage(err, sequence, n, "the file is shorter than it was made");
	return 0;
}

/* Applies a record to the entries found so far. What is wrong with it, or NULL. */
static const char *
record_apply(struct raft_log *log, const struct segment_record *r)
{
	switch (r->kind) {
	case SEGMENT_ENTRY:
		if (r->index != log->disk_next || r->term < log->disk_term)
			return "an entry that does not follow the one before it";
		log->entries =
		    mem_grow(log->entries, log->entry_count, &log->entry_cap, sizeof *log->entries);
		log->entries[log->entry_count++] =
		    (struct raft_log_entry){ r->index, r->term, r->type, r->bytes };
		break;
	case SEGMENT_TRUNCATE:
		if (r->index == 0 || r->index > log->disk_next)
			return "a cut behind the end";
		while (log->entry_count > 0 && log->entries[log->entry_count - 1].index >= r->index)
			log->entry_count--;
		break;
	case SEGMENT_RESET:
		if (r->index == 0)
			return "a log that begins at 0";
		log->entry_count = 0;
		break;
	}
	log_account(log, r->kind, r->index, r->term);
	return NULL;
}

/* All records of a file; *end is where they end. */
static int
file_scan(
    struct raft_log *log, const struct file *file, uint64_t sealed, uint64_t *end, struct err *err)
{
	enum segment_verdict verdict;
	struct segment_record r;
	struct segment_scan scan;

	log_segment_add(log, file->head.sequence, file->head.nonce);
	if (log->segment_count == 1) {
		log->disk_next = file->head.start;
		log->disk_term = file->head.start_term;
	} else if (log->disk_next != file->head.start) {
		return damage(err, file->head.sequence, 0,
		    "the file does not begin where the one before it ends");
	}
	segment_scan_init(&scan, file->bytes, file->head.nonce, sealed);
	for (;;) {
		const char *why;
		uint64_t at = scan.at;

		verdict = segment_next(&scan, &r);
		if (verdict != SEGMENT_OK)
			break;
		why = record_apply(log, &r);
		if (why != NULL)
			return damage(err, file->head.sequence, at, why);
	}
	*end = scan.at;
	return verdict == SEGMENT_DAMAGED ? damage(err, file->head.sequence, scan.at, scan.why) : 0;
}

/* The last file becomes the one to write to: no bytes behind its end, all of it on the disk. */
static int
file_resume(struct raft_log *log, const struct file *file, uint64_t end, struct err *err)
{
	static const char zeros[1 << 16];
	uint64_t dirt_end = segment_dirt_end(file->bytes);
	struct files *f = log->files;
	char name[LOG_NAME_LEN + 1];
	int rc = 0;

	log_name(name, file->head.sequence);
	log->handle = f->open(f, name, FILES_THERE);
	if (log->handle < 0)
		return files_err(err, name, "cannot open", log->handle);
	log->size = (uint32_t)file->bytes.n;
	log->end = end;
	memcpy(log->tail, file->bytes.p + (end - end % LOG_BLOCK), end % LOG_BLOCK);
	log->torn = dirt_end > end ? dirt_end - end : 0;
	for (uint64_t at = end; at < dirt_end && rc == 0; at += sizeof zeros)
		rc = f->write(f, log->handle, at, zeros,
		    dirt_end - at < sizeof zeros ? (size_t)(dirt_end - at) : sizeof zeros);
	if (rc == 0)
		rc = f->sync(f, log->handle);
	if (rc == 0)
		rc = f->sync_dir(f);
	if (rc < 0)
		return files_err(err, name, "cannot sync", rc);
	log_segment_opened(log, name);
	return 0;
}

/* The log has to join the snapshot; what ends before it or contradicts it counts no more. */
static int
join_snapshot(struct raft_log *log, uint64_t index, uint64_t term, struct err *err)
{
	uint64_t first = log->entry_count > 0 ? log->entries[0].index : log->disk_next;
	bool follows = log->disk_next > index;

	if (first > index + 1)
		return err_set(err, ERR_INPUT,
		    "kv: log entries %" PRIu64 " to %" PRIu64
		    " are missing: no whole snapshot has them",
		    index + 1, first - 1);
	if (follows && log->entry_count > 0 && first <= index)
		follows = log->entries[index - first].term == term;
	if (follows)
		return 0;
	log->entry_count = 0;
	return raft_log_reset(log, index + 1, term, err);
}

static int
load_found(struct raft_log *log, const struct found *found, struct err *err)
{
	struct file file = { 0 }, next;
	uint64_t end = 0;
	int rc;

	rc = file_read(log, found->sequences[0], NULL, &file, err);
	for (size_t i = 0; i < found->count && rc == 0; i++) {
		bool last = i + 1 == found->count;

		if (!last)
			rc = file_read(log, found->sequences[i + 1], &file, &next, err);
		if (rc == 0)
			rc = file_scan(log, &file, last ? 0 : next.head.prev_end, &end, err);
		if (rc == 0 && last)
			rc = file_resume(log, &file, end, err);
		if (!last)
			file = next;
	}
	return rc;
}

int
log_load(struct raft_log *log, const struct raft_log_config *config, struct err *err)
{
	struct files *f = log->files;
	struct found found = { 0 };
	int rc;

	if (log->segment_size < SEGMENT_HEAD + SEGMENT_RECORD ||
	    log->segment_size > SEGMENT_SIZE_MAX || log->segment_size % 8 != 0)
		return err_set(err, ERR_LIMIT, "kv: log segments of %u bytes", log->segment_size);
	rc = f->list(f, found_add, &found);
	if (rc == 0 && found.aside)
		rc = f->unlink(f, LOG_ASIDE);
	if (rc < 0) {
		rc = files_err(err, "log", "cannot list", rc);
	} else if (found.count > 0) {
		qsort(found.sequences, found.count, sizeof *found.sequences, sequence_cmp);
		rc = load_found(log, &found, err);
	} else if (config->snapshot_index > 0) {
		rc = err_set(err, ERR_INPUT, "kv: there is a snapshot but no log at all");
	} else {
		rc = log_segment_begin(log, 0, err);
	}
	free(found.sequences);
	log->next = log->disk_next;
	log->term = log->disk_term;
	if (rc == 0)
		rc = join_snapshot(log, config->snapshot_index, config->snapshot_term, err);
	return rc;
}
