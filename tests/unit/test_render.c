/* Shapes of the answers: members, their order, and what is null, [], "" or absent. */
#include "agent/http/render.h"
#include "tests/unit/test.h"

static struct buf out;
static struct jw w;

static void
begin(void)
{
	buf_clear(&out);
	jw_init(&w, &out, false);
}

static struct catalog_node node = {
	.info = { .name = { "n1", 2 }, .address = { "10.0.0.1", 8 }, .datacenter = { "dc1", 3 } },
	.create_index = 5,
	.modify_index = 6,
};

static struct catalog_service
bare_service(void)
{
	return (struct catalog_service){
		.info = { .id = STR("w1"),
		    .name = STR("web"),
		    .weight_passing = 1,
		    .weight_warning = 1 },
		.node = &node,
		.create_index = 7,
		.modify_index = 8,
	};
}

#define MESH "\"Proxy\":{\"Mode\":\"\",\"MeshGateway\":{},\"Expose\":{}},\"Connect\":{},"

static void
a_bare_node_has_nulls_and_a_full_one_maps(void **unused)
{
	struct pair wan = { STR("wan"), STR("192.0.2.7") };
	struct catalog_node full = node;

	(void)unused;
	begin();
	render_node(&w, &node);
	assert_str(buf_str(&out),
	    "{\"ID\":\"\",\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"dc1\","
	    "\"TaggedAddresses\":null,\"Meta\":null,\"CreateIndex\":5,\"ModifyIndex\":6}");
	full.info.id = STR("i");
	full.info.tagged = &wan;
	full.info.tagged_count = 1;
	full.info.tagged_set = full.info.meta_set = true;
	begin();
	render_node(&w, &full);
	assert_str(buf_str(&out),
	    "{\"ID\":\"i\",\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"dc1\","
	    "\"TaggedAddresses\":{\"wan\":\"192.0.2.7\"},\"Meta\":{},\"CreateIndex\":5,"
	    "\"ModifyIndex\":6}");
}

static void
a_service_has_null_meta_here_and_empty_meta_there(void **unused)
{
	struct catalog_service s = bare_service();

	(void)unused;
	begin();
	render_service(&w, &s);
	assert_str(buf_str(&out),
	    "{\"ID\":\"w1\",\"Service\":\"web\",\"Tags\":[],\"Address\":\"\",\"Meta\":null,"
	    "\"Weights\":{\"Passing\":1,\"Warning\":1},\"EnableTagOverride\":false," MESH
	    "\"CreateIndex\":7,\"ModifyIndex\":8}");
	begin();
	render_instance(&w, &s);
	assert_str(buf_str(&out),
	    "{\"ID\":\"\",\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"dc1\","
	    "\"TaggedAddresses\":null,\"NodeMeta\":null,\"ServiceKind\":\"\",\"ServiceID\":\"w1\","
	    "\"ServiceName\":\"web\",\"ServiceTags\":[],\"ServiceAddress\":\"\","
	    "\"ServiceWeights\":{\"Passing\":1,\"Warning\":1},\"ServiceMeta\":{},\"ServicePort\":0,"
	    "\"ServiceSocketPath\":\"\",\"ServiceEnableTagOverride\":false,"
	    "\"ServiceProxy\":{\"Mode\":\"\",\"MeshGateway\":{},\"Expose\":{}},"
	    "\"ServiceConnect\":{},\"CreateIndex\":7,\"ModifyIndex\":8}");
}

static void
a_service_shows_port_tags_meta_and_tagged_addresses(void **unused)
{
	struct str tags[] = { STR("a"), STR("a") };
	struct pair meta = { STR("v"), STR("1") };
	struct tagged_address lan = { STR("lan_ipv4"), STR("10.9.0.1"), 80 };
	struct catalog_service s = bare_service();

	(void)unused;
	s.info.tags = tags;
	s.info.tag_count = 2;
	s.info.meta = &meta;
	s.info.meta_count = 1;
	s.info.tagged = &lan;
	s.info.tagged_count = 1;
	s.info.port = -1;
	s.info.kind = STR("connect-proxy");
	s.info.proxy_json = STR("{\"x\":1}");
	begin();
	render_service(&w, &s);
	assert_str(buf_str(&out),
	    "{\"Kind\":\"connect-proxy\",\"ID\":\"w1\",\"Service\":\"web\",\"Tags\":[\"a\",\"a\"],"
	    "\"Address\":\"\",\"TaggedAddresses\":{\"lan_ipv4\":{\"Address\":\"10.9.0.1\",\"Port\":"
	    "80}},"
	    "\"Meta\":{\"v\":\"1\"},\"Port\":-1,\"Weights\":{\"Passing\":1,\"Warning\":1},"
	    "\"EnableTagOverride\":false,\"Proxy\":{\"x\":1},\"Connect\":{},\"CreateIndex\":7,"
	    "\"ModifyIndex\":8}");
}

