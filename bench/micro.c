/* SPDX-License-Identifier: MIT */

/*
 * The HTTP codec and the JSON reader alone, in nanoseconds and cycles per byte. The best of many rounds:
 * what disturbs a round only makes it longer. Cycles are of the time stamp counter, which ticks at one
 * rate; they are left out where there is none.
 * usage: micro
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "api/request.h"
#include "http/h1.h"
#include "http/records.h"
#include "json/reader.h"
#include "load.h"

#define ROUNDS      200
#define ROUND_BYTES 4000000 /* looked at in a round, at least */
#define LARGE_BYTES 400000

/* Does the work once. Return: false when it went wrong. */
typedef bool work_fn(struct str in);

static uint64_t cycles(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return 0;
#endif
}

static bool request_head(struct str in)
{
    struct h1_scan scan = {0};
    struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_head head;
    size_t len;

    return h1_scan_head(&scan, in, &limits, &len) == 0 &&
           h1_parse_request(str_head(in, len), &head) == 0;
}

static bool answer_head(struct str in)
{
    struct h1_scan scan = {0};
    struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_head head;
    size_t len;

    return h1_scan_head(&scan, in, &limits, &len) == 0 &&
           h1_parse_response(str_head(in, len), false, &head) == 0;
}

/* A chunked body, and the records in it. */
static bool chunks(struct str in)
{
    struct h1_head head = {.framing = H1_BODY_CHUNKED};
    struct h1_body body;
    struct records records;
    struct str data;
    struct str record;
    int r;

    h1_body_init(&body, &head);
    records_init(&records, RECORDS_NDJSON, 1 << 20);
    while ((r = h1_body_feed(&body, &in, &data)) == 0)
        while (records_next(&records, &data, &record) == 0)
            ;
    records_fini(&records);
    return r == H1_DONE;
}

static bool json_tokens(struct str in)
{
    struct json_reader reader;
    struct json_token token;
    int r;

    json_reader_init(&reader, in);
    do
        r = json_next(&reader, &token);
    while (r == 0 && token.type != JSON_END);
    return r == 0;
}

/* What the gateway wants to know of a request body: model and stream flag. */
static bool request_body(struct str in)
{
    struct api_request request;

    return api_request_read(api_route_get(ROUTE_CHAT), in, &request) == 0 && !request.is_stream;
}

static void measure(const char *name, work_fn *work, struct str in)
{
    long n = ROUND_BYTES / (long)in.len + 1;
    double best_ns = 1e18;
    double best_cycles = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        load_ns begun = load_now();
        uint64_t begun_cycles = cycles();
        double took_cycles;
        double took_ns;

        for (long i = 0; i < n; i++)
            if (!work(in))
                load_die(name);
        took_cycles = (double)(cycles() - begun_cycles) / (double)n;
        took_ns = (double)(load_now() - begun) / (double)n;
        best_cycles = took_cycles < best_cycles ? took_cycles : best_cycles;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    printf("{\"name\":\"%s\",\"bytes\":%zu,\"ns\":%.1f,\"ns_per_byte\":%.4f,\"cycles_per_byte\":%.3f}\n",
           name, in.len, best_ns, best_ns / (double)in.len, best_cycles / (double)in.len);
}

#define REQUEST \
    "POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1:11435\r\nUser-Agent: ollama-python/0.4.7 (x86_64 linux) " \
    "Python/3.11.2\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n" \
    "Content-Type: application/json\r\nContent-Length: 211\r\n\r\n"
#define ANSWER \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nDate: Tue, 24 Nov 2026 22:58:24 GMT\r\n" \
    "Transfer-Encoding: chunked\r\n\r\n"
#define RECORD \
    "{\"model\":\"llama3.2:latest\",\"created_at\":\"2026-11-24T22:58:24.180996053Z\",\"message\":{\"role\":" \
    "\"assistant\",\"content\":\" blue\"},\"done\":false}\n"
#define LINE "The quick brown fox jumps over the \\\"lazy\\\" dog, and over what else is there.\\n"

static struct str chunked_records(void)
{
    size_t len = strlen(RECORD);
    char *out = malloc(1000 * (len + 16));
    size_t at = 0;

    for (int i = 0; out != NULL && i < 1000; i++)
        at += (size_t)sprintf(out + at, "%zx\r\n%s\r\n", len, RECORD);
    if (out == NULL)
        load_die("memory");
    at += (size_t)sprintf(out + at, "0\r\n\r\n");
    return str_make(out, at);
}

/* A chat with a long text. */
static struct str large_body(void)
{
    char *out = malloc(LARGE_BYTES + 256);
    size_t at;

    if (out == NULL)
        load_die("memory");
    at = (size_t)sprintf(out, "{\"model\":\"llama3.2\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    while (at < LARGE_BYTES)
        at += (size_t)sprintf(out + at, "%s", LINE);
    at += (size_t)sprintf(out + at, "\"}],\"stream\":false}");
    return str_make(out, at);
}

int main(void)
{
    struct str records = chunked_records();
    struct str large = large_body();

    measure("request head", request_head, STR(REQUEST));
    measure("answer head", answer_head, STR(ANSWER));
    measure("chunks and records of a stream", chunks, records);
    measure("JSON tokens of a record", json_tokens, STR(RECORD));
    measure("JSON tokens of a 400 KB chat", json_tokens, large);
    measure("model and stream flag of a 400 KB chat", request_body, large);
    return 0;
}
