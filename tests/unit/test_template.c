/* Templates of -docker-tags: values, functions, branches, and what is refused. */
#include "base/json.h"
#include "tests/unit/test.h"
#include "watcher/template.h"

static const char data[] =
    "{\"Id\": \"e20f9c1a7656aaaa\", \"Name\": \"/web-1\", \"Config\": {\"Image\": "
    "\"team/shop:1.2\","
    " \"Env\": [\"A=1\", \"SERVICE_X=y\", \"SERVICE_Z=w\"], \"Labels\": {\"team\": \"red\","
    " \"arn\": \"aws:ecs:task/368f\"}, \"Tty\": false}, \"Count\": 3, \"None\": null}";

static char got[1 << 16];

/* The filled-in template, or "error: " and its sentence. */
static const char *
fill(const char *text)
{
	struct err err;
	struct buf b;
	json_t *root;

	buf_init(&b, sizeof got - 16);
	assert_int_equal(json_read(str_of(data), &root, &err), 0);
	if (template_render(str_of(text), root, &b, &err) < 0)
		snprintf(got, sizeof got, "error: %s", err.text);
	else
		snprintf(got, sizeof got, STR_FMT, STR_ARG(buf_str(&b)));
	json_decref(root);
	buf_done(&b);
	return got;
}

static void
values_are_shown(void **unused)
{
	(void)unused;
	assert_string_equal(fill("plain, text"), "plain, text");
	assert_string_equal(fill("{{.Name}},{{ .Config.Image }}"), "/web-1,team/shop:1.2");
	assert_string_equal(fill("{{.ID}} {{$.Id}}"), "e20f9c1a7656aaaa e20f9c1a7656aaaa");
	assert_string_equal(fill("{{.Count}} {{.Config.Tty}} {{.None}}{{.No.Such}}"), "3 false ");
	assert_string_equal(fill("{{.Config.Env}}"), "[A=1 SERVICE_X=y SERVICE_Z=w]");
	assert_string_equal(fill("{{.Config.Labels}}"), "map[arn:aws:ecs:task/368f team:red]");
	assert_string_equal(fill("{{\"a\\\"}}\"}}{{`b}}`}}{{-3}}"), "a\"}}b}}-3");
}

static void
functions_are_those_of_registrator(void **unused)
{
	(void)unused;
	assert_string_equal(fill("<{{strSlice .No 0 0}}>"), "<>");
	assert_string_equal(fill("{{strSlice .ID 0 12}} {{strSlice .ID 12}}"), "e20f9c1a7656 aaaa");
	assert_string_equal(
	    fill("{{sIndex 0 .Config.Env}} {{sIndex -1 .Config.Env}}"), "A=1 SERVICE_Z=w");
	assert_string_equal(
	    fill("{{sIndex 9 .Config.Env}} {{sIndex -9 .Config.Env}}"), "SERVICE_Z=w A=1");
	assert_string_equal(fill("{{mIndex \"team\" .Config.Labels}}"), "red");
	assert_string_equal(fill("{{toUpper .Name | toLower}} {{toUpper .Name}}"), "/web-1 /WEB-1");
	assert_string_equal(fill("{{replace -1 \"e\" \"E\" \"cheese\"}}"), "chEEsE");
	assert_string_equal(fill("{{replace 1 \"e\" \"\" \"cheese\"}}"), "chese");
	assert_string_equal(fill("{{index (jsonParse `{\"a\":[1,{\"b\":\"x\"}]}`) \"a\" 1 \"b\"}}"), "x");
	assert_string_equal(fill("<{{jsonParse \"{\"}}{{jsonParse .No}}>"), "<>");
	assert_string_equal(fill("{{join \"+\" .Config.Env}}"), "A=1+SERVICE_X=y+SERVICE_Z=w");
	assert_string_equal(fill("{{split \"/\" \"a/b//c\"}}"), "[a b  c]");
	assert_string_equal(fill("{{splitIndex -1 \"/\" .Config.Labels.arn}}"), "368f");
	assert_string_equal(fill("{{.Config.Labels.arn | split \":\" | sIndex 1}}"), "ecs");
	assert_string_equal(fill("{{matchFirstElement \"^SERVICE_\" .Config.Env}}"), "SERVICE_X=y");
	assert_string_equal(
	    fill("{{matchAllElements \"^SERVICE_\" .Config.Env}}"), "[SERVICE_X=y SERVICE_Z=w]");
	assert_string_equal(
	    fill("{{index .Config.Labels \"team\"}}{{index .Config.Labels \"x\"}}"), "red");
	assert_string_equal(fill("{{index .Config.Env 1}} {{len .Config.Env}}"), "SERVICE_X=y 3");
	assert_string_equal(fill("{{printf \"%s-%d%%\" .Name .Count}}"), "/web-1-3%");
}