static void
a_check_takes_name_and_tags_of_its_service(void **unused)
{
	struct str tag = STR("t");
	struct catalog_service s = bare_service();
	struct catalog_check c = {
		.info = { .id = STR("c"),
		    .name = STR("C"),
		    .status = STR("sunny"),
		    .service_id = STR("w1"),
		    .definition_json = STR("{\"TTL\":1}") },
		.node = &node,
		.service = &s,
		.create_index = 1,
		.modify_index = 2,
	};

	(void)unused;
	s.info.tags = &tag;
	s.info.tag_count = 1;
	begin();
	render_check(&w, &c);
	assert_str(buf_str(&out),
	    "{\"Node\":\"n1\",\"CheckID\":\"c\",\"Name\":\"C\",\"Status\":\"sunny\",\"Notes\":\"\","
	    "\"Output\":\"\",\"ServiceID\":\"w1\",\"ServiceName\":\"web\",\"ServiceTags\":[\"t\"],"
	    "\"Type\":\"\",\"Interval\":\"\",\"Timeout\":\"\",\"ExposedPort\":0,"
	    "\"Definition\":{\"TTL\":1},\"CreateIndex\":1,\"ModifyIndex\":2}");
}

static void
the_agent_shows_meta_as_an_object_and_the_port_always(void **unused)
{
	struct local_service s = {
		.info = { .id = STR("w1"), .name = STR("web"), .weight_passing = 5 },
	};

	(void)unused;
	begin();
	render_agent_service(&w, &s, STR("dc1"), STR("ab"));
	assert_str(buf_str(&out),
	    "{\"ID\":\"w1\",\"Service\":\"web\",\"Tags\":[],\"Meta\":{},\"Port\":0,\"Address\":"
	    "\"\","
	    "\"Weights\":{\"Passing\":5,\"Warning\":0},\"EnableTagOverride\":false,"
	    "\"ContentHash\":\"ab\",\"Datacenter\":\"dc1\"}");
}

static void
the_agents_checks_have_two_shapes(void **unused)
{
	struct local_service s = { .info = { .id = STR("w1"), .name = STR("web") } };
	struct local_check c = {
		.def = { .id = STR("service:w1"),
		    .name = STR("N"),
		    .service_id = STR("w1"),
		    .ttl = NSEC_SEC,
		    .interval = NSEC_SEC },
		.status = CHECK_WARNING,
		.output = STR("up"),
		.service = &s,
	};

	(void)unused;
	begin();
	render_agent_check(&w, &c, STR("n1"));
	assert_str(buf_str(&out),
	    "{\"Node\":\"n1\",\"CheckID\":\"service:w1\",\"Name\":\"N\",\"Status\":\"warning\","
	    "\"Notes\":\"\",\"Output\":\"up\",\"ServiceID\":\"w1\",\"ServiceName\":\"web\","
	    "\"ServiceTags\":[],\"Type\":\"ttl\",\"Interval\":\"1s\",\"Timeout\":\"0s\","
	    "\"ExposedPort\":0,\"Definition\":{},\"CreateIndex\":0,\"ModifyIndex\":0}");
	begin();
	render_agent_health_check(&w, &c, STR("n1"));
	assert_str(buf_str(&out),
	    "{\"Node\":\"n1\",\"CheckID\":\"service:w1\",\"Name\":\"N\",\"Status\":\"warning\","
	    "\"Notes\":\"\",\"Output\":\"up\",\"ServiceID\":\"w1\",\"ServiceName\":\"web\","
	    "\"ServiceTags\":null,\"Type\":\"\",\"Definition\":{\"Interval\":\"0s\",\"Timeout\":"
	    "\"0s\","
	    "\"DeregisterCriticalServiceAfter\":\"0s\",\"HTTP\":\"\",\"Header\":null,\"Method\":"
	    "\"\","
	    "\"Body\":\"\",\"TLSServerName\":\"\",\"TLSSkipVerify\":false,\"TCP\":\"\",\"GRPC\":"
	    "\"\","
	    "\"GRPCUseTLS\":false},\"CreateIndex\":0,\"ModifyIndex\":0}");
}

static int
setup(void **unused)
{
	(void)unused;
	buf_init(&out, 1 << 16);
	return 0;
}

static int
teardown(void **unused)
{
	(void)unused;
	buf_done(&out);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_node_has_nulls_and_a_full_one_maps),
		cmocka_unit_test(a_service_has_null_meta_here_and_empty_meta_there),
		cmocka_unit_test(a_service_shows_port_tags_meta_and_tagged_addresses),
		cmocka_unit_test(a_check_takes_name_and_tags_of_its_service),
		cmocka_unit_test(the_agent_shows_meta_as_an_object_and_the_port_always),
		cmocka_unit_test(the_agents_checks_have_two_shapes),
	};

	return cmocka_run_group_tests_name("render", tests, setup, teardown);
}
