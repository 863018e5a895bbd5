/* agent/http/api_handlers.h -- every handler of the API, for the table of routes.
 *
 * Each belongs to the file of its name: api_acl.c, api_catalog.c, api_health.c, api_coordinate.c,
 * api_agent.c, api_agent_host.c, api_agent_service.c, api_agent_check.c, api_agent_pool.c,
 * api_event.c, api_keyring.c, api_kv.c, api_query.c, api_session.c, api_status.c, api_txn.c.
 */
#ifndef AGENT_HTTP_API_HANDLERS_H
#define AGENT_HTTP_API_HANDLERS_H

#include "agent/http/api.h"

http_handler api_root, api_status_leader, api_status_peers;

http_handler api_catalog_datacenters, api_catalog_nodes, api_catalog_services, api_catalog_service,
    api_catalog_node, api_catalog_node_services, api_catalog_register, api_catalog_deregister;

http_handler api_health_node, api_health_checks, api_health_service, api_health_state;

http_handler api_coordinate_nodes, api_coordinate_node, api_coordinate_datacenters,
    api_coordinate_update;

http_handler api_agent_self, api_agent_maintenance, api_agent_health_id, api_agent_health_name;

http_handler api_agent_host, api_agent_metrics, api_agent_monitor, api_agent_reload,
    api_agent_version;

http_handler api_agent_members, api_agent_join, api_agent_leave, api_agent_force_leave;

http_handler api_agent_services, api_agent_service, api_agent_service_register,
    api_agent_service_deregister, api_agent_service_maintenance;

http_handler api_agent_checks, api_agent_check_register, api_agent_check_deregister,
    api_agent_check_pass, api_agent_check_warn, api_agent_check_fail, api_agent_check_update;

http_handler api_event_fire, api_event_list;

http_handler api_kv_get, api_kv_put, api_kv_delete;

http_handler api_session_create, api_session_destroy, api_session_info, api_session_node,
    api_session_list, api_session_renew;

http_handler api_txn;

http_handler api_keyring_list, api_keyring_install, api_keyring_use, api_keyring_remove;

http_handler api_raft_configuration, api_raft_peer_delete, api_autopilot_get, api_autopilot_put,
    api_autopilot_health, api_autopilot_state;

http_handler api_snapshot_get, api_snapshot_put;

http_handler api_query_create, api_query_list, api_query_get, api_query_update, api_query_delete;

http_handler api_acl, api_acl_disabled;

#endif
