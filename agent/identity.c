/* agent/identity.c -- two small files and a lock in the data folder.
 *
 *     identity   id, cluster id and epoch counter; written at each start
 *     index      the ceiling of indexes given out; written every few minutes
 *     lock       held while an agent runs on the folder; names its process
 *
 * A file is written aside, synced and renamed, and the folder synced, before what it says is
 * used. A file that cannot be read ends the start: a new id in its place would be another agent.
 */
#include "agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/durable_io.h"
#include "base/rng.h"

#define IDENTITY_FILE_MAX 1024 /* bytes */

/* mkdir -p; only the folders that are missing are made. */
static int
identity_folder(const char *folder, struct err *err)
{
	char *path = str_dup(str_of(folder));
	int rc = 0;

	for (char *p = path + 1; rc == 0; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			rc = err_errno(err, "cannot make the data folder %s", path);
		*p = c;
		if (c == '\0')
			break;
	}
	free(path);
	return rc;
}

static int
identity_lock(struct identity *i, struct err *err)
{
	char path[DURABLE_PATH_MAX], pid[32] = "";
	int rc = durable_path(i->folder, "lock", path, err);
	ssize_t n;

	if (rc < 0)
		return rc;
	i->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (i->lock < 0)
		return err_errno(err, "cannot open %s", path);
	if (flock(i->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_errno(err, "cannot lock %s", path);
		n = read(i->lock, pid, sizeof pid - 1);
		pid[n < 0 ? 0 : (size_t)n] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return err_set(err, ERR_CONFLICT,
		    "the data folder %s is in use by another agent (process %s)", i->folder, pid);
	}
	n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(i->lock, 0) < 0 || write(i->lock, pid, (size_t)n) != n)
		return err_errno(err, "cannot write %s", path);
	return 0;
}

/* The value of a line "NAME VALUE"; empty when there is no such line. */
static struct str
identity_field(struct str text, struct str name)
{
	while (text.p != NULL) {
		struct str value = str_cut(&text, '\n');

		if (str_eq(str_cut(&value, ' '), name))
			return value;
	}
	return STR_NONE;
}

/* The file's text in room; true when there is one. */
static int
identity_load(
    const struct identity *i, const char *name, struct buf *out, bool *found, struct err *err)
{
	int rc = durable_load(i->folder, name, out, err);

	*found = rc == 0;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
identity_read(struct identity *i, struct err *err)
{
	char room[IDENTITY_FILE_MAX];
	struct buf text;
	bool found;
	int rc;

	buf_over(&text, room, sizeof room);
	rc = identity_load(i, "identity", &text, &found, err);
	if (rc < 0)
		return rc;
	if (!found) {
		i->id = uuid_random();
		i->cluster = uuid_random();
		i->epoch.counter = 0;
		return 0;
	}
	if (!uuid_parse(identity_field(buf_str(&text), STR("id")), &i->id) ||
	    !uuid_parse(identity_field(buf_str(&text), STR("cluster")), &i->cluster) ||
	    !str_u64(
		identity_field(buf_str(&text), STR("epoch")), UINT64_MAX - 1, &i->epoch.counter))
		return err_set(err, ERR_INPUT,
		    "%s/identity is damaged: it must hold lines with id, cluster and epoch "
		    "(without the file this becomes a new agent)",
		    i->folder);
	buf_clear(&text);
	rc = identity_load(i, "index", &text, &found, err);
	if (rc < 0 || !found)
		return rc;
	if (!str_u64(identity_field(buf_str(&text), STR("ceiling")), UINT64_MAX, &i->index_ceiling))
		return err_set(
		    err, ERR_INPUT, "%s/index is damaged: it must hold a ceiling", i->folder);
	return 0;
}

static int
identity_write(const struct identity *i, struct err *err)
{
	char id[UUID_TEXT_LEN + 1], cluster[UUID_TEXT_LEN + 1], text[IDENTITY_FILE_MAX];
	int n =
	    snprintf(text, sizeof text, "id %s\ncluster %s\nepoch %llu\n", uuid_format(&i->id, id),
		uuid_format(&i->cluster, cluster), (unsigned long long)i->epoch.counter);

	return durable_store(i->folder, "identity", 0644, str_mem(text, (size_t)n), err);
}

int
identity_open(struct identity *out, struct str data_dir, struct err *err)
{
	struct identity i = { .lock = -1 };
	int rc = 0;

	if (data_dir.n == 0) {
		i.id = uuid_random();
		i.cluster = uuid_random();
	} else {
		i.folder = str_dup(data_dir);
		rc = identity_folder(i.folder, err);
		if (rc == 0)
			rc = identity_lock(&i, err);
		if (rc == 0)
			rc = identity_read(&i, err);
	}
	if (rc == 0)
		rc = identity_epoch_begin(&i, 0, err);
	if (rc < 0) {
		identity_close(&i);
		return rc;
	}
	*out = i;
	return 0;
}

int
identity_epoch_begin(struct identity *i, uint64_t heard, struct err *err)
{
	struct identity next = *i;
	int rc = 0;

	next.epoch.counter = (heard > i->epoch.counter ? heard : i->epoch.counter) + 1;
	os_random(&next.epoch.nonce, sizeof next.epoch.nonce);
	if (next.folder != NULL)
		rc = identity_write(&next, err);
	if (rc == 0)
		*i = next;
	return rc;
}

int
identity_renew(struct identity *i, struct err *err)
{
	struct identity next = *i;
	int rc;

	next.id = uuid_random();
	next.cluster = uuid_random();
	next.epoch.counter = 0;
	rc = identity_epoch_begin(&next, 0, err);
	if (rc == 0)
		*i = next;
	return rc;
}

int
identity_ceiling_save(struct identity *i, uint64_t ceiling, struct err *err)
{
	char text[64];
	int n = snprintf(text, sizeof text, "ceiling %llu\n", (unsigned long long)ceiling);
	int rc = i->folder == NULL
		     ? 0
		     : durable_store(i->folder, "index", 0644, str_mem(text, (size_t)n), err);

	if (rc == 0)
		i->index_ceiling = ceiling;
	return rc;
}

void
identity_close(struct identity *i)
{
	if (i->lock >= 0)
		close(i->lock);
	i->lock = -1;
	free(i->folder);
	i->folder = NULL;
}
