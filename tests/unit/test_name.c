/* tests/unit/test_name.c -- names on the wire, as text, compared. */
#include "dns/name.h"
#include "tests/unit/test.h"

static struct name
name(const char *text)
{
	struct name n;

	assert_true(name_from_text(str_of(text), &n));
	return n;
}

static void
text_and_back(void **unused)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "web.service.consul", "web.service.consul." },
		{ "web.service.consul.", "web.service.consul." },
		{ ".", "." },
		{ "", "." },
		{ "a\\.b.c", "a\\.b.c." },
		{ "a\\032b", "a\\032b." },
		{ "\\195\\169", "\\195\\169." },
		{ "MiXeD", "MiXeD." },
		{ "_web._tcp", "_web._tcp." },
	};
	char out[NAME_TEXT_MAX];

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct name n = name(rows[i].in);

		size_t len = name_to_text(&n, out);

		assert_int_equal(len, strlen(out));
		assert_string_equal(out, rows[i].out);
	}
}

static void
text_that_is_no_name(void **unused)
{
	static const char *const rows[] = { "..", "a..b", ".a", "a\\", "a\\25", "a\\256",
		"a\\2x5" };
	char label[LABEL_MAX + 2];
	struct name n;

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_false(name_from_text(str_of(rows[i]), &n));
	memset(label, 'x', sizeof label - 1);
	label[sizeof label - 1] = '\0';
	assert_false(name_from_text(str_of(label), &n));
	label[LABEL_MAX] = '\0';
	assert_true(name_from_text(str_of(label), &n));
}

static void
length_has_a_limit(void **unused)
{
	char text[256];
	char out[NAME_TEXT_MAX];
	struct name n;

	(void)unused;
	/* 127 labels of one byte: 255 bytes with the root */
	for (size_t i = 0; i < 254; i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	assert_true(name_from_text(str_mem(text, 254), &n));
	assert_int_equal(n.n, NAME_MAX_BYTES);
	assert_false(name_prepend(&n, STR("b")));
	text[254] = 'a';
	assert_false(name_from_text(str_mem(text, 255), &n));

	/* the longest text: bytes that need an escape each */
	n.n = 0;
	for (size_t label = 0; label < 4; label++) {
		size_t len = label < 3 ? 63 : 61;

		n.bytes[n.n++] = (uint8_t)len;
		memset(n.bytes + n.n, 0xff, len);
		n.n = (uint8_t)(n.n + len);
	}
	n.bytes[n.n++] = 0;
	assert_int_equal(n.n, NAME_MAX_BYTES);
	assert_true(name_to_text(&n, out) < NAME_TEXT_MAX);
}

static bool
read_at(const char *bytes, size_t n, size_t at, struct name *out, size_t *end)
{
	struct str message = str_mem(bytes, n);
	struct reader r = rd_of(message);

	(void)rd_take(&r, at);
	if (!name_read(&r, message, out)) {
		assert_false(rd_ok(&r));
		return false;
	}
	*end = r.pos;
	return true;
}

static void
compressed_names(void **unused)
{
	static const char message[] = "\3web\7service\0\1a\300\4\300\15";
	struct name n, want = name("a.service");
	size_t end;

	(void)unused;
	assert_true(read_at(message, sizeof message - 1, 13, &n, &end));
	assert_true(name_eq(&n, &want));
	assert_int_equal(end, 17);
	assert_true(
	    read_at(message, sizeof message - 1, 17, &n, &end)); /* a pointer to a pointer */
	assert_true(name_eq(&n, &want));
	assert_int_equal(end, 19);
	for (size_t cut = 13; cut < 17; cut++)
		assert_false(read_at(message, cut, 13, &n, &end));
}

static void
pointers_go_backwards_only(void **unused)
{
	struct name n;
	size_t end;

	(void)unused;
	assert_false(read_at("\300\0", 2, 0, &n, &end));
	assert_false(read_at("\300\2\1a\0", 5, 0, &n, &end));
	assert_false(read_at("\1a\300\0", 4, 2, &n, &end) && n.n > 3);
	assert_false(read_at("\300\2\300\0", 4, 2, &n, &end));
	assert_false(read_at("\100a", 2, 0, &n, &end)); /* label types of old */
	assert_false(read_at("\200a", 2, 0, &n, &end));
}

static void
long_names_are_refused(void **unused)
{
	char bytes[300];
	struct name n;
	size_t end;

	(void)unused;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = i % 2 == 0 ? '\1' : 'a';
	bytes[254] = '\0';
	assert_true(read_at(bytes, sizeof bytes, 0, &n, &end));
	bytes[254] = '\1';
	bytes[256] = '\0';
	assert_false(read_at(bytes, sizeof bytes, 0, &n, &end));
}

static void
comparing_ignores_case(void **unused)
{
	struct name a = name("WEB.service.Consul"), b = name("web.SERVICE.consul");
	struct name c = name("web.service.consul2"), tail = name("CONSUL"), root = name(".");
	struct name odd = name("x\\006consul"); /* looks like the tail, but is one label */

	(void)unused;
	assert_true(name_eq(&a, &b));
	assert_false(name_eq(&a, &c));
	assert_true(name_ends(&a, &tail));
	assert_true(name_ends(&a, &root));
	assert_true(name_ends(&tail, &tail));
	assert_false(name_ends(&c, &tail));
	assert_false(name_ends(&odd, &tail));
	assert_false(name_ends(&tail, &a));
}

static void
names_are_built(void **unused)
{
	struct name suffix = name("node.dc1.consul"), n, want = name("n1.sub.node.dc1.consul");
	struct str labels[NAME_LABELS_MAX];

	(void)unused;
	assert_true(name_under(STR("n1.sub"), &suffix, &n));
	assert_true(name_eq(&n, &want));
	assert_int_equal(name_labels(&n, labels), 5);
	assert_str(labels[1], "sub");
	assert_false(name_under(STR("a..b"), &suffix, &n));
	assert_false(name_under(STR(""), &suffix, &n));
	n = suffix;
	assert_true(name_prepend(&n, STR("sub")));
	assert_true(name_prepend(&n, STR("N1")));
	assert_true(name_eq(&n, &want));
	assert_false(name_prepend(&n, STR("")));
	name_lower(&n);
	assert_memory_equal(n.bytes, want.bytes, want.n);
}

/* Every byte at every place, in every length up to three words. */
static void
lower_while_copying(void **unused)
{
	uint8_t from[24], to[25];

	(void)unused;
	for (size_t n = 0; n <= sizeof from; n++)
		for (size_t at = 0; at < n; at++)
			for (unsigned c = 0; c < 256; c++) {
				bool capital = c >= 'A' && c <= 'Z';

				memset(from, 3, sizeof from);
				from[at] = (uint8_t)c;
				to[n] = 0xee;
				assert_int_equal(name_lower_copy(to, from, n), capital);
				assert_int_equal(to[at], capital ? c + 32 : c);
				assert_int_equal(to[n], 0xee);
				from[at] = to[at];
				assert_memory_equal(from, to, n);
			}
	assert_false(name_lower_copy(to, from, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lower_while_copying),
		cmocka_unit_test(text_and_back),
		cmocka_unit_test(text_that_is_no_name),
		cmocka_unit_test(length_has_a_limit),
		cmocka_unit_test(compressed_names),
		cmocka_unit_test(pointers_go_backwards_only),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(comparing_ignores_case),
		cmocka_unit_test(names_are_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
