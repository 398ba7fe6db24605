/* SPDX-License-Identifier: MIT */
#include "mcp/error.h"

#include <errno.h>

#include "mcp/wire.h"

/*
 * UNIMPLEMENTED is 404 there: the plain profile has no codecs or tags that could be unknown, only
 * services.
 */
static const struct mcp_code_info codes[] = {
    [MCP_OK] = {"OK", MCP_CLASS_OK, 200},
    [MCP_CANCELLED] = {"CANCELLED", MCP_CLASS_ENDED, 499},
    [MCP_UNKNOWN] = {"UNKNOWN", MCP_CLASS_SERVER, 500},
    [MCP_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", MCP_CLASS_CALLER, 400},
    [MCP_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", MCP_CLASS_ENDED, 504},
    [MCP_NOT_FOUND] = {"NOT_FOUND", MCP_CLASS_CALLER, 404},
    [MCP_ALREADY_EXISTS] = {"ALREADY_EXISTS", MCP_CLASS_CALLER, 409},
    [MCP_PERMISSION_DENIED] = {"PERMISSION_DENIED", MCP_CLASS_CALLER, 403},
    [MCP_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", MCP_CLASS_TRANSIENT, 429},
    [MCP_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", MCP_CLASS_CALLER, 400},
    [MCP_ABORTED] = {"ABORTED", MCP_CLASS_TRANSIENT, 409},
    [MCP_OUT_OF_RANGE] = {"OUT_OF_RANGE", MCP_CLASS_CALLER, 400},
    [MCP_UNIMPLEMENTED] = {"UNIMPLEMENTED", MCP_CLASS_CALLER, 404},
    [MCP_INTERNAL] = {"INTERNAL", MCP_CLASS_SERVER, 500},
    [MCP_UNAVAILABLE] = {"UNAVAILABLE", MCP_CLASS_TRANSIENT, 503},
    [MCP_DATA_LOSS] = {"DATA_LOSS", MCP_CLASS_SERVER, 500},
    [MCP_UNAUTHENTICATED] = {"UNAUTHENTICATED", MCP_CLASS_CALLER, 401},
    [MCP_TOO_LARGE] = {"TOO_LARGE", MCP_CLASS_CALLER, 413},
    [MCP_OVERLOADED] = {"OVERLOADED", MCP_CLASS_TRANSIENT, 503},
    [MCP_CONTENT_FILTERED] = {"CONTENT_FILTERED", MCP_CLASS_CALLER, 400},
    [MCP_CONTEXT_LENGTH] = {"CONTEXT_LENGTH", MCP_CLASS_CALLER, 400},
    [MCP_BACKEND_LOST] = {"BACKEND_LOST", MCP_CLASS_TRANSIENT, 502},
    [MCP_PROTOCOL] = {"PROTOCOL", MCP_CLASS_PROTOCOL, 400},
    [MCP_FLOW_CONTROL] = {"FLOW_CONTROL", MCP_CLASS_PROTOCOL, 400},
};

const struct mcp_code_info *mcp_code_info(unsigned code)
{
    if (code >= sizeof(codes) / sizeof(codes[0]) || codes[code].name == NULL)
        return &codes[MCP_UNKNOWN];
    return &codes[code];
}

unsigned mcp_code_of_status(int status)
{
    static const struct {
        int status;
        unsigned code;
    } rows[] = {
        {401, MCP_UNAUTHENTICATED},    {403, MCP_PERMISSION_DENIED}, {404, MCP_NOT_FOUND},
        {405, MCP_UNIMPLEMENTED},      {408, MCP_DEADLINE_EXCEEDED}, {409, MCP_ABORTED},
        {413, MCP_TOO_LARGE},          {415, MCP_UNIMPLEMENTED},     {426, MCP_FAILED_PRECONDITION},
        {429, MCP_RESOURCE_EXHAUSTED}, {499, MCP_CANCELLED},         {501, MCP_UNIMPLEMENTED},
        {502, MCP_UNAVAILABLE},        {503, MCP_OVERLOADED},        {504, MCP_DEADLINE_EXCEEDED},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i].code;
    if (status >= 500)
        return MCP_INTERNAL;
    return status >= 400 ? MCP_INVALID_ARGUMENT : MCP_UNKNOWN;
}

static struct str cut_text(struct str text)
{
    size_t len = text.len < MCP_ERROR_TEXT_MAX ? text.len : MCP_ERROR_TEXT_MAX;

    /* Not inside a character: its continuation bytes are 10xxxxxx. */
    while (len > 0 && len < text.len && ((unsigned char)text.s[len] & 0xC0) == 0x80)
        len--;
    return str_head(text, len);
}

/* An ERROR that says OK would be taken for success by whoever maps its code. */
static uint16_t no_ok(uint16_t code)
{
    return code != MCP_OK ? code : MCP_UNKNOWN;
}

size_t mcp_error_len(const struct mcp_error *error)
{
    return MCP_ERROR_LEN + cut_text(error->text).len;
}

void mcp_error_pack(char *out, const struct mcp_error *error)
{
    struct str text = cut_text(error->text);

    wire_put_u16(out, no_ok(error->code));
    out[2] = (char)error->flags;
    out[3] = (char)error->origin;
    wire_put_u32(out + 4, error->retry_after_ms);
    wire_put_u16(out + 8, (uint16_t)text.len);
    (void)wire_put(out + MCP_ERROR_LEN, text);
}

int mcp_error_parse(struct str payload, struct mcp_error *ret_error)
{
    if (payload.len < MCP_ERROR_LEN || payload.len - MCP_ERROR_LEN != wire_get_u16(payload.s + 8))
        return -EPROTO;
    *ret_error = (struct mcp_error){
        .code = no_ok(wire_get_u16(payload.s)),
        .flags = wire_get_u8(payload.s + 2),
        .origin = wire_get_u8(payload.s + 3),
        .retry_after_ms = wire_get_u32(payload.s + 4),
        .text = str_from(payload, MCP_ERROR_LEN),
    };
    return 0;
}
