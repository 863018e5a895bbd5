/* agent/duration.c -- one number and unit after the other; in whole nanoseconds.
 *
 * A fraction is multiplied in floating point and cut, digits beyond 18 are left out: as Go
 * does it, so that every text means the same span here and there.
 */
#include "agent/duration.h"

#include <stdio.h>

static const struct {
	const char *name;
	nsec size;
} duration_units[] = {
	{ "ns", 1 },
	{ "us", NSEC_US },
	{ "\xc2\xb5s", NSEC_US }, /* U+00B5, micro sign */
	{ "\xce\xbcs", NSEC_US }, /* U+03BC, Greek mu */
	{ "ms", NSEC_MS },
	{ "s", NSEC_SEC },
	{ "m", NSEC_MIN },
	{ "h", NSEC_HOUR },
};

static nsec
duration_unit(struct str name) /* 0: not a unit */
{
	for (size_t i = 0; i < sizeof duration_units / sizeof duration_units[0]; i++)
		if (str_eq(name, str_of(duration_units[i].name)))
			return duration_units[i].size;
	return 0;
}

static size_t
duration_digits(struct str s)
{
	size_t n = 0;

	while (n < s.n && chr_digit(s.p[n]))
		n++;
	return n;
}

/* Adds whole × unit and the fraction's part of it to *sum; false: more than a nsec holds. */
static bool
duration_add(nsec *sum, struct str whole, struct str fraction, nsec unit)
{
	uint64_t v = 0, digits = 0;
	double scale = 1;
	nsec all, part;

	if (whole.n > 0 && !str_u64(whole, INT64_MAX, &v))
		return false;
	if (v > (uint64_t)(INT64_MAX / unit))
		return false;
	for (size_t i = 0; i < fraction.n && digits <= INT64_MAX / 10 - 1; i++) {
		digits = digits * 10 + (uint64_t)(fraction.p[i] - '0');
		scale *= 10;
	}
	all = (nsec)v * unit;
	part = (nsec)((double)digits * ((double)unit / scale));
	if (part > INT64_MAX - all || *sum > INT64_MAX - all - part)
		return false;
	*sum += all + part;
	return true;
}

int
duration_parse(struct str text, nsec *out, struct err *err)
{
	struct str s = text;
	bool negative = false;
	nsec sum = 0;

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		negative = s.p[0] == '-';
		s = str_skip(s, 1);
	}
	if (str_eq(s, STR("0"))) {
		*out = 0;
		return 0;
	}
	if (s.n == 0)
		goto invalid;
	while (s.n > 0) {
		struct str whole = str_head(s, duration_digits(s)), fraction = STR_NONE, name;
		size_t n = 0;

		s = str_skip(s, whole.n);
		if (s.n > 0 && s.p[0] == '.') {
			s = str_skip(s, 1);
			fraction = str_head(s, duration_digits(s));
			s = str_skip(s, fraction.n);
		}
		if (whole.n + fraction.n == 0)
			goto invalid;
		while (n < s.n && s.p[n] != '.' && !chr_digit(s.p[n]))
			n++;
		name = str_head(s, n);
		s = str_skip(s, n);
		if (n == 0)
			return err_set(err, ERR_INPUT,
			    "time: missing unit in duration \"" STR_FMT "\"", STR_ARG(text));
		nsec unit = duration_unit(name);
		if (unit == 0)
			return err_set(err, ERR_INPUT,
			    "time: unknown unit \"" STR_FMT "\" in duration \"" STR_FMT "\"",
			    STR_ARG(name), STR_ARG(text));
		if (!duration_add(&sum, whole, fraction, unit))
			goto invalid;
	}
	*out = negative ? -sum : sum;
	return 0;
invalid:
	return err_set(err, ERR_INPUT, "time: invalid duration \"" STR_FMT "\"", STR_ARG(text));
}

/* "1.5" of 1500 in thousands: the value in units of 10^digits, without trailing zeros. */
static int
duration_decimal(char *out, size_t room, uint64_t v, uint64_t unit)
{
	uint64_t rest = v % unit;
	int n = snprintf(out, room, "%llu", (unsigned long long)(v / unit));

	if (rest > 0 && (size_t)n < room)
		out[n++] = '.';
	for (uint64_t scale = unit / 10; rest > 0 && (size_t)n < room; scale /= 10) {
		out[n++] = (char)('0' + rest / scale);
		rest %= scale;
	}
	return n;
}

char *
duration_format(nsec d, char out[DURATION_TEXT_MAX])
{
	uint64_t v = d < 0 ? (uint64_t)0 - (uint64_t)d : (uint64_t)d;
	const size_t room = DURATION_TEXT_MAX;
	size_t n = 0;

	if (v == 0) {
		snprintf(out, room, "0s");
		return out;
	}
	if (d < 0)
		out[n++] = '-';
	if (v < (uint64_t)NSEC_SEC) {
		uint64_t unit = v < (uint64_t)NSEC_US   ? 1
				: v < (uint64_t)NSEC_MS ? NSEC_US
							: NSEC_MS;

		n += (size_t)duration_decimal(out + n, room - n, v, unit);
		snprintf(out + n, room - n, "%s",
		    unit == 1         ? "ns"
		    : unit == NSEC_US ? "\xc2\xb5s"
				      : "ms");
		return out;
	}
	if (v >= (uint64_t)NSEC_HOUR)
		n += (size_t)snprintf(
		    out + n, room - n, "%lluh", (unsigned long long)(v / NSEC_HOUR));
	if (v >= (uint64_t)NSEC_MIN)
		n += (size_t)snprintf(
		    out + n, room - n, "%llum", (unsigned long long)(v % NSEC_HOUR / NSEC_MIN));
	n += (size_t)duration_decimal(out + n, room - n, v % NSEC_MIN, NSEC_SEC);
	snprintf(out + n, room - n, "s");
	return out;
}
