/* tests/unit/test.h -- cmocka with what it wants included before it, and slices as assertions. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(got, want)                                                                  \
	do {                                                                                   \
		struct str got_ = (got), want_ = str_of(want);                                 \
		if (!str_eq(got_, want_)) {                                                    \
			print_error("got  \"" STR_FMT "\"\nwant \"" STR_FMT "\"\n",            \
			    STR_ARG(got_), STR_ARG(want_));                                    \
			fail();                                                                \
		}                                                                              \
	} while (0)

#endif
