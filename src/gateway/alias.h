/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Aliases
 *
 * A request for an alias (`models.aliases`) becomes one for the model that it stands for, before
 * anything is decided about it: nodes, resume and metrics know only that model, and the answer
 * names it. The access line has what was asked. Managing models takes no aliases.
 */

#include "gateway/exchange.h"

/* Of ex->asked, which has been read. Return: 0 it is no alias, or is resolved; -ENOMEM. */
MUST_USE int alias_resolve(struct exchange *ex);
