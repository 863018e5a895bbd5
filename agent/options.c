/* agent/options.c -- reading flags, and setting one option, by the table.
 *
 * In order: finding rows; setting values from text, by type; flags; the steps in their order;
 * what SIGHUP takes over. Arrays live in the arena and double, so that a list of n costs O(n).
 */
#include "agent/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
option_row_ends(const struct option *row)
{
	return row->flag == NULL && row->key == NULL;
}

const struct option *
option_by_flag(struct str flag)
{
	for (const struct option *row = options_table; !option_row_ends(row); row++)
		if (row->flag != NULL && str_eq(flag, str_of(row->flag)))
			return row;
	return NULL;
}

const struct option *
option_by_key(struct str path)
{
	const struct option *above = NULL;

	for (const struct option *row = options_table; !option_row_ends(row); row++) {
		struct str key = str_of(row->key);

		if (row->key == NULL)
			continue;
		if (str_eq_nocase(path, key))
			return row;
		if ((row->type == OPTION_IGNORED || row->type == OPTION_LATER) && path.n > key.n &&
		    path.p[key.n] == '.' && str_eq_nocase(str_head(path, key.n), key))
			above = row;
	}
	return above;
}

bool
option_key_is_parent(struct str path)
{
	for (const struct option *row = options_table; !option_row_ends(row); row++) {
		struct str key = str_of(row->key);

		if (row->key != NULL && key.n > path.n && key.p[path.n] == '.' &&
		    str_eq_nocase(str_head(key, path.n), path))
			return true;
	}
	return false;
}

/* Room for one more element at the end of the array whose pointer lies at `offset`. */
static void *
option_grow(struct options *o, size_t offset, size_t count_offset, size_t element_size)
{
	void **array = option_at(o, offset);
	size_t *count = option_at(o, count_offset);

	if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: full */
		size_t room = *count == 0 ? 1 : 2 * *count;
		char *grown = arena_alloc(&o->arena, room * element_size);

		if (grown == NULL)
			return NULL;
		if (*count > 0)
			memcpy(grown, *array, *count * element_size);
		*array = grown;
	}
	return (char *)*array + (*count)++ * element_size;
}

static int
option_full(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the options together are larger than %d MiB",
	    OPTIONS_BYTES_MAX / (1024 * 1024));
}

static int
option_set_bool(bool *out, struct str value, struct err *err)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (str_eq(value, str_of(yes[i])) || str_eq(value, str_of(no[i]))) {
			*out = str_eq(value, str_of(yes[i]));
			return 0;
		}
	}
	return err_set(err, ERR_INPUT, "\"" STR_FMT "\" is not true or false", STR_ARG(value));
}

bool
option_value_is_off(struct str value)
{
	bool on = true;

	return value.n == 0 || str_eq(value, STR("-1")) ||
	       (option_set_bool(&on, value, NULL) == 0 && !on);
}

static int
option_set_int(int64_t *out, const struct option *row, struct str value, struct err *err)
{
	bool negative = value.n > 0 && value.p[0] == '-';
	uint64_t v;
	int64_t n;

	if (!str_u64(negative ? str_skip(value, 1) : value, INT64_MAX, &v))
		return err_set(
		    err, ERR_INPUT, "\"" STR_FMT "\" is not a whole number", STR_ARG(value));
	n = negative ? -(int64_t)v : (int64_t)v;
	if ((row->min != 0 || row->max != 0) && (n < row->min || n > row->max))
		return err_set(err, ERR_INPUT, "%lld is not in the range %lld to %lld",
		    (long long)n, (long long)row->min, (long long)row->max);
	*out = n;
	return 0;
}

static int
option_set_duration(nsec *out, struct str value, struct err *err)
{
	nsec d;
	int rc = duration_parse(value, &d, NULL);

	if (rc < 0 || d < 0)
		return err_set(err, ERR_INPUT, "\"" STR_FMT "\" is not a time such as 90s or 1h30m",
		    STR_ARG(value));
	*out = d;
	return 0;
}

static int
option_set_seconds(nsec *out, struct str value, struct err *err)
{
	uint64_t seconds;

	if (!str_u64(value, INT32_MAX, &seconds))
		return option_set_duration(out, value, err);
	*out = (nsec)seconds * NSEC_SEC;
	return 0;
}