static void
branches_and_ranges(void **unused)
{
	(void)unused;
	assert_string_equal(fill("{{if .Config.Tty}}a{{else}}b{{end}}"), "b");
	assert_string_equal(fill("{{if .No}}a{{else if eq .Count 3}}b{{else}}c{{end}}!"), "b!");
	assert_string_equal(fill("{{if and .Name (not .No)}}a{{end}}"), "a");
	assert_string_equal(
	    fill("{{if or (gt .Count 5) (lt .Count 2)}}a{{end}}{{ne 1 2}}"), "true");
	assert_string_equal(fill("{{with .Config}}{{.Image}}{{else}}x{{end}}"), "team/shop:1.2");
	assert_string_equal(fill("{{with .No}}{{.Image}}{{else}}{{.Name}}{{end}}"), "/web-1");
	assert_string_equal(
	    fill("{{range .Config.Env}}<{{.}}>{{end}}"), "<A=1><SERVICE_X=y><SERVICE_Z=w>");
	assert_string_equal(fill("{{range .No}}x{{else}}none{{end}}"), "none");
	assert_string_equal(
	    fill("{{range .Config.Labels}}{{.}} {{end}}"), "red aws:ecs:task/368f ");
	assert_string_equal(fill("a  {{- /* not shown */ -}}  b {{- .Count -}} c"), "ab3c");
}

static void
mistakes_have_a_place(void **unused)
{
	static const char *const bad[] = { "{{", "{{.Name", "{{.Name}", "{{nosuch .Name}}",
		"{{toUpper}}", "{{\"a}}", "{{`a}}", "{{end}}", "{{else}}", "{{if .Name}}",
		"{{range .Config.Env}}x", "{{.Name | .Name}}", "{{(.Name}}", "{{$x}}", "{{.Name)}}",
		"{{1x}}", "{{/* a", "{{. .}}", "{{|}}", "{{ . | }}", "{{.a.}}", "{{\"a\\" };
	struct err err;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.text[0] = '\0';
		if (template_check(str_of(bad[i]), &err) != ERR_INPUT)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(err.text, "template, byte "));
	}
	assert_int_equal(
	    template_check(STR("{{range .A}}{{if .B}}x{{else if .C}}{{end}}{{end}}"), &err), 0);
	assert_non_null(strstr(fill("{{.Name.Foo}}"), "error: "));
	assert_non_null(strstr(fill("{{sIndex 0 .No}}"), "empty list"));
	assert_non_null(strstr(fill("{{toUpper 3}}"), "not a text"));
	assert_non_null(strstr(fill("{{matchFirstElement \"(\" .Config.Env}}"), "pattern"));
}

static void
work_and_size_are_bounded(void **unused)
{
	char text[4096] = "";
	struct err err;
	struct buf small;

	(void)unused;
	for (int i = 0; i < 20; i++)
		strcat(text, "{{range .Config.Env}}{{with $}}");
	strcat(text, "x");
	for (int i = 0; i < 40; i++)
		strcat(text, "{{end}}");
	assert_int_equal(template_check(str_of(text), &err), ERR_LIMIT); /* depth */

	text[0] = '\0';
	for (int i = 0; i < 12; i++)
		strcat(text, "{{range $.Config.Env}}");
	strcat(text, "x");
	for (int i = 0; i < 12; i++)
		strcat(text, "{{end}}");
	assert_non_null(strstr(fill(text), "too much to do")); /* 3^12 turns */

	buf_init(&small, 4);
	assert_int_equal(template_render(STR("12345"), NULL, &small, &err), ERR_LIMIT);
	buf_done(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_shown),
		cmocka_unit_test(functions_are_those_of_registrator),
		cmocka_unit_test(branches_and_ranges),
		cmocka_unit_test(mistakes_have_a_place),
		cmocka_unit_test(work_and_size_are_bounded),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
