/* agent/config.c -- config files, JSON and HCL, onto the table of options.
 *
 * Objects are walked down to a row of the table: its key is the path of member names between
 * dots. In order: values by the row's type; the walk; one file; one folder. Consul's habits are
 * kept: a scalar may stand for a list of one, a list of one object for the object, a text for a
 * number or a truth value, and names match in either case.
 */
#include "agent/options.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hcl.h"
#include "agent/watch_plan.h"
#include "agent/watch_runs_io.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

#define CONFIG_PATH_MAX 256   /* bytes of a key's path */
#define CONFIG_FILES_MAX 1024 /* in one folder */

static const char *
config_kind(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		break;
	}
	return "null";
}

/* A scalar as the text a flag would have; false for other values. */
static bool
config_scalar(const json_t *v, char room[64], struct str *out)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		*out = json_text(v);
		return true;
	case JSON_INTEGER:
		snprintf(room, 64, "%lld", (long long)json_integer_value(v));
		*out = str_of(room);
		return true;
	case JSON_REAL: /* 8500.0 is a whole number, too; 1.5 is for the option to refuse */
		snprintf(room, 64, "%.15g", json_real_value(v));
		*out = str_of(room);
		return true;
	case JSON_TRUE:
		*out = STR("true");
		return true;
	case JSON_FALSE:
		*out = STR("false");
		return true;
	default:
		return false;
	}
}

/* Null, false, -1, and what is empty. */
static bool
config_is_off(const json_t *v)
{
	char room[64];
	struct str text;

	if (v == NULL)
		return true;
	if (config_scalar(v, room, &text))
		return option_value_is_off(text);
	return json_is_object(v) ? json_object_size(v) == 0 : json_array_size(v) == 0;
}

static int
config_pairs(struct options *o, const struct option *row, json_t *v, struct err *err)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return err_set(err, ERR_INPUT, "must be an object, not %s", config_kind(v));
	json_object_foreach (v, key, item) {
		char room[64];
		struct str text;
		int rc;

		if (!config_scalar(item, room, &text))
			return err_set(err, ERR_INPUT, "\"%s\" must be a text, not %s", key,
			    config_kind(item));
		rc = option_add_pair(o, row, str_of(key), text, err);
		if (rc < 0)
			return err_wrap(err, "\"%s\"", key);
	}
	return 0;
}

static int
config_value(struct options *o, const struct option *row, json_t *v, struct err *err)
{
	char room[64];
	struct str text;
	size_t i;
	json_t *item;

	if (row->type == OPTION_MAP || row->type == OPTION_TTLS)
		return config_pairs(o, row, v, err);
	if (row->type == OPTION_LIST && json_is_array(v)) {
		json_array_foreach (v, i, item) {
			int rc = json_is_array(item) ? err_set(err, ERR_INPUT, "lists do not nest")
						     : config_value(o, row, item, err);
			if (rc < 0)
				return rc;
		}
		return 0;
	}
	if (!config_scalar(v, room, &text))
		return err_set(err, ERR_INPUT, "must be %s, not %s",
		    row->type == OPTION_BOOL  ? "true or false"
		    : row->type == OPTION_INT ? "a number"
					      : "a text",
		    config_kind(v));
	return option_set_text(o, row, text, err);
}

/* One object, whose members' paths begin with `path` (path_n bytes of it, dot included). */
static int
config_object(
    struct options *o, json_t *object, char path[CONFIG_PATH_MAX], size_t path_n, struct err *err)
{
	const char *key;
	json_t *v;

