/* tests/fuzz/fuzz_template.c -- any template over one container's description.
 *
 * What template_check() refuses must not render, and rendering ends within its limits.
 */
#include <string.h>

#include "base/json.h"
#include "tests/fuzz/fuzz.h"
#include "watcher/template.h"

static const char container[] =
    "{\"Id\":\"e20f\",\"Name\":\"/web\",\"Config\":{\"Image\":\"team/shop:1.2\",\"Env\":[\"A=1\","
    "\"B=2\"],\"Labels\":{\"team\":\"red\"},\"Tty\":true},\"Count\":3,\"Rate\":0.5,\"None\":null}";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);
	json_t *root = NULL;
	struct buf out;
	struct err err;
	int checked, rendered;

	FUZZ_ASSERT(json_read(str_of(container), &root, &err) == 0);
	buf_init(&out, 64 * 1024);
	checked = template_check(text, &err);
	rendered = template_render(text, root, &out, &err);
	FUZZ_ASSERT(checked == 0 || rendered != 0);
	FUZZ_ASSERT(out.n <= 64 * 1024);
	buf_done(&out);
	json_decref(root);
	return 0;
}
