/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The admin listener: /livez, /readyz, /metrics, /admin/nodes, /admin/config
 *
 * Runs on the control loop. Reads what workers publish; POST /admin/config gives the gateway a new
 * configuration.
 */

#include "gateway/control.h"

extern const struct control_ops admin_ops;
