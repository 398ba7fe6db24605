/* SPDX-License-Identifier: MIT */

/*
 * What a request body means: for every route, and against jansson where there is one "model" only.
 */

#include <jansson.h>

#include "api/request.h"
#include "fuzz.h"

static void check_key(const struct api_request *request)
{
    struct model_key again;

    FUZZ_CHECK(request->model.len > 0 && request->key.len < MODEL_KEY_MAX);
    FUZZ_CHECK(model_key_parse(request->model, &again) == 0);
    FUZZ_CHECK(str_eq(model_key_str(&again), model_key_str(&request->key)));
}

/* The value of the only member that folds to @name; NULL when there is none, or there are more. */
static const json_t *only_member(json_t *body, struct str name)
{
    const json_t *found = NULL;
    const char *key;
    json_t *value;
    unsigned n = 0;

    json_object_foreach(body, key, value)
    {
        if (!str_eq_nocase(str_of(key), name))
            continue;
        found = value;
        n++;
    }
    return n == 1 ? found : NULL;
}

static void check_jansson(struct str bytes, int r, const struct api_request *request)
{
    json_t *body = json_loadb(
        bytes.s, bytes.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *model = only_member(body, STR("model"));
    const json_t *stream = only_member(body, STR("stream"));
    struct model_key key;

    if (stream != NULL && !json_is_boolean(stream) && !json_is_null(stream))
        FUZZ_CHECK(r == API_REQUEST_UNROUTABLE);
    if (r == 0 && json_is_boolean(stream))
        FUZZ_CHECK(request->is_stream == json_is_true(stream));
    if (json_is_string(model)) {
        struct str text = str_make(json_string_value(model), json_string_length(model));

        if (r == 0)
            FUZZ_CHECK(str_eq(request->model, text));
        else if (json_is_boolean(stream) && json_object_size(body) == 2)
            FUZZ_CHECK(model_key_parse(text, &key) < 0);
    }
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make((const char *)data, size);
    struct api_request request;

    for (int id = 0; id < N_ROUTES; id++) {
        int r = api_request_read(api_route_get((enum api_route_id)id), bytes, &request);

        FUZZ_CHECK(r == 0 || r == API_REQUEST_UNROUTABLE);
        FUZZ_CHECK((r == 0) == (request.key.len > 0));
        if (r == 0)
            check_key(&request);
        if (id == ROUTE_CHAT)
            check_jansson(bytes, r, &request);
    }
    return 0;
}
