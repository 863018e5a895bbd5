/* A config file in HCL, onto the table of options as well: no crash, and an error says something. */
#include "agent/hcl.h"
#include "agent/options.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);
	struct err err = { 0 };
	struct options o;
	json_t *v = NULL;
	int rc = hcl_read(STR("f.hcl"), text, &v, &err);

	FUZZ_ASSERT(rc == 0 ? json_is_object(v) : v == NULL && err.text[0] != '\0');
	json_decref(v);
	if (options_init(&o, &err) == 0) {
		config_text_read(&o, STR("f.hcl"), text, &err);
		options_done(&o);
		FUZZ_ASSERT(options_init(&o, &err) == 0);
		config_text_read(&o, STR("f.json"), text, &err);
	}
	options_done(&o);
	return 0;
}
