/* SPDX-License-Identifier: MIT */

/*
 * Frames and what stands in them: extension blocks, errors, HELLO, the plain profile's messages.
 * What parses is packed, parses again, and is packed the same.
 */

#include "fuzz.h"
#include "mcp/error.h"
#include "mcp/ext.h"
#include "mcp/frame.h"
#include "mcp/hello.h"
#include "mcp/plain.h"

#define PAIRS_MAX 1024

/* Packs a parsed block once more; the caller frees. */
static struct str pack_ext(struct mcp_ext *ext)
{
    static struct mcp_metadata pairs[PAIRS_MAX];
    size_t at = 0;
    size_t n = 0;
    char *out;

    while (n < PAIRS_MAX && mcp_ext_next_metadata(ext, &at, &pairs[n])) {
        FUZZ_CHECK(pairs[n].key.len > 0);
        n++;
    }
    ext->metadata = pairs;
    ext->n_metadata = n;
    FUZZ_CHECK(mcp_ext_check(ext) == 0 && mcp_ext_len(ext) <= MCP_EXT_MAX);
    out = malloc(mcp_ext_len(ext));
    FUZZ_CHECK(out != NULL);
    mcp_ext_pack(out, ext, NULL);
    return str_make(out, mcp_ext_len(ext));
}

static void run_ext(struct str payload)
{
    struct mcp_ext ext;
    struct str body;
    struct str first;
    struct str second;

    if (mcp_ext_parse(payload, &ext, &body) != 0)
        return;
    FUZZ_CHECK(ext.method.len <= MCP_METHOD_MAX && ext.session.len <= MCP_SESSION_MAX);
    FUZZ_CHECK(str_ends(payload, body));
    (void)mcp_ext_metadata(&ext, STR("reason"));
    first = pack_ext(&ext);
    FUZZ_CHECK(mcp_ext_parse(first, &ext, &body) == 0 && body.len == 0);
    second = pack_ext(&ext);
    FUZZ_CHECK(str_eq(first, second));
    fuzz_free(first);
    fuzz_free(second);
}

static void run_error(struct str payload)
{
    char out[MCP_ERROR_LEN + MCP_ERROR_TEXT_MAX];
    struct mcp_error error;
    struct mcp_error again;

    if (mcp_error_parse(payload, &error) < 0)
        return;
    FUZZ_CHECK(mcp_error_len(&error) <= sizeof(out) && mcp_code_info(error.code)->name != NULL);
    mcp_error_pack(out, &error);
    FUZZ_CHECK(mcp_error_parse(str_make(out, mcp_error_len(&error)), &again) == 0);
    FUZZ_CHECK(again.code == error.code && again.flags == error.flags);
    FUZZ_CHECK(again.origin == error.origin && again.retry_after_ms == error.retry_after_ms);
    FUZZ_CHECK(str_starts(error.text, again.text));
}

static void run_hello(struct str payload, bool is_ack)
{
    static char out[2][MCP_HELLO_MAX];
    struct mcp_hello hello;
    struct mcp_hello again;
    size_t len;

    if (mcp_hello_parse(payload, is_ack, &hello) < 0)
        return;
    FUZZ_CHECK(hello.max_frame >= MCP_FRAME_MIN);
    FUZZ_CHECK(!is_ack || hello.conn_limit >= MCP_EARLY_BYTES);
    len = mcp_hello_len(&hello);
    FUZZ_CHECK(len <= MCP_HELLO_MAX);
    mcp_hello_pack(out[0], &hello);
    FUZZ_CHECK(mcp_hello_parse(str_make(out[0], len), is_ack, &again) == 0);
    FUZZ_CHECK(mcp_hello_len(&again) == len);
    mcp_hello_pack(out[1], &again);
    FUZZ_CHECK(memcmp(out[0], out[1], len) == 0);
}

static void run_plain_request(struct str payload)
{
    struct mcp_plain_request request;
    struct mcp_plain_request again;
    struct str packed;
    char *out;

    if (mcp_plain_parse_request(payload, &request) < 0)
        return;
    packed = str_make(NULL, mcp_plain_request_len(&request));
    packed.s = out = malloc(packed.len > 0 ? packed.len : 1);
    FUZZ_CHECK(out != NULL);
    mcp_plain_pack_request(out, &request);
    FUZZ_CHECK(mcp_plain_parse_request(packed, &again) == 0);
    FUZZ_CHECK(str_eq(request.service, again.service) && str_eq(request.body, again.body));
    free(out);
}

static void run_plain_response(struct str payload)
{
    struct mcp_plain_response response;
    struct mcp_plain_response again;
    struct str packed;
    char *out;

    if (mcp_plain_parse_response(payload, &response) < 0)
        return;
    packed = str_make(NULL, mcp_plain_response_len(&response));
    packed.s = out = malloc(packed.len > 0 ? packed.len : 1);
    FUZZ_CHECK(out != NULL);
    mcp_plain_pack_response(out, &response);
    FUZZ_CHECK(mcp_plain_parse_response(packed, &again) == 0);
    FUZZ_CHECK(response.status == again.status && str_eq(response.error, again.error));
    FUZZ_CHECK(str_eq(response.body, again.body));
    free(out);
}

static void run_payload(struct str bytes)
{
    struct str payload = fuzz_exact(bytes);

    run_ext(payload);
    run_error(payload);
    run_hello(payload, false);
    run_hello(payload, true);
    run_plain_request(payload);
    run_plain_response(payload);
    fuzz_free(payload);
}

static void run_frames(struct str in)
{
    struct mcp_frame frame;
    char head[MCP_HEADER_LEN];
    int r;

    while ((r = mcp_frame_next(&in, MCP_PAYLOAD_MAX, &frame)) == 0) {
        mcp_frame_pack_head(head, (unsigned)(frame.type | frame.flags), frame.seq,
                            frame.payload.len);
        FUZZ_CHECK(memcmp(head, frame.payload.s - MCP_HEADER_LEN, sizeof(head)) == 0);
        for (int role = MCP_CLIENT; role <= MCP_SERVER; role++)
            if (mcp_frame_check(&frame, (enum mcp_role)role) == 0)
                FUZZ_CHECK(frame.type >= MCP_TYPE_UNKNOWN || mcp_frame_rule(frame.type) != NULL);
        run_payload(frame.payload);
    }
    FUZZ_CHECK(r != MCP_FRAME_MORE || in.len < MCP_HEADER_LEN + MCP_PAYLOAD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct str exact = fuzz_exact(bytes);

    run_payload(bytes);
    run_frames(exact);
    fuzz_free(exact);
    return 0;
}