	json_object_foreach (object, key, v) {
		int n = snprintf(path + path_n, CONFIG_PATH_MAX - path_n, "%s", key);
		size_t full = path_n + (n < 0 ? 0 : (size_t)n);
		const struct option *row;
		int rc;

		if (full + 2 > CONFIG_PATH_MAX)
			return err_set(err, ERR_INPUT, "unknown key \"%.100s...\"", path);
		if (json_is_null(v)) /* as if it were not there, but its name must be right */
			v = NULL;
		row = option_by_key(str_mem(path, full));
		if (row != NULL && row->type == OPTION_LATER && config_is_off(v)) {
			rc = 0;
		} else if (row != NULL &&
			   (row->type == OPTION_IGNORED || row->type == OPTION_LATER)) {
			rc = option_note_unused(o, row, str_mem(path, full), err);
		} else if (row != NULL) {
			rc = v == NULL ? 0 : config_value(o, row, v, err);
			if (rc < 0)
				return err_wrap(err, "%s", path);
		} else if (option_key_is_parent(str_mem(path, full))) {
			if (json_is_array(v) && json_array_size(v) == 1)
				v = json_array_get(v, 0);
			if (v != NULL && !json_is_object(v))
				return err_set(err, ERR_INPUT, "%s: must be an object, not %s",
				    path, config_kind(v));
			path[full] = '.';
			rc = v == NULL ? 0 : config_object(o, v, path, full + 1, err);
		} else {
			return err_set(err, ERR_INPUT, "unknown key \"%s\"", path);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Watches are kept as text, and read again by who runs them; what is wrong is said here. */
static int
config_watch(struct options *o, const json_t *v, struct err *err)
{
	struct watch_plan plan;
	struct arena arena;
	char *text;
	int rc;

	arena_init(&arena, CONFIG_FILE_BYTES_MAX);
	rc = watch_plan_read(&plan, &arena, v, true, err);
	arena_done(&arena);
	if (rc < 0)
		return rc;
	if (o->watch_count == WATCHES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d watches", WATCHES_MAX);
	text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return err_set(err, ERR_INPUT, "a watch holds text that is not UTF-8");
	rc = option_add_watch(o, str_of(text), err);
	free(text);
	return rc;
}

static int
config_watches(struct options *o, const json_t *v, struct err *err)
{
	int rc = 0;

	if (json_is_null(v))
		return 0;
	if (!json_is_array(v))
		rc = config_watch(o, v, err);
	for (size_t i = 0; i < json_array_size(v) && rc == 0; i++)
		rc = config_watch(o, json_array_get(v, i), err);
	return rc < 0 ? err_wrap(err, "watches") : 0;
}

/* Services and checks are no options: taken out of the object before it is walked. */
static int
config_definitions(struct options *o, json_t *root, struct str file, struct err *err)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe (root, next, key, v) {
		const struct option *row = option_by_key(str_of(key));
		int rc;

		if (row == NULL || row->type != OPTION_DEFINITION)
			continue;
		rc = strcmp(row->key, "watches") == 0 ? config_watches(o, v, err)
		     : json_is_null(v)                ? 0
				                      : definitions_read(&o->definitions, &o->arena, file, row->key,
					   v, str_starts(str_of(row->key), STR("check")), err);
		if (rc < 0)
			return rc;
		json_object_del(root, key);
	}
	return 0;
}

int
config_format_set(struct options *o, struct str format, struct err *err)
{
	if (!str_eq(format, STR("json")) && !str_eq(format, STR("hcl")))
		return err_set(err, ERR_INPUT, "-config-format: \"" STR_FMT "\" is not json or hcl",
		    STR_ARG(format));
	o->config_format = arena_dup(&o->arena, format);
	return 0;
}

static bool
config_is_hcl(const struct options *o, struct str name)
{
	return o->config_format.n > 0 ? str_eq(o->config_format, STR("hcl"))
				      : str_ends(name, STR(".hcl"));
}

/* Whether a file of a folder counts. */
static bool
config_takes(const struct options *o, DIR *dir, const char *file)
{
	struct str name = str_of(file);
	struct stat st;

	if (o->config_format.n == 0)
		return str_ends(name, STR(".json")) || str_ends(name, STR(".hcl"));
	return fstatat(dirfd(dir), file, &st, 0) == 0 && S_ISREG(st.st_mode);
}

int
config_text_read(struct options *o, struct str name, struct str text, struct err *err)
{
	char path[CONFIG_PATH_MAX];
	json_t *root = NULL;
	bool hcl = config_is_hcl(o, name);
	int rc = hcl ? hcl_read(name, text, &root, err) : json_read(text, &root, err);

	if (rc < 0 && hcl) /* names the file itself, with the line */
		return rc;
	if (rc == 0 && !json_is_object(root))
		rc =
		    err_set(err, ERR_INPUT, "must hold one JSON object, not %s", config_kind(root));
	if (rc == 0)
		rc = config_definitions(o, root, name, err);
	if (rc == 0)
		rc = config_object(o, root, path, 0, err);
	json_decref(root);
	return rc < 0 ? err_wrap(err, STR_FMT, STR_ARG(name)) : 0;
}

static int
config_load(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return err_errno(err, "cannot read %s", path);
	while (rc == 0) {
		char *room = buf_reserve(out, 16384);
		ssize_t n;

		if (room == NULL) {
			rc = err_set(err, ERR_LIMIT, "%s is larger than %d MiB", path,
			    CONFIG_FILE_BYTES_MAX / (1024 * 1024));
			break;
		}
		n = read(fd, room, 16384);
		if (n == 0)
			break;
		if (n > 0)
			buf_commit(out, (size_t)n);
		else if (errno != EINTR)
			rc = err_errno(err, "cannot read %s", path);
	}
	close(fd);
	return rc;
}

int
config_file_read(struct options *o, struct str path, struct err *err)
{
	char *name = str_dup(path);
	struct buf text;
	int rc;

	buf_init(&text, CONFIG_FILE_BYTES_MAX);
	rc = config_load(name, &text, err);
	if (rc == 0)
		rc = config_text_read(o, path, buf_str(&text), err);
	buf_done(&text);
	free(name);
	return rc;
}

static int
config_name_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
config_dir_read(struct options *o, struct str path, struct err *err)
{
	char *folder = str_dup(path), *names[CONFIG_FILES_MAX];
	size_t count = 0;
	DIR *dir = opendir(folder);
	int rc = dir == NULL ? err_errno(err, "cannot read the folder %s", folder) : 0;

	for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
		if (!config_takes(o, dir, e->d_name))
			continue;
		if (count == CONFIG_FILES_MAX)
			rc = err_set(
			    err, ERR_LIMIT, "more than %d files in %s", CONFIG_FILES_MAX, folder);
		else
			names[count++] = str_dup(str_of(e->d_name));
	}
	if (dir != NULL)
		closedir(dir);
	qsort(names, count, sizeof names[0], config_name_cmp);
	for (size_t i = 0; i < count; i++) {
		char file[4096];

		snprintf(file, sizeof file, "%s/%s", folder, names[i]);
		if (rc == 0)
			rc = config_file_read(o, str_of(file), err);
		free(names[i]);
	}
	free(folder);
	return rc;
}
