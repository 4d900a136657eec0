/* route.c: rows checked and taken apart, and the row of a request found. Must never start with a row that could not be
 * answered, or with two rows between which a request could not be decided. */
#include "hub/http/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHOD_COUNT = 5 };

/* A segment of a pattern: a word, or a parameter with words before and behind it. */
struct segment {
    const char *before, *behind;
    size_t before_length, behind_length;
    const struct parameter *parameter; /* NULL = `before` is all */
};

struct entry {
    const struct route *route;
    size_t segment_count;
    struct segment segments[TARGET_SEGMENTS_MAX];
};

/* Entries are sorted: words before parameters, so that the first that fits is the right one. */
struct router {
    const struct route *routes;
    size_t count;
    struct entry entries[];
};

static const struct {
    unsigned method;
    const char *name;
} methods[METHOD_COUNT] = {{METHOD_GET, "GET"},
                           {METHOD_POST, "POST"},
                           {METHOD_PUT, "PUT"},
                           {METHOD_PATCH, "PATCH"},
                           {METHOD_DELETE, "DELETE"}};

const char *route_method_name(unsigned method) {
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (methods[i].method == method) {
            return methods[i].name;
        }
    }
    return "";
}

const char *route_right_name(enum route_right right) {
    static const char *const names[] = {
        [RIGHT_ANYONE] = "anyone",     [RIGHT_IDENTITY] = "identity", [RIGHT_READ] = "read",
        [RIGHT_ALARM] = "alarm",       [RIGHT_OPERATE] = "operate",   [RIGHT_SCORE] = "score",
        [RIGHT_EXCHANGE] = "exchange", [RIGHT_COMMAND] = "command"};
    return names[right];
}

void route_allow(unsigned allowed, char *text, size_t size) {
    int used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if ((allowed & methods[i].method) != 0 && (size_t)used < size) {
            used += snprintf(text + used, size - (size_t)used, "%s, %s", methods[i].name,
                             methods[i].method == METHOD_GET ? "HEAD, " : "");
        }
    }
    if ((size_t)used < size) {
        snprintf(text + used, size - (size_t)used, "OPTIONS");
    }
}

bool route_in_path(const struct route *route, const struct parameter *parameter) {
    char hole[48];
    snprintf(hole, sizeof hole, "{%s}", parameter->name);
    return strstr(route->pattern, hole) != NULL;
}

bool route_takes(const struct route *route, const char *name) {
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++) {
        if (strcmp(p->name, name) == 0 && !route_in_path(route, p)) {
            return true;
        }
    }
    return false;
}

/* ---- patterns taken apart ---- */

static const struct parameter *parameter_named(const struct route *route, const char *name, size_t length) {
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++) {
        if (strlen(p->name) == length && strncmp(p->name, name, length) == 0) {
            return p;
        }
    }
    return NULL;
}

/* One segment of `length` bytes; NULL or what is wrong with it. */
static const char *segment_parse(const struct route *route, const char *text, size_t length, struct segment *segment) {
    const char *open = memchr(text, '{', length);
    const char *close = memchr(text, '}', length);
    if (open == NULL && close == NULL) {
        *segment = (struct segment){.before = text, .before_length = length};
        return NULL;
    }
    if (open == NULL || close == NULL || close < open ||
        memchr(close + 1, '{', length - (size_t)(close + 1 - text)) != NULL ||
        memchr(close + 1, '}', length - (size_t)(close + 1 - text)) != NULL) {
        return "a segment has one {name} at the most";
    }
    *segment = (struct segment){.before = text,
                                .before_length = (size_t)(open - text),
                                .behind = close + 1,
                                .behind_length = length - (size_t)(close + 1 - text),
                                .parameter = parameter_named(route, open + 1, (size_t)(close - open) - 1)};
    return segment->parameter == NULL ? "a {name} of its pattern is none of its parameters" : NULL;
}

