/* SPDX-License-Identifier: MIT */
#include "upstream/settings.h"

const struct setting upstream_rows[N_UPSTREAM_ROWS] = {
    {.key = "timeouts.connect", .type = SETTING_DURATION, .offset = offsetof(struct upstream_settings, connect_timeout_ns),
     .def = "3s", .min = 1e6, .max = 600e9, .text = "Time to open a connection to a node"},
    {.key = "connection_pool.idle_timeout", .type = SETTING_DURATION,
     .offset = offsetof(struct upstream_settings, idle_timeout_ns), .def = "60s", .min = 1e6, .max = 86400e9,
     .choices = setting_none, .text = "An idle connection to a node is closed after this"},
    {.key = "connection_pool.keepalive_interval", .type = SETTING_DURATION,
     .offset = offsetof(struct upstream_settings, keepalive_interval_ns), .def = "30s", .min = 1e9, .max = 7200e9,
     .choices = setting_none, .text = "TCP keep-alive on connections to nodes, also idle ones"},
    {.key = "connection_pool.max_idle", .type = SETTING_U64, .offset = offsetof(struct upstream_settings, max_idle),
     .def = "128", .min = 0, .max = 100000, .text = "Idle connections kept per node and worker"},
};
