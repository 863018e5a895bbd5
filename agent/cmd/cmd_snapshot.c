/* agent/cmd/cmd_snapshot.c -- muster snapshot save and restore. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cmd/client.h"
#include "agent/cmd/commands.h"
#include "agent/cmd/snapshot_read.h"
#include "base/mem.h"

#define PATH "/v1/snapshot"

static const struct flag no_flags[] = { { 0 } };

/* Fetched, read back byte by byte and on the disk. */
static int
save_to(const struct call *call, const char *name, uint64_t *index, struct err *err)
{
	const struct client_flags *flags = call->flags;
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");
	int rc;

	if (file == NULL) {
		rc = err_errno(err, "%s", name);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = http_client_save(
	    call->client, flags->stale ? STR(PATH "?stale") : STR(PATH), file, index, err);
	if (rc == 0) {
		rewind(file);
		rc = snapshot_read_check(file, err);
		if (rc < 0)
			err_wrap(err, "verifying the file");
	}
	if (rc == 0 && fsync(fd) != 0)
		rc = err_errno(err, "%s", name);
	fclose(file);
	return rc;
}

static int
save_run(const struct call *call)
{
	const char *name = call->words[0];
	struct err err = { 0 };
	uint64_t index = 0;
	struct buf aside;
	int rc;

	buf_init(&aside, 64 * 1024);
	buf_addf(&aside, "%s.unverified%c", name, '\0');
	rc = save_to(call, aside.p, &index, &err);
	if (rc == 0 && rename(aside.p, name) != 0)
		rc = err_errno(&err, "renaming %s to %s", aside.p, name);
	if (rc < 0) {
		unlink(aside.p);
		fprintf(stderr, "Error saving snapshot: %s\n", err.text);
	} else {
		printf("Saved and verified snapshot to index %llu\n", (unsigned long long)index);
	}
	buf_done(&aside);
	return rc < 0 ? 1 : 0;
}

const struct usage snapshot_save_usage = {
	.name = "snapshot save",
	.takes = "[-stale] FILE",
	.text =
	    "Saves all keys, sessions and locks, as they are at one moment, to a file, and reads "
	    "it "
	    "back. -stale takes what the server at hand has, without a leader. What agents have "
	    "registered is not in it: they say it anew. Exit status: 0; 1: nothing was saved, and "
	    "a file of that name is as it was.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes one FILE",
	.client = true,
	.run = save_run,
};

static int
restore_from(const struct call *call, const char *name, struct err *err)
{
	FILE *file = fopen(name, "re");
	int rc;

	if (file == NULL)
		return err_errno(err, "%s", name);
	rc = snapshot_read_check(file, err);
	if (rc < 0)
		err_wrap(err, "%s", name);
	rewind(file);
	if (rc == 0)
		rc = http_client_send(call->client, STR(PATH), file, err);
	fclose(file);
	return rc;
}

static int
restore_run(const struct call *call)
{
	struct err err = { 0 };

	if (restore_from(call, call->words[0], &err) < 0) {
		fprintf(stderr, "Error restoring snapshot: %s\n", err.text);
		return 1;
	}
	puts("Restored snapshot");
	return 0;
}

const struct usage snapshot_restore_usage = {
	.name = "snapshot restore",
	.takes = "FILE",
	.text =
	    "Puts what is in a file in the place of all keys, sessions and locks of the cluster, "
	    "in "
	    "one step. The file is checked before anything changes. Files up to 64 MiB are taken. "
	    "Exit status: 0; 1: nothing was restored.",
	.flags = no_flags,
	.size = sizeof(struct client_flags),
	.words_min = 1,
	.words_max = 1,
	.words_wrong = "it takes one FILE",
	.client = true,
	.run = restore_run,
};
