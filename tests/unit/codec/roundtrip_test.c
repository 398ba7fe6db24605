/* SPDX-License-Identifier: MIT */
#include "kit.h"

#include "codec/form.h"

#define REQUEST(id, json) \
    { \
        CODEC_##id, CODEC_REQUEST, json \
    }
#define RECORD(id, json) \
    { \
        CODEC_##id, CODEC_RECORD, json \
    }

/* What Ollama 0.11.4, its clients and the simulated node say. */
static const struct {
    enum codec_service_id id;
    enum codec_part part;
    const char *json;
} bodies[] = {
    REQUEST(GENERATE, "{\"model\":\"llama3.2\",\"prompt\":\"Why is the sky blue?\"}"),
    REQUEST(GENERATE,
            "{\"model\":\"m\",\"prompt\":\"\",\"suffix\":\"\",\"system\":\"\",\"template\":\"\","
            "\"context\":null,\"options\":null,\"stream\":null,\"images\":null}"),
    REQUEST(GENERATE,
            "{\"model\":\"m\",\"prompt\":\"a\\n\\u00e9\\ud83d\\ude00\\/"
            "\",\"stream\":false,\"raw\":true,"
            "\"format\":\"json\",\"keep_alive\":\"5m\",\"think\":true,\"context\":[1,2,-3],"
            "\"options\":{\"num_ctx\":4096,\"temperature\":0.7,\"seed\":-1,\"stop\":[\"a\",\"b\"],"
            "\"mirostat\":2,\"top_p\":1,\"use_mmap\":false}}"),
    REQUEST(
        GENERATE,
        "{\"model\":\"m\",\"keep_alive\":-1,\"think\":\"high\",\"images\":[\"aGVsbG8=\",\"\"],"
        "\"format\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]}}},"
        "\"_debug_render_only\":true,\"logprobs\":true,\"top_logprobs\":20}"),
    REQUEST(CHAT, "{\"model\":\"m\",\"messages\":[]}"),
    REQUEST(
        CHAT,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"},{\"role\":\"user\","
        "\"content\":\"look\",\"images\":[\"/"
        "+8=\"]},{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\","
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"z\":1,\"a\":[1.50,2e3]}}}]}"
        ","
        "{\"role\":\"tool\",\"content\":\"4\",\"tool_name\":\"f\",\"tool_call_id\":\"call_1\"}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],"
        "\"stream\":true,\"think\":false,\"truncate\":true,\"shift\":false,\"keep_alive\":300}"),
    REQUEST(EMBED, "{\"model\":\"e\",\"input\":\"one\"}"),
    REQUEST(EMBED, "{\"model\":\"e\",\"input\":\"\"}"),
    REQUEST(EMBED, "{\"model\":\"e\",\"input\":[\"one\"]}"),
    REQUEST(EMBED, "{\"model\":\"e\",\"input\":[]}"),
    REQUEST(EMBED, "{\"model\":\"e\",\"input\":[1,2]}"),
    REQUEST(
        EMBED,
        "{\"model\":\"e\",\"input\":[\"one\",\"two\",\"\"],\"truncate\":false,\"dimensions\":64,"
        "\"keep_alive\":\"1h\",\"options\":{\"num_thread\":1}}"),
    REQUEST(SHOW,
            "{\"name\":\"m\",\"model\":\"m\",\"verbose\":true,\"system\":\"\",\"options\":{}}"),
    REQUEST(TAGS, "{}"),
    REQUEST(PS, "{}"),
    REQUEST(VERSION, "{}"),
    REQUEST(HEALTH, "{}"),
    RECORD(GENERATE, "{\"model\":\"m\",\"created_at\":\"2025-11-24T10:00:00.123456789Z\","
                     "\"response\":\" the\",\"done\":false}"),
    RECORD(GENERATE,
           "{\"model\":\"m\",\"created_at\":\"2025-11-24T10:00:00.1Z\",\"response\":\"\",\"done\":"
           "true,"
           "\"done_reason\":\"stop\",\"context\":[1,2,3],\"total_duration\":4935886791,\"load_"
           "duration\":534986708,"
           "\"prompt_eval_count\":26,\"prompt_eval_duration\":107345000,\"eval_count\":237,"
           "\"eval_duration\":4289432000}"),
    RECORD(GENERATE, "{\"model\":\"m\",\"response\":\"\",\"done\":false,\"_debug_info\":{"
                     "\"rendered_template\":\"x\"}}"),
    RECORD(GENERATE, "{\"error\":\"an error was encountered while running the model\"}"),
    RECORD(CHAT, "{\"model\":\"m\",\"created_at\":\"2025-11-24T10:00:00Z\",\"message\":{\"role\":"
                 "\"assistant\","
                 "\"content\":\"Hi\",\"thinking\":\"\"},\"done\":false,\"logprobs\":[{\"token\":"
                 "\"Hi\",\"logprob\":-0.25}]}"),
    RECORD(CHAT, "{\"model\":\"m\",\"created_at\":\"2025-11-24T10:00:00Z\",\"message\":{\"role\":"
                 "\"assistant\","
                 "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{"
                 "\"city\":\"Lima\"}}}]},"
                 "\"done_reason\":\"stop\",\"done\":true,\"total_duration\":1,\"load_duration\":2,"
                 "\"prompt_eval_count\":3,"
                 "\"prompt_eval_duration\":4,\"eval_count\":5,\"eval_duration\":6}"),
    RECORD(EMBED,
           "{\"model\":\"e\",\"embeddings\":[[0.0979296491,-0.315210938,1,0,-1e-07],[],[0.5]],"
           "\"total_duration\":14143917,\"load_duration\":1019500,\"prompt_eval_count\":8}"),
    RECORD(EMBED, "{\"model\":\"e\",\"embeddings\":[]}"),
    RECORD(TAGS, "{\"models\":[{\"name\":\"sim:latest\",\"model\":\"sim:latest\",\"modified_at\":"
                 "\"2026-01-01T00:00:00Z\","
                 "\"size\":241753650,\"digest\":\"d386\",\"details\":{\"parent_model\":\"\","
                 "\"format\":\"gguf\","
                 "\"family\":\"llama\",\"families\":[\"llama\"],\"parameter_size\":\"1B\","
                 "\"quantization_level\":\"Q4_K_M\"}},{\"name\":\"b\",\"details\":{\"families\":"
                 "null},\"capabilities\":[]}]}"),
    RECORD(TAGS, "{\"models\":[]}"),
    RECORD(TAGS, "{\"models\":null}"),
    RECORD(PS,
           "{\"models\":[{\"name\":\"m\",\"model\":\"m\",\"size\":1,\"digest\":\"d\",\"details\":{"
           "\"format\":\"{}\"},"
           "\"expires_at\":\"2318-01-01T00:00:00Z\",\"size_vram\":0,\"context_length\":4096}]}"),
    RECORD(
        SHOW,
        "{\"license\":\"MIT\",\"modelfile\":\"# x\\nFROM y\\n\",\"parameters\":\"stop  \\\"a\\\"\","
        "\"template\":\"{{ .Prompt "
        "}}\",\"details\":{\"family\":\"llama\"},\"messages\":[{\"role\":\"user\","
        "\"content\":\"x\"}],\"model_info\":{\"general.architecture\":\"llama\",\"a.b\":1e-05,"
        "\"tokens\":null},\"tensors\":[{\"name\":\"t\",\"shape\":[1,2]}],\"capabilities\":["
        "\"completion\"],"
        "\"modified_at\":\"2026-01-01T00:00:00Z\"}"),
    RECORD(VERSION, "{\"version\":\"0.11.4\"}"),
    RECORD(HEALTH, "{\"status\":\"ok\",\"nodes_up\":0,\"nodes\":3}"),
};