static int
option_set_string(struct options *o, struct str *out, struct str value, struct err *err)
{
	struct str copy = arena_dup(&o->arena, value);

	if (copy.p == NULL)
		return option_full(err);
	*out = copy;
	return 0;
}

static int
option_add_item(struct options *o, const struct option *row, struct str value, struct err *err)
{
	struct str *slot = option_grow(o, row->offset, row->count_offset, sizeof *slot);

	if (slot == NULL)
		return option_full(err);
	*slot = STR_NONE;
	return option_set_string(o, slot, value, err);
}

static int
option_ttl_put(
    struct options *o, const struct option *row, struct str name, uint32_t seconds, struct err *err)
{
	struct option_ttl *slot = option_grow(o, row->offset, row->count_offset, sizeof *slot);

	if (slot == NULL)
		return option_full(err);
	slot->seconds = seconds;
	return option_set_string(o, &slot->name, name, err);
}

static int
option_add_ttl(
    struct options *o, const struct option *row, struct str name, struct str value, struct err *err)
{
	nsec ttl;
	int rc = option_set_duration(&ttl, value, err);

	if (rc < 0)
		return rc;
	if (ttl / NSEC_SEC > INT32_MAX)
		return err_set(
		    err, ERR_INPUT, "\"" STR_FMT "\" is too long for a TTL", STR_ARG(value));
	return option_ttl_put(o, row, name, (uint32_t)(ttl / NSEC_SEC), err);
}

int
option_add_pair(
    struct options *o, const struct option *row, struct str key, struct str value, struct err *err)
{
	struct pair *slot, **pairs = option_at(o, row->offset);
	size_t count = *(size_t *)option_at(o, row->count_offset);
	int rc;

	if (row->type == OPTION_TTLS)
		return option_add_ttl(o, row, key, value, err);
	for (size_t i = 0; i < count; i++) /* a later one replaces */
		if (str_eq((*pairs)[i].key, key))
			return option_set_string(o, &(*pairs)[i].value, value, err);
	slot = option_grow(o, row->offset, row->count_offset, sizeof *slot);
	if (slot == NULL)
		return option_full(err);
	rc = option_set_string(o, &slot->key, key, err);
	return rc < 0 ? rc : option_set_string(o, &slot->value, value, err);
}

int
option_add_watch(struct options *o, struct str text, struct err *err)
{
	struct str *slot = option_grow(o, offsetof(struct options, watches),
	    offsetof(struct options, watch_count), sizeof *slot);

	if (slot == NULL)
		return option_full(err);
	*slot = STR_NONE;
	return option_set_string(o, slot, text, err);
}

int
option_note_unused(struct options *o, const struct option *row, struct str name, struct err *err)
{
	struct option_unused *slot;

	for (size_t i = 0; i < o->unused_count; i++)
		if (str_eq(o->unused[i].name, name))
			return 0;
	slot = option_grow(o, offsetof(struct options, unused),
	    offsetof(struct options, unused_count), sizeof *slot);
	if (slot == NULL)
		return option_full(err);
	slot->row = row;
	return option_set_string(o, &slot->name, name, err);
}

int
option_set_text(struct options *o, const struct option *row, struct str value, struct err *err)
{
	void *at = option_at(o, row->offset);
	struct str rest = value;

	switch (row->type) {
	case OPTION_BOOL:
		return option_set_bool(at, value, err);
	case OPTION_TEXT:
		return option_set_string(o, at, value, err);
	case OPTION_INT:
		return option_set_int(at, row, value, err);
	case OPTION_DURATION:
		return option_set_duration(at, value, err);
	case OPTION_SECONDS:
		return option_set_seconds(at, value, err);
	case OPTION_LIST:
		return option_add_item(o, row, value, err);
	case OPTION_MAP:
	case OPTION_TTLS:
		value = str_cut(&rest, ':');
		if (rest.p == NULL)
			return err_set(err, ERR_INPUT, "\"" STR_FMT "\" is not of the form %s",
			    STR_ARG(value), row->value);
		return option_add_pair(o, row, value, rest, err);
	case OPTION_DEFINITION:
		return err_set(err, ERR_INPUT, "stands in config files only");
	case OPTION_IGNORED:
	case OPTION_LATER:
		return option_note_unused(o, row, str_of(row->key), err);
	}
	return 0;
}

