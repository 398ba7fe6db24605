/* SPDX-License-Identifier: MIT */
#include "api/route.h"

#include <assert.h>
#include <stdio.h>

#define GET_HEAD (H1_GET | H1_HEAD)

#define ROW(id_, path_, methods_, family_, work_, streams_) \
    [ROUTE_##id_] = {.id = ROUTE_##id_, \
                     .path = {(path_), sizeof(path_) - 1}, \
                     .methods = (methods_), \
                     .family = API_##family_, \
                     .work = API_##work_, \
                     .streams_by_default = (streams_)}

/* Changes what nodes have. @switch_: NULL, or what an operator has to switch on for it. */
#define ADMIN_ROW(id_, path_, methods_, work_, streams_, switch_) \
    [ROUTE_##id_] = {.id = ROUTE_##id_, \
                     .path = {(path_), sizeof(path_) - 1}, \
                     .methods = (methods_), \
                     .family = API_OLLAMA, \
                     .work = API_##work_, \
                     .access = (switch_) != NULL ? API_SWITCHED_OFF : API_FOR_ADMINS, \
                     .streams_by_default = (streams_), \
                     .switch_name = (switch_)}

/* Methods as Ollama 0.11.4 answers them: HEAD is there for four paths only. */
/* clang-format off */
static const struct api_route routes[N_ROUTES] = {
    ROW(ROOT,           "/",                    GET_HEAD, OLLAMA,    LOCAL,     false),
    ROW(VERSION,        "/api/version",         GET_HEAD, OLLAMA,    LOCAL,     false),
    ROW(TAGS,           "/api/tags",            GET_HEAD, OLLAMA,    MERGED,    false),
    ROW(PS,             "/api/ps",              H1_GET,   OLLAMA,    MERGED,    false),
    ROW(SHOW,           "/api/show",            H1_POST,  OLLAMA,    METADATA,  false),
    ROW(GENERATE,       "/api/generate",        H1_POST,  OLLAMA,    INFERENCE, true),
    ROW(CHAT,           "/api/chat",            H1_POST,  OLLAMA,    INFERENCE, true),
    ROW(EMBED,          "/api/embed",           H1_POST,  OLLAMA,    INFERENCE, false),
    ROW(EMBEDDINGS,     "/api/embeddings",      H1_POST,  OLLAMA,    INFERENCE, false),
    ROW(V1_CHAT,        "/v1/chat/completions", H1_POST,  OPENAI,    INFERENCE, false),
    ROW(V1_COMPLETIONS, "/v1/completions",      H1_POST,  OPENAI,    INFERENCE, false),
    ROW(V1_EMBEDDINGS,  "/v1/embeddings",       H1_POST,  OPENAI,    INFERENCE, false),
    ROW(V1_RESPONSES,   "/v1/responses",        H1_POST,  OPENAI,    INFERENCE, false),
    ROW(V1_MESSAGES,    "/v1/messages",         H1_POST,  ANTHROPIC, INFERENCE, false),
    ROW(V1_MODELS,      "/v1/models",           H1_GET,   OPENAI,    MERGED,    false),
    ROW(V1_MODEL,       "/v1/models/",          H1_GET,   OPENAI,    METADATA,  false),

    ADMIN_ROW(PULL,         "/api/pull",          H1_POST,           MANAGED,  true,  NULL),
    ADMIN_ROW(PUSH,         "/api/push",          H1_POST,           MANAGED,  true,  "push"),
    ADMIN_ROW(CREATE,       "/api/create",        H1_POST,           MANAGED,  true,  NULL),
    ADMIN_ROW(COPY,         "/api/copy",          H1_POST,           MANAGED,  false, NULL),
    ADMIN_ROW(DELETE,       "/api/delete",        H1_DELETE,         MANAGED,  false, NULL),
    ADMIN_ROW(BLOB,         "/api/blobs/",        H1_HEAD | H1_POST, BLOB,     false, NULL),
    ADMIN_ROW(ME,           "/api/me",            H1_POST,           METADATA, false, "me"),
    ADMIN_ROW(SIGNOUT,      "/api/signout",       H1_POST,           METADATA, false, "signout"),
    ADMIN_ROW(USER_KEY,     "/api/user/keys/",    H1_DELETE,         METADATA, false, "signout"),
    ADMIN_ROW(EXPERIMENTAL, "/api/experimental/", H1_GET | H1_POST,  METADATA, false,
              "experimental"),
};
/* clang-format on */

const struct api_route *api_route_get(enum api_route_id id)
{
    assert((unsigned)id < N_ROUTES);

    return &routes[id];
}

/*
 * One segment and nothing encoded in it, so that no two spellings mean the same; and no segment that
 * somebody on the way to the node resolves to another path.
 */
static bool is_arg(struct str arg)
{
    return arg.len > 0 && str_find(arg, '/') == arg.len && str_find(arg, '%') == arg.len &&
           !str_eq(arg, STR(".")) && !str_eq(arg, STR(".."));
}

static bool matches(const struct api_route *route, struct str path)
{
    if (route->path.len == 1 || !str_ends(route->path, STR("/")))
        return str_eq(route->path, path);
    return str_starts(path, route->path) && is_arg(api_route_arg(route, path));
}

static const struct api_route *find_exactly(struct str path)
{
    for (size_t i = 0; i < N_ROUTES; i++)
        if (matches(&routes[i], path))
            return &routes[i];
    return NULL;
}

int api_route_find(struct str path, const struct api_route **ret_route)
{
    const struct api_route *route = find_exactly(path);

    if (route != NULL) {
        *ret_route = route;
        return 0;
    }
    /* "//" is not the root with a slash too many: nothing with an empty segment matches. */
    if (path.len <= 2 || path.s[path.len - 1] != '/')
        return API_ROUTE_NOT_FOUND;
    route = find_exactly(str_head(path, path.len - 1));
    if (route == NULL)
        return API_ROUTE_NOT_FOUND;
    *ret_route = route;
    return API_ROUTE_REDIRECT;
}

/* Whether @path is @prefix or lies below it. */
static bool is_under(struct str path, struct str prefix)
{
    return str_starts(path, prefix) && (path.len == prefix.len || path.s[prefix.len] == '/');
}

enum api_family api_family_of_path(struct str path)
{
    if (is_under(path, STR("/v1/messages")))
        return API_ANTHROPIC;
    return is_under(path, STR("/v1")) ? API_OPENAI : API_OLLAMA;
}

const char *api_allow(unsigned methods, char out[static 64])
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {
        {H1_GET, "GET"},       {H1_HEAD, "HEAD"},       {H1_POST, "POST"},   {H1_PUT, "PUT"},
        {H1_DELETE, "DELETE"}, {H1_OPTIONS, "OPTIONS"}, {H1_PATCH, "PATCH"},
    };
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((methods & names[i].method) == 0)
            continue;
        /* All seven names with their separators make 45 bytes. */
        len += (size_t)snprintf(out + len, 64 - len, "%s%s", len > 0 ? ", " : "", names[i].name);
    }
    return out;
}
