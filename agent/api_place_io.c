/* agent/api_place_io.c -- see api_place_io.h. Written aside and renamed, so it is whole or not
 * there. */
#include "agent/api_place_io.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/durable_io.h"
#include "base/log.h"

#define API_PLACE_FILE "api"
#define API_PLACE_ASIDE "api.new"

void
api_place_write(const char *folder, struct str place)
{
	char path[DURABLE_PATH_MAX], aside[DURABLE_PATH_MAX];
	bool good;
	FILE *f;

	if (durable_path(folder, API_PLACE_FILE, path, NULL) < 0 ||
	    durable_path(folder, API_PLACE_ASIDE, aside, NULL) < 0)
		return;
	if (place.n == 0 || place.n >= API_PLACE_MAX) {
		(void)unlink(path);
		return;
	}
	f = fopen(aside, "we");
	good = f != NULL && fprintf(f, STR_FMT "\n", STR_ARG(place)) > 0;
	if (f != NULL && fclose(f) != 0)
		good = false;
	if (!good || rename(aside, path) < 0)
		log_warn("agent", "cannot write %s: %s", path, strerror(errno));
}

bool
api_place_read(const char *folder, char out[API_PLACE_MAX])
{
	char path[DURABLE_PATH_MAX];
	FILE *f = NULL;
	bool good;

	if (durable_path(folder, API_PLACE_FILE, path, NULL) == 0)
		f = fopen(path, "re");
	good = f != NULL && fgets(out, API_PLACE_MAX, f) != NULL;
	if (f != NULL)
		fclose(f);
	if (good)
		out[strcspn(out, "\n")] = '\0';
	return good && out[0] != '\0';
}
