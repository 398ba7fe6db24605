/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The judge of an answer
 *
 * Watches the records of a streamed answer, or the bytes of a whole one, and knows whether the node
 * said that it is complete, and what it counted. An answer is complete only when it says so:
 * done:true (NDJSON), [DONE] (OpenAI), message_stop (Anthropic), response.completed /
 * response.incomplete (Responses). An error record, "error" on the top level of an object, event
 * error or response.failed, ends it as honestly. What stands deeper, in a text or in tool
 * arguments, means nothing. Pure; never allocates.
 */

#include "api/route.h"
#include "api/shape.h"
#include "base/buf.h"

enum api_answer_state {
    API_ANSWER_OPEN,     /* more must come */
    API_ANSWER_COMPLETE, /* the node said so */
    API_ANSWER_ERROR,    /* the node sent an error record: an honest end */
};

struct api_usage {
    /* prompt_eval_count, usage.prompt_tokens, usage.input_tokens; 0 when not told */
    uint64_t tokens_in;
    uint64_t tokens_out;
    uint64_t total_ns; /* durations of the final object, 0 when not told */
    uint64_t load_ns;
    uint64_t prompt_ns;
    uint64_t eval_ns;
};

/* A text of a record: the inside of a JSON string, a slice of the record. */
struct api_text {
    struct str raw;
    bool has_escape;
};

/* Appends it decoded. Return: 0, -ENOBUFS, -ENOMEM. */
MUST_USE int api_text_decode(const struct api_text *text, struct buf *out);

/* What a record gives its reader to read. */
struct api_piece {
    struct api_text content;
    struct api_text thinking;
    bool has_more; /* tool calls or log probabilities, which are no text */
};

struct api_answer {
    const struct api_route *route;
    enum api_answer_state state;
    struct api_piece piece; /* of the record read last, valid as long as that one */
    struct api_usage usage;
    uint64_t n_records;
    /*
     * records in a row with the same trimmed text, as if an empty one stood in front of the first
     */
    uint32_t n_repeats;
    uint64_t last_text; /* hash of that text, private */
    size_t tail_len;    /* private: the last bytes of an answer that is not streamed */
    union {
        char tail[512];
        struct api_shape shape; /* private: of a streamed one, the record that was read last */
    };
};

void api_answer_init(struct api_answer *a, const struct api_route *route);

/* One whole NDJSON line or SSE event. A record that says it is the last also fills the usage. */
void api_answer_record(struct api_answer *a, bool is_sse, struct str record);

/* Bytes of an answer that is not streamed; keeps its tail, where the counters stand. */
void api_answer_bytes(struct api_answer *a, struct str bytes);

enum api_verdict {
    API_VERDICT_COMPLETE,
    API_VERDICT_ERROR, /* ended by an error record of the node */
    /* Ollama's repetition guard: > 30 equal texts, then a clean end. Passed on as it is */
    API_VERDICT_REPETITION,
    API_VERDICT_INCOMPLETE, /* cut off */
};

/* The stream ended cleanly (its framing was whole). */
enum api_verdict api_answer_end_stream(const struct api_answer *a);

/*
 * The whole answer has arrived (its framing was whole): API_ANSWER_COMPLETE, and the counters that
 * its last 512 bytes hold.
 */
void api_answer_end_bytes(struct api_answer *a);
