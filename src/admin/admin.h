/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The admin listener: /livez, /readyz, /metrics, /admin/nodes
 *
 * Runs on the control loop. Reads what workers publish and changes nothing.
 */

#include "gateway/control.h"

extern const struct control_ops admin_ops;
