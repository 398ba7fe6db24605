/* SPDX-License-Identifier: MIT */
#include "mcp/credit.h"

#include <errno.h>

uint32_t mcp_tx_raise(struct mcp_tx *tx, uint32_t limit)
{
    int32_t gained = (int32_t)(limit - tx->limit);

    if (gained <= 0)
        return 0;
    tx->limit = limit;
    return (uint32_t)gained;
}

int mcp_rx_receive(struct mcp_rx *rx, uint32_t n)
{
    int32_t room = (int32_t)(rx->limit - rx->received);

    if (room < 0 || n > (uint32_t)room)
        return -EDQUOT;
    rx->received += n;
    return 0;
}

void mcp_rx_release(struct mcp_rx *rx, uint32_t n)
{
    uint32_t held = rx->received - rx->released;

    rx->released += n < held ? n : held;
}

static uint32_t target(const struct mcp_rx *rx, bool is_needed)
{
    return (is_needed ? rx->received : rx->released) + rx->window;
}

bool mcp_rx_is_due(const struct mcp_rx *rx, bool is_needed)
{
    return (int32_t)(target(rx, is_needed) - rx->limit) >= (int32_t)(rx->window / 2);
}

bool mcp_rx_update(struct mcp_rx *rx, bool is_needed, uint32_t *ret_limit)
{
    if (!mcp_rx_is_due(rx, is_needed))
        return false;
    rx->limit = target(rx, is_needed);
    *ret_limit = rx->limit;
    return true;
}
