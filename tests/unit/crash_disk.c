/* tests/unit/crash_disk.c -- records calls and applies chosen ones of them to an image. */
#include "tests/unit/crash_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/torn.h"

#define SECTOR 512

static struct crash_disk *
disk_of(struct files *f)
{
	return (struct crash_disk *)f;
}

static int
dir_find(const struct crash_dir *d, const char *name)
{
	for (int i = 0; i < d->count; i++)
		if (strcmp(d->name[i], name) == 0)
			return i;
	return -1;
}

static void
dir_remove(struct crash_dir *d, const char *name)
{
	int i = dir_find(d, name);

	if (i < 0)
		return;
	d->count--;
	memmove(d->name[i], d->name[i + 1], sizeof d->name[0] * (size_t)(d->count - i));
	memmove(&d->file[i], &d->file[i + 1], sizeof d->file[0] * (size_t)(d->count - i));
}

static void
dir_add(struct crash_dir *d, const char *name, int file)
{
	dir_remove(d, name);
	if (d->count == CRASH_FILES)
		abort();
	snprintf(d->name[d->count], sizeof d->name[0], "%s", name);
	d->file[d->count++] = file;
}

static void
dir_apply(struct crash_dir *d, const struct crash_op *op)
{
	if (op->kind == OP_CREATE)
		dir_add(d, op->name, op->file);
	if (op->kind == OP_RENAME) {
		int i = dir_find(d, op->name), file = i < 0 ? -1 : d->file[i];

		dir_remove(d, op->name);
		if (file >= 0)
			dir_add(d, op->to, file);
	}
	if (op->kind == OP_UNLINK)
		dir_remove(d, op->name);
}

static void
file_grow(struct crash_file *f, size_t n)
{
	if (n <= f->n)
		return;
	f->p = mem_realloc(f->p, n);
	memset(f->p + f->n, 0, n - f->n);
	f->n = n;
}

static void
file_write(struct crash_file *f, uint64_t at, const char *p, size_t n)
{
	if (n == 0)
		return;
	file_grow(f, at + n);
	memcpy(f->p + at, p, n);
}

static struct crash_op *
record(struct crash_disk *d, enum crash_kind kind, int file)
{
	d->op = mem_grow(d->op, d->op_count, &d->op_cap, sizeof *d->op);
	d->op[d->op_count] = (struct crash_op){ .kind = kind, .file = file };
	return &d->op[d->op_count++];
}

static int
do_open(struct files *f, const char *name, enum files_how how)
{
	struct crash_disk *d = disk_of(f);
	int i = dir_find(&d->dir, name);
	struct crash_op *op;

	if (how != FILES_NEW)
		return i < 0 ? -ENOENT : d->dir.file[i];
	if (d->file_count == CRASH_FILES)
		abort();
	op = record(d, OP_CREATE, d->file_count++);
	snprintf(op->name, sizeof op->name, "%s", name);
	dir_apply(&d->dir, op);
	return op->file;
}

static void
do_close(struct files *f, int h)
{
	(void)f;
	(void)h;
}

static int64_t
do_size(struct files *f, int h)
{
	return (int64_t)disk_of(f)->file[h].n;
}

static int
do_allocate(struct files *f, int h, uint64_t size)
{
	struct crash_disk *d = disk_of(f);

	if (d->full)
		return -ENOSPC;
	record(d, OP_ALLOCATE, h)->n = size;
	file_grow(&d->file[h], size);
	return 0;
}

static int
do_read(struct files *f, int h, uint64_t at, void *out, size_t n)
{
	struct crash_file *file = &disk_of(f)->file[h];

	if (at > file->n || n > file->n - at)
		return -EIO;
	if (n > 0)
		memcpy(out, file->p + at, n);
	return 0;
}

static int
do_write(struct files *f, int h, uint64_t at, const void *p, size_t n)
{
	struct crash_disk *d = disk_of(f);
	struct crash_op *op = record(d, OP_WRITE, h);

	op->n = d->full ? torn_half(p, n) : n;
	op->at = at;
	op->bytes = mem_alloc(op->n + 1);
	if (op->n > 0)
		memcpy(op->bytes, p, op->n);
	file_write(&d->file[h], at, op->bytes, op->n);
	return d->full ? -ENOSPC : 0;
}

static int
do_sync(struct files *f, int h)
{
	record(disk_of(f), OP_SYNC, h);
	return 0;
}

static int
do_rename(struct files *f, const char *from, const char *to)
{
	struct crash_op *op = record(disk_of(f), OP_RENAME, -1);

	snprintf(op->name, sizeof op->name, "%s", from);
	snprintf(op->to, sizeof op->to, "%s", to);
	dir_apply(&disk_of(f)->dir, op);
	return 0;
}

static int
do_unlink(struct files *f, const char *name)
{
	struct crash_op *op;

	if (dir_find(&disk_of(f)->dir, name) < 0)
		return -ENOENT;
	op = record(disk_of(f), OP_UNLINK, -1);
	snprintf(op->name, sizeof op->name, "%s", name);
	dir_apply(&disk_of(f)->dir, op);
	return 0;
}

static int
do_list(struct files *f, void (*seen)(void *, const char *), void *arg)
{
	for (int i = 0; i < disk_of(f)->dir.count; i++)
		seen(arg, disk_of(f)->dir.name[i]);
	return 0;
}