static const char *pattern_parse(struct entry *entry) {
    const struct route *route = entry->route;
    size_t parameters = 0;
    for (const char *at = route->pattern; at != NULL;) {
        at++;
        const char *end = strchr(at, '/');
        if (entry->segment_count == TARGET_SEGMENTS_MAX) {
            return "its pattern has too many segments";
        }
        struct segment *segment = &entry->segments[entry->segment_count++];
        const char *flaw = segment_parse(route, at, end == NULL ? strlen(at) : (size_t)(end - at), segment);
        if (flaw != NULL) {
            return flaw;
        }
        for (size_t i = 0; segment->parameter != NULL && i + 1 < entry->segment_count; i++) {
            if (entry->segments[i].parameter == segment->parameter) {
                return "a {name} comes twice in its pattern";
            }
        }
        parameters += segment->parameter != NULL;
        if (parameters > ROUTE_PATH_PARAMETERS_MAX) {
            return "its pattern has too many parameters";
        }
        at = end;
    }
    return NULL;
}

/* ---- rows checked ---- */

static const char *parameters_flaw(const struct route *route) {
    size_t count = 0;
    for (const struct parameter *p = route->parameters; p != NULL && p->kind != PARAMETER_NONE; p++, count++) {
        const char *flaw = parameter_flaw(p);
        if (flaw != NULL) {
            return flaw;
        }
        if (parameter_named(route, p->name, strlen(p->name)) != p) {
            return "a parameter comes twice";
        }
        if (strcmp(p->name, "identity") == 0 || strcmp(p->name, "base") == 0) {
            return "a parameter cannot be called identity or base: those are who asks, and where the hub is";
        }
        if (route_in_path(route, p) && (p->required || p->initial != NULL)) {
            return "a parameter of the path is always there: neither required nor with a default";
        }
    }
    return count > ROUTE_PARAMETERS_MAX ? "it has too many parameters" : NULL;
}

