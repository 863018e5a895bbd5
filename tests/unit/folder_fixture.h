/* tests/unit/folder_fixture.h -- a data folder for one test, gone after it. */
#ifndef TESTS_UNIT_FOLDER_FIXTURE_H
#define TESTS_UNIT_FOLDER_FIXTURE_H

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char folder[64];

static int
folder_make(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "/tmp/muster-folder-XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
folder_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
folder_drop(void **unused)
{
	(void)unused;
	return nftw(folder, folder_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline char *
folder_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static inline void
folder_write(const char *name, struct str text)
{
	FILE *f = fopen(folder_path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	fclose(f);
}

/* Borrowed until the next call; empty when there is no such file. */
static inline struct str
folder_read(const char *name)
{
	static char text[4 * 1024 * 1024];
	FILE *f = fopen(folder_path(name), "r");
	size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);

	if (f != NULL)
		fclose(f);
	text[n] = '\0';
	return str_mem(text, n);
}

static inline bool
folder_has(const char *name)
{
	struct stat st;

	return lstat(folder_path(name), &st) == 0;
}

static inline unsigned
folder_mode(const char *name)
{
	struct stat st;

	assert_int_equal(stat(folder_path(name), &st), 0);
	return st.st_mode & 07777;
}

#endif