static void what_ollama_says_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(bodies); i++) {
        struct buf bytes = BUF_INIT(1 << 16);
        struct buf json = BUF_INIT(1 << 16);
        struct buf again = BUF_INIT(1 << 16);

        assert_int_equal(
            convert(bodies[i].id, bodies[i].part, false, str_of(bodies[i].json), &bytes), 0);
        assert_int_equal(convert(bodies[i].id, bodies[i].part, true, buf_str(&bytes), &json), 0);
        if (!same_json(str_of(bodies[i].json), buf_str(&json)))
            fail_msg("%s\ncame back as\n" STR_FMT, bodies[i].json, STR_ARG(buf_str(&json)));
        assert_int_equal(convert(bodies[i].id, bodies[i].part, false, buf_str(&json), &again), 0);
        assert_true(str_eq(buf_str(&bytes), buf_str(&again)));
        buf_fini(&bytes);
        buf_fini(&json);
        buf_fini(&again);
    }
}

/* ---- what stays as it is ------------------------------------------------------------------- */

#define TYPED(name, value) "{\"" name "\":" value "}", false
#define EXTRA(name, value) "{\"" name "\":" value "}", true

static const struct {
    const char *json; /* comes back letter by letter */
    bool is_extra;    /* nothing but extra_json holds it */
} members[] = {
    {TYPED("model", "\"\"")},
    {TYPED("model", "\"a\\u0000b\"")},
    {EXTRA("model", "null")},
    {EXTRA("model", "7")},
    {EXTRA("model", "[\"a\"]")},
    {EXTRA("MODEL", "\"a\"")},
    {EXTRA("model", "\"a\",\"model\":\"b\"")},
    {EXTRA("model", "\"a\",\"Model\":\"b\"")},
    {EXTRA("unknown", "{\"a\" : [1, 2]}")},
    {EXTRA("extra_json", "\"{}\"")},
    {EXTRA("", "0")},
    {TYPED("stream", "false")},
    {EXTRA("stream", "\"false\"")},
    {EXTRA("stream", "0")},
    {EXTRA("stream", "null")},
    {TYPED("top_logprobs", "9223372036854775807")},
    {TYPED("top_logprobs", "-9223372036854775808")},
    {EXTRA("top_logprobs", "9223372036854775808")},
    {EXTRA("top_logprobs", "1.0")},
    {EXTRA("top_logprobs", "1e3")},
    {EXTRA("top_logprobs", "-0")},
    {EXTRA("top_logprobs",
           "123456789012345678901234567890123456789012345678901234567890123456789")},
    {TYPED("keep_alive", "\"5m\"")},
    {TYPED("keep_alive", "-1")},
    {TYPED("keep_alive", "1.5e400")},
    {TYPED("keep_alive", "\"- 1\"")},
    {TYPED("keep_alive", "\"{}\"")},
    {EXTRA("keep_alive", "\"300\"")},
    {EXTRA("keep_alive", "true")},
    {TYPED("think", "true")},
    {TYPED("think", "\"max\"")},
    {TYPED("think", "\"1\"")},
    {EXTRA("think", "\"true\"")},
    {EXTRA("think", "1")},
    {TYPED("format", "\"json\"")},
    {TYPED("format", "\"\"")},
    {TYPED("format", "{ \"type\":\"object\"}")},
    {TYPED("format", "\"{oops\"")},
    {TYPED("format", "\"{} {}\"")},
    {EXTRA("format", "\"{}\"")},
    {EXTRA("format", "null")},
    {EXTRA("format", "[]")},
    {TYPED("images", "[\"AA==\",\"AAA=\",\"AAAA\"]")},
    {EXTRA("images", "[]")},
    {EXTRA("images", "[\"AA\"]")},
    {EXTRA("images", "[\"AB==\"]")},
    {EXTRA("images", "[\"AAAA\",\"A A=\"]")},
    {EXTRA("images", "[\"AAAA\",null]")},
    {EXTRA("images", "\"AAAA\"")},
    {EXTRA("options", "[]")},
    {TYPED("options", "{}")},
    {TYPED("options", "{\"temperature\":0.1}")},
    {TYPED("options", "{\"temperature\":1e+300}")},
    {TYPED("options", "{\"temperature\":-0.0}")},
    {TYPED("options", "{\"temperature\":1e999,\"Seed\":1,\"stop\":\"x\",\"num_ctx\":null}")},
    {TYPED("options", "{\"temperature\":12345678901234567890}")},
    {TYPED("options", "{\"x\":1,\"x\":2}")},
    {TYPED("context", "[0,1,-1]")},
    {EXTRA("context", "[0,1.5]")},
    {EXTRA("context", "[[0]]")},
};

