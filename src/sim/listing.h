/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the node has and does: version, tags, ps, show, /v1/models, and the simulation's own state
 */

#include "sim/conn.h"

void sim_list_version(struct sim_conn *c);
void sim_list_tags(struct sim_conn *c);
void sim_list_ps(struct sim_conn *c);
void sim_list_show(struct sim_conn *c);
void sim_list_v1_models(struct sim_conn *c);
void sim_list_v1_model(struct sim_conn *c);
void sim_list_state(struct sim_conn *c);
