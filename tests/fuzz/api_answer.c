/* SPDX-License-Identifier: MIT */

/*
 * The judge of an answer: an end is for ever, a record says the same whatever came before it, and
 * the tail of a whole answer says the same however its bytes were cut.
 */

#include "api/answer.h"
#include "fuzz.h"
#include "http/records.h"

/* What the record before left behind only makes it faster. */
static void compare_in_full(const struct api_answer *answer, struct api_answer *in_full,
                            bool is_sse, struct str record)
{
    api_shape_drop(&in_full->shape);
    api_answer_record(in_full, is_sse, record);
    FUZZ_CHECK(in_full->state == answer->state);
    FUZZ_CHECK(in_full->n_repeats == answer->n_repeats && in_full->last_text == answer->last_text);
    FUZZ_CHECK(memcmp(&in_full->usage, &answer->usage, sizeof(answer->usage)) == 0);
    FUZZ_CHECK(str_eq(in_full->piece.content.raw, answer->piece.content.raw) &&
               str_eq(in_full->piece.thinking.raw, answer->piece.thinking.raw) &&
               in_full->piece.has_more == answer->piece.has_more);
}

static void judge_stream(struct str bytes, const struct api_route *route, bool is_sse)
{
    enum api_answer_state before = API_ANSWER_OPEN;
    struct records splitter;
    struct api_answer answer;
    struct api_answer in_full;
    struct str record;
    uint64_t n = 0;

    api_answer_init(&answer, route);
    records_init(&splitter, is_sse ? RECORDS_SSE : RECORDS_NDJSON, 1u << 20);
    while (records_next(&splitter, &bytes, &record) == 0) {
        struct str exact = fuzz_exact(record);

        in_full = answer;
        api_answer_record(&answer, is_sse, exact);
        compare_in_full(&answer, &in_full, is_sse, exact);
        fuzz_free(exact);
        FUZZ_CHECK(before == API_ANSWER_OPEN || answer.state == before);
        FUZZ_CHECK(answer.n_records == ++n && answer.n_repeats <= n + 1);
        before = answer.state;
    }
    FUZZ_CHECK((api_answer_end_stream(&answer) == API_VERDICT_COMPLETE) ==
               (before == API_ANSWER_COMPLETE));
    FUZZ_CHECK((api_answer_end_stream(&answer) == API_VERDICT_ERROR) ==
               (before == API_ANSWER_ERROR));
    records_fini(&splitter);
}

static struct api_usage judge_bytes(struct str bytes, const struct api_route *route,
                                    enum fuzz_cut cut)
{
    struct fuzz_pieces pieces = fuzz_cut(bytes, cut);
    struct api_answer answer;
    struct str piece;

    api_answer_init(&answer, route);
    while (fuzz_next(&pieces, &piece))
        api_answer_bytes(&answer, piece);
    api_answer_end_bytes(&answer);
    FUZZ_CHECK(answer.state == API_ANSWER_COMPLETE);
    return answer.usage;
}

static void compare_bytes(struct str bytes, const struct api_route *route)
{
    struct api_usage whole = judge_bytes(bytes, route, FUZZ_WHOLE);

    for (int cut = FUZZ_WHOLE + 1; cut < N_FUZZ_CUTS; cut++) {
        struct api_usage other = judge_bytes(bytes, route, (enum fuzz_cut)cut);

        FUZZ_CHECK(memcmp(&whole, &other, sizeof(whole)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        enum api_route_id route;
        bool is_sse;
    } rows[] = {
        {ROUTE_GENERATE, false},      {ROUTE_CHAT, false},        {ROUTE_V1_CHAT, true},
        {ROUTE_V1_COMPLETIONS, true}, {ROUTE_V1_RESPONSES, true}, {ROUTE_V1_MESSAGES, true},
    };
    struct str bytes = str_make((const char *)data, size);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        judge_stream(bytes, api_route_get(rows[i].route), rows[i].is_sse);
        compare_bytes(bytes, api_route_get(rows[i].route));
    }
    return 0;
}