static int
do_sync_dir(struct files *f)
{
	record(disk_of(f), OP_SYNC_DIR, -1);
	return 0;
}

struct crash_disk *
crash_disk_new(void)
{
	struct crash_disk *d = mem_new(struct crash_disk);

	d->calls = (struct files){ do_open, do_close, do_size, do_allocate, do_read, do_write,
		do_sync, do_rename, do_unlink, do_list, do_sync_dir };
	return d;
}

void
crash_disk_free(struct crash_disk *d)
{
	for (int i = 0; i < d->file_count; i++) {
		free(d->file[i].p);
		free(d->file[i].base);
	}
	for (size_t i = 0; i < d->op_count; i++)
		free(d->op[i].bytes);
	free(d->op);
	free(d);
}

static struct crash_disk *
disk_of_base(const struct crash_disk *from)
{
	struct crash_disk *d = crash_disk_new();

	d->dir = d->base_dir = from->base_dir;
	for (int i = 0; i < from->file_count; i++) {
		file_write(&d->file[i], 0, from->file[i].base, from->file[i].base_n);
		d->file[i].base_n = from->file[i].base_n;
		d->file[i].base = mem_alloc(from->file[i].base_n + 1);
		if (from->file[i].base_n > 0)
			memcpy(d->file[i].base, from->file[i].base, from->file[i].base_n);
	}
	d->file_count = from->file_count;
	return d;
}

static void
data_apply(struct crash_disk *d, const struct crash_op *op)
{
	if (op->kind == OP_WRITE)
		file_write(&d->file[op->file], op->at, op->bytes, op->n);
	if (op->kind == OP_ALLOCATE)
		file_grow(&d->file[op->file], op->n);
}

struct crash_disk *
crash_disk_replay(const struct crash_disk *from, size_t ops)
{
	struct crash_disk *d = disk_of_base(from);

	for (size_t i = 0; i < ops; i++) {
		struct crash_op *op = record(d, from->op[i].kind, from->op[i].file);

		*op = from->op[i];
		if (op->bytes != NULL) {
			op->bytes = mem_alloc(op->n + 1);
			memcpy(op->bytes, from->op[i].bytes, op->n);
		}
		data_apply(d, op);
		dir_apply(&d->dir, op);
	}
	return d;
}

static bool
synced(const struct crash_disk *d, size_t i, size_t ops)
{
	for (size_t k = i + 1; k < ops; k++)
		if (d->op[k].kind == OP_SYNC && d->op[k].file == d->op[i].file)
			return true;
	return false;
}

static const struct crash_op *
last_unsynced(const struct crash_disk *d, size_t ops)
{
	for (size_t i = ops; i-- > 0;)
		if (d->op[i].kind == OP_WRITE && !synced(d, i, ops))
			return &d->op[i];
	return NULL;
}

size_t
crash_disk_sectors(const struct crash_disk *d, size_t ops)
{
	const struct crash_op *op = last_unsynced(d, ops);

	return op == NULL || op->n == 0 ? 0 : (op->at + op->n - 1) / SECTOR - op->at / SECTOR + 1;
}

struct crash_disk *
crash_disk_after(
    const struct crash_disk *from, size_t ops, enum crash_keep keep, size_t sector, bool keep_names)
{
	struct crash_disk *d = disk_of_base(from);
	const struct crash_op *last = last_unsynced(from, ops);
	size_t dir_synced = 0;

	for (size_t i = 0; i < ops; i++) {
		struct crash_op op = from->op[i];

		if (op.kind == OP_SYNC_DIR)
			dir_synced = i;
		if (op.kind != OP_WRITE && op.kind != OP_ALLOCATE)
			continue;
		if (!synced(from, i, ops)) {
			uint64_t cut = (op.at / SECTOR + sector) * SECTOR;

			if (keep == KEEP_NONE || (keep == KEEP_EARLY && &from->op[i] == last))
				continue;
			if (&from->op[i] == last && keep == KEEP_HEAD && cut < op.at + op.n)
				op.n = cut > op.at ? cut - op.at : 0;
			if (&from->op[i] == last && keep == KEEP_TAIL && cut > op.at) {
				uint64_t skip = cut - op.at < op.n ? cut - op.at : op.n;

				op.at += skip;
				op.bytes += skip;
				op.n -= skip;
			}
		}
		data_apply(d, &op);
	}
	for (size_t i = 0; i < (keep_names ? ops : dir_synced); i++)
		dir_apply(&d->dir, &from->op[i]);
	d->file_count = from->file_count;
	for (int i = 0; i < d->file_count; i++) { /* all there is now is durable */
		free(d->file[i].base);
		d->file[i].base = mem_alloc(d->file[i].n + 1);
		if (d->file[i].n > 0)
			memcpy(d->file[i].base, d->file[i].p, d->file[i].n);
		d->file[i].base_n = d->file[i].n;
	}
	d->base_dir = d->dir;
	return d;
}

struct crash_file *
crash_disk_find(struct crash_disk *d, const char *name)
{
	int i = dir_find(&d->dir, name);

	return i < 0 ? NULL : &d->file[d->dir.file[i]];
}