static void a_member_that_its_field_cannot_hold_exactly_is_kept_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(members); i++) {
        struct buf bytes = BUF_INIT(1 << 12);
        struct buf json = BUF_INIT(1 << 12);

        assert_int_equal(
            convert(CODEC_GENERATE, CODEC_REQUEST, false, str_of(members[i].json), &bytes), 0);
        assert_int_equal(convert(CODEC_GENERATE, CODEC_REQUEST, true, buf_str(&bytes), &json), 0);
        if (!str_eq(str_of(members[i].json), buf_str(&json)))
            fail_msg("%s\ncame back as\n" STR_FMT, members[i].json, STR_ARG(buf_str(&json)));
        assert_true(bytes.len > 0);
        if ((bytes.data[0] == (PROTO_EXTRA_ID << 3 | 2)) != members[i].is_extra)
            fail_msg("%s", members[i].json);
        buf_fini(&bytes);
        buf_fini(&json);
    }
}

static void space_and_what_follows_the_value_do_not_matter(void **state)
{
    struct buf bytes = BUF_INIT(1 << 12);
    struct buf json = BUF_INIT(1 << 12);

    (void)state;
    assert_int_equal(convert(CODEC_VERSION, CODEC_RECORD, false,
                             STR(" {\n\t\"version\" : \"1\" , \"x\" : 1 }\n{garbage"), &bytes),
                     0);
    assert_int_equal(convert(CODEC_VERSION, CODEC_RECORD, true, buf_str(&bytes), &json), 0);
    assert_true(str_eq(buf_str(&json), STR("{\"version\":\"1\",\"x\":1}")));
    buf_fini(&bytes);
    buf_fini(&json);
}

