/* kv/raft_snapshot_io.c -- see the header for the order of things.
 *
 * A file: head of 512 bytes ("mustsnap", index, term, configuration's index, data's length (64
 * bits each), configuration's length (32), cluster id (16 bytes), XXH3 of configuration and data,
 * zeros, XXH3 of the head), the configuration, the data. Big-endian. The head is written last.
 */
#include "kv/raft_snapshot_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"

#define HEAD 512
#define NAME_LEN 42 /* "snapshot-", two numbers of 16 hex digits, a dash between */
#define ASIDE "snapshot.tmp"
#define READ_STEP (1u << 18)
#define SYNC_STEP (8u << 20) /* so that the log's syncs never wait for a whole snapshot */

struct raft_snapshot_writer {
	struct files *files;
	struct raft_snapshot_meta meta; /* without the configuration's bytes */
	XXH3_state_t *sum;
	uint64_t at, synced;
	int handle;
};

struct raft_snapshot {
	struct files *files;
	struct raft_snapshot_meta meta;
	char *config; /* owned */
	uint64_t size, sum;
	int handle;
	char name[NAME_LEN + 1];
};

static void
snapshot_name(char *out, uint64_t index, uint64_t term)
{
	snprintf(out, NAME_LEN + 1, "snapshot-%016" PRIx64 "-%016" PRIx64, index, term);
}

int
raft_snapshot_add(struct raft_snapshot_writer *w, struct str piece, struct err *err)
{
	int rc = w->files->write(w->files, w->handle, w->at, piece.p, piece.n);

	if (rc < 0)
		return files_err(err, ASIDE, "cannot write the snapshot", rc);
	XXH3_64bits_update(w->sum, piece.p, piece.n);
	w->at += piece.n;
	if (w->at - w->synced < SYNC_STEP)
		return 0;
	rc = w->files->sync(w->files, w->handle);
	if (rc < 0)
		return files_err(err, ASIDE, "cannot sync the snapshot", rc);
	w->synced = w->at;
	return 0;
}

struct raft_snapshot_writer *
raft_snapshot_begin(struct files *f, const struct raft_snapshot_meta *meta, struct err *err)
{
	struct raft_snapshot_writer *w;
	int h;

	if (meta->config.n > RAFT_SNAPSHOT_CONFIG_MAX) {
		err_set(err, ERR_LIMIT, "kv: configuration of %zu bytes, at most %u",
		    meta->config.n, RAFT_SNAPSHOT_CONFIG_MAX);
		return NULL;
	}
	h = f->open(f, ASIDE, FILES_NEW);
	if (h < 0) {
		files_err(err, ASIDE, "cannot create", h);
		return NULL;
	}
	w = mem_new(struct raft_snapshot_writer);
	*w = (struct raft_snapshot_writer){
		.files = f, .meta = *meta, .at = HEAD, .handle = h, .sum = XXH3_createState()
	};
	XXH3_64bits_reset(w->sum);
	if (raft_snapshot_add(w, meta->config, err) < 0) {
		raft_snapshot_abort(w);
		return NULL;
	}
	return w;
}

static void
writer_free(struct raft_snapshot_writer *w)
{
	w->files->close(w->files, w->handle);
	XXH3_freeState(w->sum);
	free(w);
}

void
raft_snapshot_abort(struct raft_snapshot_writer *w)
{
	if (w == NULL)
		return;
	w->files->unlink(w->files, ASIDE);
	writer_free(w);
}

static void
head_write(uint8_t *out, const struct raft_snapshot_writer *s)
{
	struct writer w = wr_of(out, HEAD);

	memset(out, 0, HEAD);
	wr_bytes(&w, STR("mustsnap"));
	wr_be64(&w, s->meta.index);
	wr_be64(&w, s->meta.term);
	wr_be64(&w, s->meta.config_index);
	wr_be64(&w, s->at - HEAD - s->meta.config.n);
	wr_be32(&w, (uint32_t)s->meta.config.n);
	wr_bytes(&w, str_mem(s->meta.cluster_id.b, sizeof s->meta.cluster_id.b));
	wr_be64(&w, XXH3_64bits_digest(s->sum));
	w.pos = HEAD - 8;
	wr_be64(&w, XXH3_64bits(out, HEAD - 8));
}

struct names { /* of snapshots, newest first once sorted */
	char (*at)[NAME_LEN + 1];
	size_t count, cap;
};

static void
names_add(void *arg, const char *name)
{
	struct names *names = arg;

	if (strlen(name) != NAME_LEN || strncmp(name, "snapshot-", 9) != 0 || name[25] != '-')
		return;
	names->at = mem_grow(names->at, names->count, &names->cap, sizeof *names->at);
	memcpy(names->at[names->count++], name, NAME_LEN + 1);
}

static int
names_cmp(const void *a, const void *b)
{
	return strcmp(b, a);
}

/* All but `keep`. What cannot be removed now is removed next time. */
static void
remove_others(struct files *f, const char *keep)
{
	struct names names = { 0 };

	if (f->list(f, names_add, &names) == 0)
		for (size_t i = 0; i < names.count; i++)
			if (strcmp(names.at[i], keep) < 0)
				f->unlink(f, names.at[i]);
	free(names.at);
}

int
raft_snapshot_commit(struct raft_snapshot_writer *w, struct err *err)
{
	struct files *f = w->files;
	char name[NAME_LEN + 1];
	uint8_t head[HEAD];
	int rc;

	head_write(head, w);
	snapshot_name(name, w->meta.index, w->meta.term);
	rc = f->write(f, w->handle, 0, head, sizeof head);
	if (rc == 0)
		rc = f->sync(f, w->handle);
	if (rc == 0)
		rc = f->rename(f, ASIDE, name);
	if (rc < 0) {
		raft_snapshot_abort(w);
		return files_err(err, name, "cannot write the snapshot", rc);
	}
	rc = f->sync_dir(f);
	writer_free(w);
	if (rc < 0)
		return files_err(err, name, "cannot put the snapshot in place", rc);
	remove_others(f, name);
	return 0;
}