/* It becomes part of a statement's text. */
static bool is_function_name(const char *name) {
    static const char schema[] = "onemap.";
    size_t length = strlen(schema);
    return strncmp(name, schema, length) == 0 && name[length] != '\0' &&
           name[length + strspn(name + length, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static const char *answer_flaw(const struct route *route) {
    if ((route->function != NULL) + (route->memory != NULL) + (route->stream != NULL) != 1) {
        return "its answer comes from one of function, memory and stream";
    }
    if ((route->function != NULL && !is_function_name(route->function)) ||
        (route->past != NULL && !is_function_name(route->past))) {
        return "its function must be onemap.<small letters, digits, _>";
    }
    if (route->past != NULL && (route->memory == NULL || !route_takes(route, "at"))) {
        return "past is for a memory answer that takes at";
    }
    if (route->by_row && (route->function == NULL || route->etag == ETAG_BYTES)) {
        return "by_row is for a function, and its answer cannot be hashed before it is sent";
    }
    if (route->sheet != NULL && (route->function == NULL || route->by_row || route->etag != ETAG_NONE)) {
        return "a sheet is of a function, collected, and made anew each time";
    }
    if (route->links && route->function == NULL) {
        return "links are for a function";
    }
    if (route->stream != NULL && route->etag == ETAG_BYTES) {
        return "a stream cannot be hashed before it is sent";
    }
    if (route->endless && route->stream == NULL) {
        return "only a stream is endless";
    }
    return route->content_type == NULL ? "its content type is missing" : NULL;
}

static const char *body_flaw(const struct route *route) {
    if ((route->body.types != NULL) != (route->body.limit > 0)) {
        return "a body has types and a limit";
    }
    if (route->body.types == NULL && (route->body.sink != NULL || route->body.optional)) {
        return "a sink or an optional body needs the body's types";
    }
    if (route->body.gzip && route->body.sink == NULL) {
        return "a body with gzip needs a sink that unpacks it";
    }
    if (route->body.types != NULL && (route->method & METHODS_WITH_BODY) == 0) {
        return "a body goes with POST, PUT and PATCH only";
    }
    return NULL;
}

static const char *row_flaw(struct entry *entry) {
    const struct route *route = entry->route;
    const char *flaw = NULL;
    if (route->pattern == NULL || route->pattern[0] != '/') {
        return "its pattern must begin with /";
    }
    if (route_method_name(route->method)[0] == '\0') {
        return "its method is missing, or it has two";
    }
    if (route->summary == NULL || route->summary[0] == '\0') {
        return "its summary is missing";
    }
    if ((flaw = parameters_flaw(route)) != NULL || (flaw = answer_flaw(route)) != NULL ||
        (flaw = body_flaw(route)) != NULL) {
        return flaw;
    }
    return pattern_parse(entry);
}

/* ---- order ---- */

static int text_order(const char *a, size_t a_length, const char *b, size_t b_length) {
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* Words before parameters; parameters with more around them before those with less. 0 = the same paths fit. */
static int segment_order(const struct segment *a, const struct segment *b) {
    if ((a->parameter == NULL) != (b->parameter == NULL)) {
        return a->parameter == NULL ? -1 : 1;
    }
    if (a->parameter != NULL) {
        size_t a_around = a->before_length + a->behind_length, b_around = b->before_length + b->behind_length;
        if (a_around != b_around) {
            return a_around > b_around ? -1 : 1;
        }
        int behind = text_order(a->behind, a->behind_length, b->behind, b->behind_length);
        if (behind != 0) {
            return behind;
        }
    }
    return text_order(a->before, a->before_length, b->before, b->before_length);
}

static int entry_order(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->segment_count != b->segment_count) {
        return a->segment_count < b->segment_count ? -1 : 1;
    }
    for (size_t i = 0; i < a->segment_count; i++) {
        int order = segment_order(&a->segments[i], &b->segments[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static void flaw_of(const struct route *route, const char *what, char *flaw, size_t size) {
    snprintf(flaw, size, "route %s: %s", route->pattern == NULL ? "without a pattern" : route->pattern, what);
}

struct router *router_new(const struct route *routes, size_t count, char *flaw, size_t size) {
    struct router *router = calloc(1, sizeof *router + count * sizeof router->entries[0]);
    if (router == NULL) {
        snprintf(flaw, size, "out of memory");
        return NULL;
    }
    router->routes = routes;
    router->count = count;
    for (size_t i = 0; i < count; i++) {
        router->entries[i].route = &routes[i];
        const char *what = row_flaw(&router->entries[i]);
        if (what != NULL) {
            flaw_of(&routes[i], what, flaw, size);
            free(router);
            return NULL;
        }
    }
    qsort(router->entries, count, sizeof router->entries[0], entry_order);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && entry_order(&router->entries[i], &router->entries[j]) == 0; j++) {
            if (router->entries[i].route->method == router->entries[j].route->method) {
                flaw_of(router->entries[j].route, "another row has the same path and method", flaw, size);
                free(router);
                return NULL;
            }
        }
    }
    return router;
}

void router_free(struct router *router) {
    free(router);
}

const struct route *router_routes(const struct router *router, size_t *count) {
    *count = router->count;
    return router->routes;
}

/* ---- the row of a request ---- */

/* Whether the segment fits; `value` is what stands in the parameter's place. */
static bool segment_fits(const struct segment *segment, const char *text, struct route_text *value) {
    size_t length = strlen(text), around = segment->before_length + segment->behind_length;
    if (segment->parameter == NULL) {
        return length == segment->before_length && memcmp(text, segment->before, length) == 0;
    }
    if (length <= around || memcmp(text, segment->before, segment->before_length) != 0 ||
        memcmp(text + length - segment->behind_length, segment->behind, segment->behind_length) != 0) {
        return false;
    }
    *value = (struct route_text){.text = text + segment->before_length, .length = length - around};
    return true;
}

static bool entry_fits(const struct entry *entry, const struct target *target, struct route_match *match) {
    match->path_count = 0;
    for (size_t i = 0; i < entry->segment_count; i++) {
        const struct segment *segment = &entry->segments[i];
        if (!segment_fits(segment, target->segments[i], &match->path[match->path_count])) {
            return false;
        }
        if (segment->parameter != NULL) {
            match->path_parameters[match->path_count++] = segment->parameter;
        }
    }
    return true;
}

void router_match(const struct router *router, const struct target *target, unsigned method,
                  struct route_match *match) {
    struct route_match trial = {0};
    *match = (struct route_match){0};
    for (size_t i = 0; i < router->count; i++) {
        const struct entry *entry = &router->entries[i];
        if (entry->segment_count != target->segment_count || !entry_fits(entry, target, &trial)) {
            continue;
        }
        if (match->route == NULL && entry->route->method == method) {
            unsigned allowed = match->allowed;
            *match = trial;
            match->route = entry->route;
            match->allowed = allowed;
        }
        match->allowed |= entry->route->method;
    }
}