static void an_escaped_key_comes_back_plain(void **state)
{
    struct buf bytes = BUF_INIT(1 << 12);
    struct buf json = BUF_INIT(1 << 12);
    struct str in =
        STR("{\"mod\\u0065l\":\"m\",\"a\\/\\ud83d\\ude00\":1,\"options\":{\"num\\u005fctx\":1}}");

    (void)state;
    assert_int_equal(convert(CODEC_GENERATE, CODEC_REQUEST, false, in, &bytes), 0);
    assert_int_equal(convert(CODEC_GENERATE, CODEC_REQUEST, true, buf_str(&bytes), &json), 0);
    assert_true(same_json(in, buf_str(&json)));
    assert_true(str_search(buf_str(&json), STR("\\")) == json.len);
    buf_fini(&bytes);
    buf_fini(&json);
}

/* ---- fields -------------------------------------------------------------------------------- */

/* A JSON value that a field holds. */
static void put_sample(struct buf *out, const ProtobufCMessageDescriptor *desc,
                       const ProtobufCFieldDescriptor *field)
{
    static const char *const samples[] = {
        [PROTOBUF_C_TYPE_INT64] = "-42",  [PROTOBUF_C_TYPE_UINT32] = "4294967295",
        [PROTOBUF_C_TYPE_DOUBLE] = "0.3", [PROTOBUF_C_TYPE_FLOAT] = "0.25",
        [PROTOBUF_C_TYPE_BOOL] = "true",  [PROTOBUF_C_TYPE_BYTES] = "\"AAAA\"",
    };
    const ProtobufCMessageDescriptor *inner = field->descriptor;
    bool is_many =
        field->label == PROTOBUF_C_LABEL_REPEATED && !form_of(desc, field).form->is_one_text;

    if (is_many)
        assert_int_equal(buf_put_char(out, '['), 0);
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        assert_int_equal(buf_put(out, str_of(samples[field->type])), 0);
    } else if (form_is_list(inner)) {
        put_sample(out, inner, &inner->fields[0]);
    } else {
        assert_int_equal(buf_put_char(out, '{'), 0);
        for (unsigned i = 0; i < inner->n_fields; i++) {
            if (proto_is_extra(&inner->fields[i]))
                continue;
            assert_int_equal(buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", inner->fields[i].name),
                             0);
            put_sample(out, inner, &inner->fields[i]);
        }
        assert_int_equal(buf_put_char(out, '}'), 0);
    }
    if (is_many)
        assert_int_equal(buf_put_char(out, ']'), 0);
}

static void check_field(const struct codec_message *message, const ProtobufCFieldDescriptor *field)
{
    struct buf json = BUF_INIT(1 << 12);
    struct buf bytes = BUF_INIT(1 << 12);
    struct buf back = BUF_INIT(1 << 12);
    uint32_t tag = 0;

    assert_int_equal(buf_printf(&json, "{\"%s\":", field->name), 0);
    put_sample(&json, proto_descriptor(message), field);
    assert_int_equal(buf_put_char(&json, '}'), 0);
    assert_int_equal(convert(message->service->id, message->part, false, buf_str(&json), &bytes),
                     0);
    assert_true(bytes.len >= 2);
    tag = (uint8_t)bytes.data[0];
    if ((tag & 0x80) != 0)
        tag = (tag & 0x7f) | (uint32_t)(uint8_t)bytes.data[1] << 7;
    assert_int_equal(tag >> 3, field->id);
    assert_int_equal(convert(message->service->id, message->part, true, buf_str(&bytes), &back), 0);
    assert_true(str_eq(buf_str(&json), buf_str(&back)));
    buf_fini(&json);
    buf_fini(&bytes);
    buf_fini(&back);
}