int
options_init(struct options *o, struct err *err)
{
	memset(o, 0, sizeof *o);
	arena_init(&o->arena, OPTIONS_BYTES_MAX);
	for (const struct option *row = options_table; !option_row_ends(row); row++) {
		int rc =
		    row->initial == NULL ? 0 : option_set_text(o, row, str_of(row->initial), err);

		if (rc < 0)
			return err_wrap(err, "default of %s", row->flag);
	}
	return 0;
}

void
options_done(struct options *o)
{
	arena_done(&o->arena);
	memset(o, 0, sizeof *o);
}

/* One argument taken apart. */
struct option_arg {
	const struct option *row;
	struct str name, value;
};

static bool
option_is_switch(const struct option *row) /* takes no value of its own */
{
	return row->value == NULL;
}

/* Reads the flag at argv[*i] and moves *i past it and its value. False at -h and --help. */
static bool
option_arg_next(int argc, char **argv, int *i, struct option_arg *a, struct err *err, int *rc)
{
	struct str arg = str_of(argv[(*i)++]), rest = arg, name;

	*rc = 0;
	if (arg.n < 2 || arg.p[0] != '-') {
		*rc = err_set(err, ERR_INPUT, "unexpected argument \"" STR_FMT "\"", STR_ARG(arg));
		return true;
	}
	rest = str_skip(rest, str_starts(rest, STR("--")) ? 2 : 1);
	name = str_cut(&rest, '=');
	if (str_eq(name, STR("h")) || str_eq(name, STR("help")))
		return false;
	a->row = option_by_flag(name);
	a->name = name;
	a->value = rest;
	if (a->row == NULL) {
		*rc = err_set(err, ERR_INPUT,
		    "unknown flag -" STR_FMT " (muster agent --help lists them)", STR_ARG(name));
		return true;
	}
	if (rest.p != NULL)
		return true;
	if (option_is_switch(a->row)) {
		a->value = STR("true");
	} else if (*i < argc) {
		a->value = str_of(argv[(*i)++]);
	} else {
		*rc = err_set(err, ERR_INPUT, "-" STR_FMT " needs a value (%s)", STR_ARG(name),
		    a->row->value);
	}
	return true;
}

int
options_flags(struct options *o, int argc, char **argv, bool *help_wanted, struct err *err)
{
	int rc;

	for (int i = 0; i < argc;) {
		struct option_arg a;

		if (!option_arg_next(argc, argv, &i, &a, err, &rc)) {
			*help_wanted = true;
			return 0;
		}
		if (rc < 0)
			return rc;
		if (a.row->type == OPTION_LATER && option_value_is_off(a.value))
			continue;
		if (a.row->type == OPTION_IGNORED || a.row->type == OPTION_LATER) {
			char flag[64];

			snprintf(flag, sizeof flag, "-%s", a.row->flag);
			rc = option_note_unused(o, a.row, str_of(flag), err);
		} else {
			rc = option_set_text(o, a.row, a.value, err);
		}
		if (rc < 0)
			return err_wrap(err, "-%s", a.row->flag);
	}
	return 0;
}

/* How files are read, wherever among the flags that stands. */
static int
options_format(struct options *o, int argc, char **argv, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < argc && rc == 0;) {
		struct option_arg a;

		if (!option_arg_next(argc, argv, &i, &a, err, &rc) || rc < 0)
			return rc;
		if (a.row->type == OPTION_TEXT &&
		    a.row->offset == offsetof(struct options, config_format))
			rc = config_format_set(o, a.value, err);
	}
	return rc;
}

/* The files that the flags name, in the order given; they come before the flags. */
static int
options_files(struct options *o, int argc, char **argv, struct err *err)
{
	int rc;

	for (int i = 0; i < argc;) {
		struct option_arg a;

		if (!option_arg_next(argc, argv, &i, &a, err, &rc) || rc < 0)
			return rc;
		if (a.row->offset == offsetof(struct options, config_files) &&
		    a.row->type == OPTION_LIST)
			rc = config_file_read(o, a.value, err);
		else if (a.row->offset == offsetof(struct options, config_dirs) &&
			 a.row->type == OPTION_LIST)
			rc = config_dir_read(o, a.value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
options_read(struct options *o, int argc, char **argv, bool *help_wanted, struct err *err)
{
	int rc = options_init(o, err);

	*help_wanted = false;
	for (int i = 0; i < argc && rc == 0; i++) /* --help wins over any mistake before it */
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0 ||
		    strcmp(argv[i], "--help") == 0)
			*help_wanted = true;
	if (rc == 0 && !*help_wanted)
		rc = options_format(o, argc, argv, err);
	if (rc == 0 && !*help_wanted)
		rc = options_files(o, argc, argv, err);
	if (rc == 0 && !*help_wanted)
		rc = options_flags(o, argc, argv, help_wanted, err);
	if (rc == 0 && !*help_wanted)
		rc = options_finish(o, err);
	return rc;
}

static bool
option_pairs_equal(const struct pair *a, const struct pair *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!str_eq(a[i].key, b[i].key) || !str_eq(a[i].value, b[i].value))
			return false;
	return true;
}

static bool
option_ttls_equal(const struct option_ttl *a, const struct option_ttl *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!str_eq(a[i].name, b[i].name) || a[i].seconds != b[i].seconds)
			return false;
	return true;
}

