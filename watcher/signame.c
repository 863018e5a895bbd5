/* watcher/signame.c -- the table of signal names. Source: signal(7). */
#include "watcher/signame.h"

#define RTMIN 34
#define RTMAX 64

static const struct {
	const char *name;
	int number;
} signames[] = {
	{ "HUP", 1 },
	{ "INT", 2 },
	{ "QUIT", 3 },
	{ "ILL", 4 },
	{ "TRAP", 5 },
	{ "ABRT", 6 },
	{ "IOT", 6 },
	{ "BUS", 7 },
	{ "FPE", 8 },
	{ "KILL", SIGNAME_KILL },
	{ "USR1", 10 },
	{ "SEGV", 11 },
	{ "USR2", 12 },
	{ "PIPE", 13 },
	{ "ALRM", 14 },
	{ "TERM", SIGNAME_TERM },
	{ "STKFLT", 16 },
	{ "CHLD", 17 },
	{ "CLD", 17 },
	{ "CONT", 18 },
	{ "STOP", 19 },
	{ "TSTP", 20 },
	{ "TTIN", 21 },
	{ "TTOU", 22 },
	{ "URG", 23 },
	{ "XCPU", 24 },
	{ "XFSZ", 25 },
	{ "VTALRM", 26 },
	{ "PROF", 27 },
	{ "WINCH", 28 },
	{ "IO", 29 },
	{ "POLL", 29 },
	{ "PWR", 30 },
	{ "SYS", 31 },
};

/* What follows RTMIN ("" or "+3") or RTMAX ("" or "-1"). */
static int
signame_realtime(struct str rest, int base, char sign)
{
	uint64_t offset = 0;

	if (rest.n > 0 &&
	    (rest.p[0] != sign || !str_u64(str_skip(rest, 1), RTMAX - RTMIN, &offset)))
		return 0;
	return sign == '+' ? base + (int)offset : base - (int)offset;
}

int
signame_number(struct str s)
{
	uint64_t number;

	if (str_u64(s, SIGNAME_MAX, &number))
		return (int)number;
	if (s.n > 3 && str_eq_nocase(str_head(s, 3), STR("SIG")))
		s = str_skip(s, 3);
	if (s.n >= 5 && str_eq_nocase(str_head(s, 5), STR("RTMIN")))
		return signame_realtime(str_skip(s, 5), RTMIN, '+');
	if (s.n >= 5 && str_eq_nocase(str_head(s, 5), STR("RTMAX")))
		return signame_realtime(str_skip(s, 5), RTMAX, '-');
	for (size_t i = 0; i < sizeof signames / sizeof signames[0]; i++)
		if (str_eq_nocase(s, str_of(signames[i].name)))
			return signames[i].number;
	return 0;
}
