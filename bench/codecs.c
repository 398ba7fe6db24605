/* SPDX-License-Identifier: MIT */

/*
 * What a message costs in each codec, as it is and compressed: bytes on the wire, and nanoseconds
 * to make it of Ollama's JSON and to make that of it again. JSON is passed on as it stands, so
 * alone it costs nothing here. The best of many rounds: what disturbs a round only makes it longer.
 * usage: codecs
 */

#include <stdio.h>

#include "codec/codec.h"
#include "load.h"
#include "zip/zip.h"

#define ROUNDS      50
#define ROUND_BYTES 200000 /* made or read in a round, at least */
#define MESSAGE_MAX ((size_t)1 << 20)

#define TEXT \
    "You run the kitchen of a small inn in the mountains. Guests come late, hungry and in" \
    " the rain; what there is stands on the list below, and nothing else can be had " \
    "before Thursday. Propose a menu of three courses, say what is to be done first, and " \
    "keep to the words that a cook would use."
#define LIST \
    "Potatoes 12 kg, onions 4 kg, leeks 9, carrots 3 kg, a ham of 5 kg, eggs 40, butter 2" \
    " kg, cream 3 l, flour 10 kg, apples 6 kg, hard cheese 2 kg, red wine 20 bottles, " \
    "thyme, bay leaves, nutmeg, salt."
#define MENU \
    "First a soup of leeks and potatoes, with what the ham leaves on its bone. Then the " \
    "ham itself, cut thick, with potatoes in cream under a crust of cheese; for this the " \
    "oven must be hot within the hour. Last apples, baked in red wine with nutmeg. Begin " \
    "with the potatoes: all else waits for them."
#define MORE \
    "And for eleven more, of whom two eat no meat? They come at nine, their train having " \
    "stood in the snow since noon, and will not care for a long list. The oven is small " \
    "and takes one dish at a time; my nephew can peel and stir, but he should not be let " \
    "near the knives."
#define SAID(role, content) "{\"role\":\"" role "\",\"content\":\"" content "\"}"
/* clang-format off */
#define CHAT \
    "{\"model\":\"llama3.2:latest\",\"messages\":[" \
    SAID("system", TEXT) "," \
    SAID("user", "What can I cook tonight?\\n\\n" LIST) "," \
    SAID("assistant", MENU) "," \
    SAID("user", MORE) "]," \
    "\"stream\":true,\"keep_alive\":\"5m\",\"options\":{\"temperature\":0.7,\"num_ctx\":8192,\"seed\":42}}"
/* clang-format on */
#define TOKEN \
    "{\"model\":\"llama3.2:latest\",\"created_at\":\"2026-11-24T22:58:24.180996053Z\"," \
    "\"message\":" SAID("assistant", " blue") ",\"done\":false}"

typedef int translate_fn(enum codec_id codec, const struct codec_service *service, struct str in,
                         struct arena *scratch, struct buf *out);

/* A kind of message, and how it is translated. */
static const struct kind {
    const char *name;
    translate_fn *from_json;
    translate_fn *to_json;
    struct str json;
} kinds[] = {
    {"a chat", codec_request_from_json, codec_request_to_json, {CHAT, sizeof(CHAT) - 1}},
    {"a token", codec_record_from_json, codec_record_to_json, {TOKEN, sizeof(TOKEN) - 1}},
};

static const char *const zip_names[] = {
    [ZIP_NONE] = "none",
    [ZIP_GZIP] = "gzip",
    [ZIP_ZSTD] = "zstd",
};

struct bench {
    const struct kind *kind;
    const struct codec_service *service;
    enum codec_id codec;
    enum zip_algorithm algorithm;
    struct arena scratch;
    struct zip zip;
    struct buf encoded;
    struct buf decoded;
    struct str raw;  /* in the codec */
    struct str wire; /* that, compressed */
};

static void make(struct bench *b)
{
    b->raw = b->kind->json;
    if (b->codec != CODEC_JSON) {
        buf_reset(&b->encoded);
        if (b->kind->from_json(b->codec, b->service, b->raw, &b->scratch, &b->encoded) < 0)
            load_die("from JSON");
        b->raw = buf_str(&b->encoded);
    }
    b->wire = b->raw;
    /* ZIP_KEEP: what is sent is what there was */
    if (b->algorithm != ZIP_NONE && zip_shrink(&b->zip, b->algorithm, b->raw, &b->wire) < 0)
        load_die("compression");
}

/* @wire and its length before are what make() has left. */
static void read_back(struct bench *b)
{
    struct str raw = b->wire;

    if (b->wire.s != b->raw.s &&
        zip_grow(&b->zip, b->algorithm, b->wire, (uint32_t)b->raw.len, &raw) < 0)
        load_die("inflation");
    if (b->codec == CODEC_JSON)
        return;
    buf_reset(&b->decoded);
    if (b->kind->to_json(b->codec, b->service, raw, &b->scratch, &b->decoded) < 0)
        load_die("to JSON");
}

static double best_ns(struct bench *b, void (*work)(struct bench *b))
{
    long n = ROUND_BYTES / (long)b->kind->json.len + 1;
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        load_ns begun = load_now();
        double took;

        for (long i = 0; i < n; i++)
            work(b);
        took = (double)(load_now() - begun) / (double)n;
        best = took < best ? took : best;
    }
    return best;
}

static void measure(const struct kind *kind, enum codec_id codec, enum zip_algorithm algorithm)
{
    struct bench b = {
        .kind = kind,
        .service = codec_service_get(CODEC_CHAT),
        .codec = codec,
        .algorithm = algorithm,
        .encoded = BUF_INIT(MESSAGE_MAX),
        .decoded = BUF_INIT(MESSAGE_MAX),
    };
    double make_ns;
    double read_ns;

    arena_init(&b.scratch, MESSAGE_MAX);
    zip_init(&b.zip, MESSAGE_MAX);
    make_ns = best_ns(&b, make);
    read_ns = best_ns(&b, read_back);
    printf("{\"message\":\"%s\",\"codec\":\"%s\",\"compression\":\"%s\",\"bytes\":%zu,"
           "\"make_ns\":%.1f,\"read_ns\":%.1f}\n",
           kind->name, codec_name(codec), zip_names[algorithm], b.wire.len, make_ns, read_ns);
    zip_fini(&b.zip);
    arena_fini(&b.scratch);
    buf_fini(&b.encoded);
    buf_fini(&b.decoded);
}

int main(void)
{
    static const enum codec_id codecs[] = {CODEC_JSON, CODEC_PROTOBUF};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t c = 0; c < sizeof(codecs) / sizeof(codecs[0]); c++)
            for (int z = ZIP_NONE; z <= ZIP_ZSTD; z++)
                measure(&kinds[k], codecs[c], (enum zip_algorithm)z);
    return 0;
}
