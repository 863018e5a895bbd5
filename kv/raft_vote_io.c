/* kv/raft_vote_io.c -- two copies of one sector; see the header for why.
 *
 * A copy: "mustvote", serial, term, vote, raft id (64 bits each), cluster id (16 bytes), flags
 * (32 bits), zeros up to 504, XXH3 of all before it. Copies lie 4 KiB apart, so that a disk
 * with larger sectors cannot spoil both in one write.
 */
#include "kv/raft_vote_io.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/mem.h"

#define COPY_SIZE 512
#define COPY_APART 4096
#define FILE_SIZE (2 * COPY_APART)
#define ASIDE "vote.tmp"

struct raft_vote_file {
	struct files *files; /* borrowed */
	int handle;
	uint64_t serial;
};

static void
copy_write(uint8_t *out, uint64_t serial, const struct raft_vote *v)
{
	struct writer w = wr_of(out, COPY_SIZE);

	memset(out, 0, COPY_SIZE);
	wr_bytes(&w, STR("mustvote"));
	wr_be64(&w, serial);
	wr_be64(&w, v->term);
	wr_be64(&w, v->voted_for);
	wr_be64(&w, v->raft_id);
	wr_bytes(&w, str_mem(v->cluster_id.b, sizeof v->cluster_id.b));
	wr_be32(&w, v->flags);
	w.pos = COPY_SIZE - 8;
	wr_be64(&w, XXH3_64bits(out, COPY_SIZE - 8));
}

static bool
copy_read(struct str s, uint64_t *serial, struct raft_vote *out)
{
	struct reader r = rd_of(s), sum = rd_of(s);
	struct str magic = rd_str(&r, 8), cluster;

	rd_take(&sum, COPY_SIZE - 8);
	if (!str_eq(magic, STR("mustvote")) || rd_be64(&sum) != XXH3_64bits(s.p, COPY_SIZE - 8) ||
	    !rd_ok(&sum))
		return false;
	*serial = rd_be64(&r);
	out->term = rd_be64(&r);
	out->voted_for = rd_be64(&r);
	out->raft_id = rd_be64(&r);
	cluster = rd_str(&r, sizeof out->cluster_id.b);
	memcpy(out->cluster_id.b, cluster.p, sizeof out->cluster_id.b);
	out->flags = rd_be32(&r);
	return rd_ok(&r);
}

static int
copies_write(struct files *f, int h, const char *name, uint64_t serial, const struct raft_vote *v,
    struct err *err)
{
	uint8_t copy[COPY_SIZE];

	copy_write(copy, serial, v);
	for (int i = 0; i < 2; i++) {
		int rc = f->write(f, h, (uint64_t)i * COPY_APART, copy, sizeof copy);

		if (rc == 0)
			rc = f->sync(f, h);
		if (rc < 0)
			return files_err(err, name, "cannot write the vote", rc);
	}
	return 0;
}

static struct raft_vote_file *
file_new(struct files *f, int h, uint64_t serial)
{
	struct raft_vote_file *file = mem_new(struct raft_vote_file);

	*file = (struct raft_vote_file){ .files = f, .handle = h, .serial = serial };
	return file;
}

int
raft_vote_open(
    struct files *f, struct raft_vote_file **file, struct raft_vote *out, struct err *err)
{
	struct raft_vote v, best = { 0 };
	uint64_t serial, newest = 0;
	struct err local = { 0 };
	bool found = false;
	size_t n = 0;
	char *bytes = files_read_all(f, RAFT_VOTE_FILE, FILE_SIZE, &n, &local);
	int h, rc;

	if (bytes == NULL)
		return err_set(err, local.code, "%s", local.text);
	for (size_t i = 0; i < 2; i++) {
		size_t at = i * COPY_APART;

		if (at + COPY_SIZE > n || !copy_read(str_mem(bytes + at, COPY_SIZE), &serial, &v))
			continue;
		if (!found || serial > newest) {
			newest = serial;
			best = v;
		}
		found = true;
	}
	free(bytes);
	if (!found)
		return err_set(err, ERR_INPUT, "kv: %s: both copies of term and vote are damaged",
		    RAFT_VOTE_FILE);
	h = f->open(f, RAFT_VOTE_FILE, FILES_THERE);
	if (h < 0)
		return files_err(err, RAFT_VOTE_FILE, "cannot open", h);
	/* What was read may not be on the disk yet, or only once. */
	rc = copies_write(f, h, RAFT_VOTE_FILE, newest, &best, err);
	if (rc < 0) {
		f->close(f, h);
		return rc;
	}
	*file = file_new(f, h, newest);
	*out = best;
	return 0;
}

int
raft_vote_create(
    struct files *f, struct raft_vote_file **file, const struct raft_vote *v, struct err *err)
{
	int h = f->open(f, ASIDE, FILES_NEW), rc;

	if (h < 0)
		return files_err(err, ASIDE, "cannot create", h);
	rc = f->allocate(f, h, FILE_SIZE);
	if (rc < 0)
		rc = files_err(err, ASIDE, "cannot make room", rc);
	else
		rc = copies_write(f, h, ASIDE, 1, v, err);
	if (rc == 0) {
		rc = f->rename(f, ASIDE, RAFT_VOTE_FILE);
		if (rc == 0)
			rc = f->sync_dir(f);
		if (rc < 0)
			rc = files_err(err, RAFT_VOTE_FILE, "cannot put in place", rc);
	}
	if (rc < 0) {
		f->close(f, h);
		return rc;
	}
	*file = file_new(f, h, 1);
	return 0;
}

int
raft_vote_write(struct raft_vote_file *file, const struct raft_vote *v, struct err *err)
{
	file->serial++; /* a number that failed is not used again: copies may hold it */
	return copies_write(file->files, file->handle, RAFT_VOTE_FILE, file->serial, v, err);
}

void
raft_vote_close(struct raft_vote_file *file)
{
	if (file == NULL)
		return;
	file->files->close(file->files, file->handle);
	free(file);
}