static void every_field_of_every_message_holds_its_member(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned id = CODEC_HEALTH; id < N_CODEC_SERVICES; id++) {
        for (unsigned part = 0; part < N_CODEC_PARTS; part++) {
            struct codec_message message = {codec_service_get((enum codec_service_id)id),
                                            (enum codec_part)part};
            const ProtobufCMessageDescriptor *desc = proto_descriptor(&message);

            assert_true(desc->n_fields <= PROTO_FIELDS_MAX);
            assert_string_equal(protobuf_c_message_descriptor_get_field(desc, PROTO_EXTRA_ID)->name,
                                "extra_json");
            for (unsigned i = 0; i < desc->n_fields; i++, n++)
                if (!proto_is_extra(&desc->fields[i]))
                    check_field(&message, &desc->fields[i]);
        }
    }
    assert_true(n > 80);
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void a_token_is_the_bytes_that_the_proto_says(void **state)
{
    struct buf bytes = BUF_INIT(1 << 12);

    (void)state;
    assert_int_equal(
        convert(CODEC_CHAT, CODEC_RECORD, false,
                STR("{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\","
                    "\"content\":\" Hi\"},\"done\":false,\"x\":1}"),
                &bytes),
        0);
    assert_true(str_eq(buf_str(&bytes), STR("\x0a\x01m\x12\x01t\x1a\x10\x0a\x09"
                                            "assistant\x12\x03 Hi\x28\x00\x7a\x07{\"x\":1}")));
    buf_reset(&bytes);
    assert_int_equal(
        convert(CODEC_EMBED, CODEC_RECORD, false, STR("{\"embeddings\":[[0.5,-1]]}"), &bytes), 0);
    assert_true(str_eq(buf_str(&bytes), STR("\x12\x0a\x0a\x08\x00\x00\x00\x3f\x00\x00\x80\xbf")));
    buf_fini(&bytes);
}

/* ---- the other codec, the services --------------------------------------------------------- */

static void json_and_echo_pass_as_they_are(void **state)
{
    struct arena scratch;
    struct buf out = BUF_INIT(64);

    (void)state;
    arena_init(&scratch, 0);
    assert_int_equal(codec_request_to_json(CODEC_JSON, codec_service_get(CODEC_CHAT),
                                           STR("not json"), &scratch, &out),
                     0);
    assert_int_equal(
        codec_record_from_json(CODEC_JSON, codec_service_get(CODEC_CHAT), STR("+"), &scratch, &out),
        0);
    assert_int_equal(codec_request_to_json(CODEC_PROTOBUF, codec_service_get(CODEC_ECHO),
                                           STR("\xff"), &scratch, &out),
                     0);
    assert_true(str_eq(buf_str(&out), STR("not json+\xff")));
    assert_string_equal(codec_name(CODEC_JSON), "json");
    assert_true(codec_is_known(1) && !codec_is_known(2));
    buf_fini(&out);
    arena_fini(&scratch);
}

static void a_service_is_found_by_its_exact_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_CODEC_SERVICES; i++) {
        const struct codec_service *service = codec_service_get((enum codec_service_id)i);

        assert_int_equal(service->id, i);
        assert_ptr_equal(codec_service_find(service->name), service);
        if (service->route != N_ROUTES) {
            assert_ptr_equal(codec_service_of_route(service->route), service);
            assert_int_equal(service->streams, api_route_get(service->route)->streams_by_default);
        }
    }
    assert_null(codec_service_find(STR("ollama.Chat")));
    assert_null(codec_service_find(STR("ollama.chat2")));
    assert_null(codec_service_find(STR_NULL));
    assert_null(codec_service_of_route(N_ROUTES));
    assert_null(codec_service_of_route(ROUTE_V1_CHAT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ollama_says_comes_back),
        cmocka_unit_test(a_member_that_its_field_cannot_hold_exactly_is_kept_as_it_is),
        cmocka_unit_test(space_and_what_follows_the_value_do_not_matter),
        cmocka_unit_test(an_escaped_key_comes_back_plain),
        cmocka_unit_test(every_field_of_every_message_holds_its_member),
        cmocka_unit_test(a_token_is_the_bytes_that_the_proto_says),
        cmocka_unit_test(json_and_echo_pass_as_they_are),
        cmocka_unit_test(a_service_is_found_by_its_exact_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
