/* base/cursor.c -- the parts of the cursor that are too long to stand in its header. */
#include "base/cursor.h"

uint64_t
rd_varint_long(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = rd_u8(r);

		if (!rd_ok(r))
			return 0;
		if ((shift == 63 && b > 1) || (b == 0 && shift > 0))
			break; /* more than 64 bits, or a longer form than needed */
		v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	rd_fail(r);
	return 0;
}

void
wr_varint(struct writer *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		wr_u8(w, (uint8_t)(v | 0x80));
	wr_u8(w, (uint8_t)v);
}

size_t
varint_len(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}