static bool
head_read(struct str s, struct raft_snapshot *out)
{
	struct reader r = rd_of(s), sum = rd_of(s);
	struct str magic = rd_str(&r, 8), cluster;

	rd_take(&sum, HEAD - 8);
	if (!str_eq(magic, STR("mustsnap")) || rd_be64(&sum) != XXH3_64bits(s.p, HEAD - 8))
		return false;
	out->meta.index = rd_be64(&r);
	out->meta.term = rd_be64(&r);
	out->meta.config_index = rd_be64(&r);
	out->size = rd_be64(&r);
	out->meta.config.n = rd_be32(&r);
	cluster = rd_str(&r, sizeof out->meta.cluster_id.b);
	memcpy(out->meta.cluster_id.b, cluster.p, sizeof out->meta.cluster_id.b);
	out->sum = rd_be64(&r);
	return rd_ok(&r) && rd_ok(&sum) && out->meta.config.n <= RAFT_SNAPSHOT_CONFIG_MAX;
}

/* Reads it through once. What is wrong, or NULL. */
static const char *
verify(struct raft_snapshot *s)
{
	struct files *f = s->files;
	int64_t size = f->size(f, s->handle);
	char head[HEAD], expected[NAME_LEN + 1], *step;
	XXH3_state_t *sum;
	uint64_t at = HEAD, end;
	bool good = true;

	if (size < HEAD || f->read(f, s->handle, 0, head, HEAD) < 0)
		return "cannot be read";
	if (!head_read(str_mem(head, HEAD), s))
		return "damaged at offset 0: the head";
	end = HEAD + s->meta.config.n + s->size;
	if (s->size > INT64_MAX / 2 || (uint64_t)size != end)
		return "damaged: another length than its head says";
	snapshot_name(expected, s->meta.index, s->meta.term);
	if (strcmp(expected, s->name) != 0)
		return "damaged at offset 0: another one's name";
	s->config = mem_alloc(s->meta.config.n + 1);
	s->meta.config.p = s->config;
	if (f->read(f, s->handle, HEAD, s->config, s->meta.config.n) < 0)
		return "cannot be read";
	sum = XXH3_createState();
	XXH3_64bits_reset(sum);
	step = mem_alloc(READ_STEP);
	for (; good && at < end; at += READ_STEP) {
		size_t n = end - at < READ_STEP ? (size_t)(end - at) : READ_STEP;

		good = f->read(f, s->handle, at, step, n) == 0;
		XXH3_64bits_update(sum, step, n);
	}
	good = good && XXH3_64bits_digest(sum) == s->sum;
	free(step);
	XXH3_freeState(sum);
	return good ? NULL : "damaged after offset 512: wrong checksum";
}

static struct raft_snapshot *
open_one(struct files *f, const char *name, const char **why)
{
	struct raft_snapshot *s = mem_new(struct raft_snapshot);

	s->files = f;
	memcpy(s->name, name, sizeof s->name);
	s->handle = f->open(f, name, FILES_THERE);
	*why = s->handle < 0 ? "cannot be opened" : verify(s);
	if (*why == NULL)
		return s;
	raft_snapshot_close(s);
	return NULL;
}

int
raft_snapshot_open(struct files *f, struct raft_snapshot **out,
    void (*damaged)(void *, const char *), void *arg, struct err *err)
{
	struct names names = { 0 };
	struct raft_snapshot *s = NULL;
	int rc = f->list(f, names_add, &names);

	if (rc == 0 && names.count > 0)
		qsort(names.at, names.count, sizeof *names.at, names_cmp);
	for (size_t i = 0; i < names.count && s == NULL; i++) {
		char text[128];
		const char *why;

		s = open_one(f, names.at[i], &why);
		if (s != NULL || damaged == NULL)
			continue;
		snprintf(text, sizeof text, "kv: %s: %s", names.at[i], why);
		damaged(arg, text);
	}
	free(names.at);
	/* After a mere kill it may be in memory only, and the log will be dropped for it. */
	if (s != NULL) {
		rc = f->sync(f, s->handle);
		if (rc == 0)
			rc = f->sync_dir(f);
	}
	if (rc < 0) {
		raft_snapshot_close(s);
		return files_err(err, "snapshot", "cannot read", rc);
	}
	if (s == NULL)
		return err_set(err, ERR_NOT_FOUND, "kv: there is no whole snapshot");
	*out = s;
	return 0;
}

const struct raft_snapshot_meta *
raft_snapshot_meta(const struct raft_snapshot *s)
{
	return &s->meta;
}

uint64_t
raft_snapshot_size(const struct raft_snapshot *s)
{
	return s->size;
}

int
raft_snapshot_read(const struct raft_snapshot *s, uint64_t at, void *out, size_t n, struct err *err)
{
	int rc;

	if (at > s->size || n > s->size - at)
		return err_set(err, ERR_INPUT, "kv: %s: read behind its end", s->name);
	rc = s->files->read(s->files, s->handle, HEAD + s->meta.config.n + at, out, n);
	return rc < 0 ? files_err(err, s->name, "cannot read", rc) : 0;
}

void
raft_snapshot_close(struct raft_snapshot *s)
{
	if (s == NULL)
		return;
	if (s->handle >= 0)
		s->files->close(s->files, s->handle);
	free(s->config);
	free(s);
}