static bool
option_lists_equal(const struct str *a, const struct str *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static bool
option_equal(const struct options *a, const struct options *b, const struct option *row)
{
	const void *x = option_at(a, row->offset), *y = option_at(b, row->offset);
	size_t n = *(const size_t *)option_at(a, row->count_offset);
	size_t m = *(const size_t *)option_at(b, row->count_offset);

	switch (row->type) {
	case OPTION_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case OPTION_TEXT:
		return str_eq(*(const struct str *)x, *(const struct str *)y);
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_SECONDS:
		return *(const int64_t *)x == *(const int64_t *)y;
	case OPTION_LIST:
		return n == m &&
		       option_lists_equal(*(struct str *const *)x, *(struct str *const *)y, n);
	case OPTION_MAP:
		return n == m &&
		       option_pairs_equal(*(struct pair *const *)x, *(struct pair *const *)y, n);
	case OPTION_TTLS:
		return n == m && option_ttls_equal(*(struct option_ttl *const *)x,
				     *(struct option_ttl *const *)y, n);
	case OPTION_DEFINITION: /* definitions_apply() compares */
	case OPTION_IGNORED:
	case OPTION_LATER:
		break;
	}
	return true;
}

static int
option_take(
    struct options *o, const struct options *fresh, const struct option *row, struct err *err)
{
	void *to = option_at(o, row->offset);
	const void *from = option_at(fresh, row->offset);
	size_t *count = option_at(o, row->count_offset);
	int rc = 0;

	switch (row->type) {
	case OPTION_BOOL:
		*(bool *)to = *(const bool *)from;
		break;
	case OPTION_TEXT:
		return option_set_string(o, to, *(const struct str *)from, err);
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_SECONDS:
		*(int64_t *)to = *(const int64_t *)from;
		break;
	case OPTION_LIST: {
		const struct str *items = *(struct str *const *)from;
		size_t n = *(const size_t *)option_at(fresh, row->count_offset);

		for (*count = 0; rc == 0 && n > 0; n--, items++)
			rc = option_add_item(o, row, *items, err);
		break;
	}
	case OPTION_MAP: {
		const struct pair *pairs = *(struct pair *const *)from;
		size_t n = *(const size_t *)option_at(fresh, row->count_offset);

		for (*count = 0; rc == 0 && n > 0; n--, pairs++)
			rc = option_add_pair(o, row, pairs->key, pairs->value, err);
		break;
	}
	case OPTION_TTLS: {
		const struct option_ttl *ttls = *(struct option_ttl *const *)from;
		size_t n = *(const size_t *)option_at(fresh, row->count_offset);

		for (*count = 0; rc == 0 && n > 0; n--, ttls++)
			rc = option_ttl_put(o, row, ttls->name, ttls->seconds, err);
		break;
	}
	default: /* no row of another type reloads; tests hold that */
		break;
	}
	return rc;
}

int
options_reload(
    struct options *o, const struct options *fresh, char *changed, size_t cap, struct err *err)
{
	size_t n = 0;

	changed[0] = '\0';
	for (const struct option *row = options_table; !option_row_ends(row); row++) {
		int rc = 0;

		if (option_equal(o, fresh, row))
			continue;
		if (row->reloads) {
			rc = option_take(o, fresh, row, err);
		} else if (n < cap) {
			int m = snprintf(changed + n, cap - n, "%s%s", n > 0 ? "," : "",
			    row->key != NULL ? row->key : row->flag);
			n += m > 0 ? (size_t)m : 0;
		}
		if (rc < 0)
			return rc;
	}
	o->level = fresh->level;
	o->docker_ip_forced = fresh->docker_ip_forced;
	return 0;
}
