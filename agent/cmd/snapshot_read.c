/* agent/cmd/snapshot_read.c -- see snapshot_read.h. */
#include "agent/cmd/snapshot_read.h"

#include <stdlib.h>

#include "base/mem.h"

#define PIECE (256 * 1024)

struct snapshot_read {
	FILE *file;
	struct snapshot_scan *scan;
	char piece[PIECE];
};

struct snapshot_read *
snapshot_read_new(FILE *file)
{
	struct snapshot_read *r = mem_new(struct snapshot_read);

	r->file = file;
	r->scan = snapshot_scan_new();
	return r;
}

void
snapshot_read_free(struct snapshot_read *r)
{
	if (r == NULL)
		return;
	snapshot_scan_free(r->scan);
	free(r);
}

int
snapshot_read_next(struct snapshot_read *r, struct snapshot_record *out, struct err *err)
{
	while (!snapshot_scan_next(r->scan, out)) {
		size_t n = fread(r->piece, 1, PIECE, r->file);

		if (ferror(r->file))
			return err_errno(err, "reading the file");
		if (n == 0)
			return snapshot_scan_finish(r->scan, err);
		snapshot_scan_feed(r->scan, str_mem(r->piece, n));
	}
	return 1;
}

const struct snapshot_head *
snapshot_read_head(const struct snapshot_read *r)
{
	return snapshot_scan_head(r->scan);
}

int
snapshot_read_check(FILE *file, struct err *err)
{
	struct snapshot_read *r = snapshot_read_new(file);
	struct snapshot_record record;
	int rc;

	do
		rc = snapshot_read_next(r, &record, err);
	while (rc > 0);
	snapshot_read_free(r);
	return rc;
}
