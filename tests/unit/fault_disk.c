/* tests/unit/fault_disk.c -- every call goes on to the real folder, but for what `full` refuses. */
#include "tests/unit/fault_disk.h"

#include <errno.h>

#include "tests/unit/test.h"
#include "tests/unit/torn.h"

static struct fault_disk *
fault(struct files *f)
{
	return (struct fault_disk *)f; /* its first member */
}

static struct files *
real(struct files *f)
{
	return fault(f)->real;
}

static int
on_open(struct files *f, const char *name, enum files_how how)
{
	if (how == FILES_DIRECT && !fault(f)->direct)
		return -EINVAL;
	return real(f)->open(real(f), name, how);
}

static void
on_close(struct files *f, int h)
{
	real(f)->close(real(f), h);
}

static int64_t
on_size(struct files *f, int h)
{
	return real(f)->size(real(f), h);
}

static int
on_allocate(struct files *f, int h, uint64_t size)
{
	return fault(f)->full ? -ENOSPC : real(f)->allocate(real(f), h, size);
}

static int
on_read(struct files *f, int h, uint64_t at, void *out, size_t n)
{
	return real(f)->read(real(f), h, at, out, n);
}

static int
on_write(struct files *f, int h, uint64_t at, const void *p, size_t n)
{
	int rc = real(f)->write(real(f), h, at, p, fault(f)->full ? torn_half(p, n) : n);

	return fault(f)->full ? -ENOSPC : rc;
}

static int
on_sync(struct files *f, int h)
{
	fault(f)->syncs++;
	return real(f)->sync(real(f), h);
}

static int
on_rename(struct files *f, const char *from, const char *to)
{
	return real(f)->rename(real(f), from, to);
}

static int
on_unlink(struct files *f, const char *name)
{
	return real(f)->unlink(real(f), name);
}

static int
on_list(struct files *f, void (*seen)(void *, const char *), void *arg)
{
	return real(f)->list(real(f), seen, arg);
}

static int
on_sync_dir(struct files *f)
{
	return real(f)->sync_dir(real(f));
}

void
fault_disk_open(struct fault_disk *d, const char *path)
{
	d->real = files_open(path, NULL);
	assert_non_null(d->real);
	d->calls = (struct files){ on_open, on_close, on_size, on_allocate, on_read, on_write,
		on_sync, on_rename, on_unlink, on_list, on_sync_dir };
	d->full = d->direct = false;
	d->syncs = 0;
}
