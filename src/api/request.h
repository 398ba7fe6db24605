/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a request body means to the gateway
 *
 * Reads the few fields that routing needs and leaves the rest alone, as Go's decoder would read
 * them: names fold case, the last duplicate wins, null leaves a field as it is. Pure, no copying
 * but of an escaped model name. A struct api_request may point into itself: do not copy it.
 */

#include "api/model_name.h"
#include "api/route.h"

struct api_request {
    struct str model;     /* as the client spells it, decoded; empty when absent */
    struct str model_raw; /* the same as it stands in the body, between its quotes */
    struct model_key key; /* of model; len 0 when model is empty or no valid name */
    bool is_stream;       /* by "stream", else the route's default */
    bool is_load_only;    /* no prompt, no messages, no input: the request only loads or unloads */
    /*
     * Of the options for which a node loads a model anew: num_ctx, num_batch, num_gpu, main_gpu,
     * use_mmap, num_thread, shift. 0: none is given.
     */
    uint64_t options;
    struct str system;              /* JSON of "system" or "instructions", */
    struct str content;             /* and of prompt, messages or input; empty: not given */
    char model_text[MODEL_KEY_MAX]; /* private: backs an escaped model name */
};

enum {
    /*
     * The body cannot be routed: bad JSON, or "model" missing, not a string or not a name. A node
     * refuses it in its own words. ret_request is valid all the same, with key.len == 0.
     */
    API_REQUEST_UNROUTABLE = 1,
};

/* Return: 0; API_REQUEST_UNROUTABLE. @body must outlive *ret_request. */
MUST_USE int api_request_read(const struct api_route *route, struct str body,
                              struct api_request *ret_request);
