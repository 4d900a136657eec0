/* test_route.c: rows that are checked, and the row of a request found; the product's table among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "hub/http/routes.h"

static void memory(struct request *request, struct answer *answer) {
    (void)request;
    (void)answer;
}

static const struct parameter abc[] = {{.name = "a", .kind = PARAMETER_TEXT, .low = 1, .high = 9, .meaning = "m"},
                                       {.name = "b", .kind = PARAMETER_TEXT, .low = 1, .high = 9, .meaning = "m"},
                                       {.name = "c", .kind = PARAMETER_TEXT, .low = 1, .high = 9, .meaning = "m"},
                                       {0}};

#define ROW(verb, path)                                                                                                \
    { .method = verb, .pattern = path, .summary = "s", .parameters = abc, .memory = memory, .content_type = "t/p" }

static struct router *router_of(const struct route *rows, size_t count) {
    char flaw[256] = "";
    struct router *router = router_new(rows, count, flaw, sizeof flaw);
    if (router == NULL) {
        fail_msg("%s", flaw);
    }
    return router;
}

/* "pattern a,b Allow" of what was found. */
static const char *found(const struct router *router, unsigned method, const char *path) {
    static char out[512];
    struct target target;
    struct route_match match;
    enum target_flaw flaw;
    char allow[ANSWER_ALLOW_MAX];
    assert_int_equal(target_parse(&target, path, &flaw), 0);
    router_match(router, &target, method, &match);
    size_t used = (size_t)snprintf(out, sizeof out, "%s", match.route == NULL ? "-" : match.route->pattern);
    for (size_t i = 0; match.route != NULL && i < match.path_count; i++) {
        used += (size_t)snprintf(out + used, sizeof out - used, " %s=%.*s", match.path_parameters[i]->name,
                                 (int)match.path[i].length, match.path[i].text);
    }
    route_allow(match.allowed, allow, sizeof allow);
    snprintf(out + used, sizeof out - used, " [%s]", match.allowed == 0 ? "" : allow);
    target_free(&target);
    return out;
}

static void test_match(void **state) {
    (void)state;
    static const struct route rows[] = {
        ROW(METHOD_GET, "/{a}"),
        ROW(METHOD_GET, "/x/{a}/y"),
        ROW(METHOD_POST, "/x/{a}/y"),
        ROW(METHOD_GET, "/x/z/{b}"),
        ROW(METHOD_DELETE, "/x/z/y"),
        ROW(METHOD_GET, "/tiles/{a}/{b}/{c}.mvt"),
        ROW(METHOD_GET, "/tiles/{a}/{b}/{c}"),
        ROW(METHOD_GET, "/"),
        ROW(METHOD_PUT, "/f/v{a}"),
        ROW(METHOD_PUT, "/f/version{a}"),
        ROW(METHOD_PUT, "/f/version"),
    };
    struct router *router = router_of(rows, sizeof rows / sizeof rows[0]);
    assert_string_equal(found(router, METHOD_GET, "/"), "/ [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/q"), "/{a} a=q [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/q/"), "- []");
    assert_string_equal(found(router, METHOD_GET, "/x/1/y"), "/x/{a}/y a=1 [GET, HEAD, POST, OPTIONS]");
    assert_string_equal(found(router, METHOD_POST, "/x/%2f/y"), "/x/{a}/y a=/ [GET, HEAD, POST, OPTIONS]");
    assert_string_equal(found(router, METHOD_PUT, "/x/1/y"), "- [GET, HEAD, POST, OPTIONS]");
    /* a word wins over a parameter at the first place where they differ; the methods are all that fit the path */
    assert_string_equal(found(router, METHOD_GET, "/x/z/y"), "/x/z/{b} b=y [GET, HEAD, POST, DELETE, OPTIONS]");
    assert_string_equal(found(router, METHOD_DELETE, "/x/z/y"), "/x/z/y [GET, HEAD, POST, DELETE, OPTIONS]");
    assert_string_equal(found(router, METHOD_POST, "/x/z/y"), "/x/{a}/y a=z [GET, HEAD, POST, DELETE, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/tiles/d/8/3.mvt"),
                        "/tiles/{a}/{b}/{c}.mvt a=d b=8 c=3 [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/tiles/d/8/3.png"),
                        "/tiles/{a}/{b}/{c} a=d b=8 c=3.png [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/tiles/d/8/.mvt"),
                        "/tiles/{a}/{b}/{c} a=d b=8 c=.mvt [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/tiles//8/3.mvt"), "- []");
    assert_string_equal(found(router, METHOD_PUT, "/f/version2"), "/f/version{a} a=2 [PUT, OPTIONS]");
    assert_string_equal(found(router, METHOD_PUT, "/f/version"), "/f/version [PUT, OPTIONS]");
    assert_string_equal(found(router, METHOD_PUT, "/f/v"), "- []");
    assert_string_equal(found(router, METHOD_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13"), "- []");
    router_free(router);
}

/* Of many random rows the same one is found in whatever order they stand. */
static void test_order_of_rows(void **state) {
    (void)state;
    enum { ROWS = 120, WORDS = 3 };
    static const char *const words[] = {"a", "b", "{a}", "{b}", "{c}", "a{a}", "{a}.b"};
    static char patterns[ROWS][64];
    static struct route rows[ROWS];
    uint32_t seed = 7;
    size_t count = 0;
    for (int tries = 0; tries < 5000 && count < ROWS; tries++) {
        char flaw[256];
        patterns[count][0] = '\0';
        for (int i = 0; i < WORDS; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(patterns[count], "/");
            strcat(patterns[count], words[(seed >> 16) % 7]);
        }
        rows[count] = (struct route)ROW(METHOD_GET, patterns[count]);
        struct router *router = router_new(rows, count + 1, flaw, sizeof flaw); /* refuses doubles */
        count += router != NULL;
        router_free(router);
    }
    assert_true(count > 40);
    struct router *router = router_of(rows, count);
    for (int round = 0; round < 3000; round++) {
        static const char *const texts[] = {"a", "b", "c", "aa", "a.b", "x.b", ".b"};
        char path[64] = "";
        for (int i = 0; i < WORDS; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(path, "/");
            strcat(path, texts[(seed >> 16) % 7]);
        }
        const char *first = found(router, METHOD_GET, path);
        char best[512];
        snprintf(best, sizeof best, "%s", first);
        /* the same rows in another order give the same row */
        static struct route turned[ROWS];
        for (size_t i = 0; i < count; i++) {
            turned[i] = rows[(i + (size_t)round) % count];
        }
        struct router *other = router_of(turned, count);
        assert_string_equal(found(other, METHOD_GET, path), best);
        router_free(other);
    }
    router_free(router);
}

static void test_rows_that_are_wrong(void **state) {
    (void)state;
    static const struct parameter path_default[] = {
        {.name = "a", .kind = PARAMETER_INTEGER, .high = 1, .initial = "1", .meaning = "m"}, {0}};
    static const struct parameter twice[] = {{.name = "a", .kind = PARAMETER_BOOLEAN, .meaning = "m"},
                                             {.name = "a", .kind = PARAMETER_BOOLEAN, .meaning = "m"},
                                             {0}};
    struct route wrong[] = {
        ROW(0, "/x"),
        ROW((enum route_method)3, "/x"),
        ROW(METHOD_GET, NULL),
        ROW(METHOD_GET, "x"),
        ROW(METHOD_GET, "/{a"),
        ROW(METHOD_GET, "/a}"),
        ROW(METHOD_GET, "/}a{"),
        ROW(METHOD_GET, "/{a}{b}"),
        ROW(METHOD_GET, "/{nothing}"),
        ROW(METHOD_GET, "/{a}/{a}"),
        ROW(METHOD_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13"),
        {.method = METHOD_GET, .pattern = "/x", .summary = "s", .memory = memory},
        {.method = METHOD_GET, .pattern = "/x", .memory = memory, .content_type = "t/p"},
        {.method = METHOD_GET, .pattern = "/x", .summary = "s", .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .function = "onemap.f",
         .content_type = "t/p"},
        {.method = METHOD_GET, .pattern = "/x", .summary = "s", .function = "f", .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .function = "onemap.f(); DROP TABLE x",
         .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .by_row = true,
         .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .function = "onemap.f",
         .by_row = true,
         .etag = ETAG_BYTES,
         .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .endless = true,
         .content_type = "t/p"},
        {.method = METHOD_GET, .pattern = "/x", .summary = "s", .memory = memory, .links = true, .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .past = "onemap.without_at",
         .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .content_type = "t/p",
         .body = {.types = "a/b", .limit = 1}},
        {.method = METHOD_PUT,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .content_type = "t/p",
         .body = {.types = "a/b"}},
        {.method = METHOD_PUT,
         .pattern = "/x",
         .summary = "s",
         .memory = memory,
         .content_type = "t/p",
         .body = {.limit = 1}},
        {.method = METHOD_GET,
         .pattern = "/{a}",
         .summary = "s",
         .parameters = path_default,
         .memory = memory,
         .content_type = "t/p"},
        {.method = METHOD_GET,
         .pattern = "/x",
         .summary = "s",
         .parameters = twice,
         .memory = memory,
         .content_type = "t/p"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char flaw[256] = "";
        if (router_new(&wrong[i], 1, flaw, sizeof flaw) != NULL) {
            fail_msg("row %zu is taken", i);
        }
        assert_memory_equal(flaw, "route ", 6);
    }
    const struct route doubled[] = {ROW(METHOD_GET, "/x/{a}"), ROW(METHOD_GET, "/y"), ROW(METHOD_GET, "/x/{b}")};
    char flaw[256];
    assert_null(router_new(doubled, 3, flaw, sizeof flaw));
    assert_non_null(strstr(flaw, "another row has the same path and method"));
}

static void test_the_products_rows(void **state) {
    (void)state;
    size_t route_count;
    const struct route *routes = routes_all(&route_count);
    struct router *router = router_of(routes, route_count);
    assert_string_equal(found(router, METHOD_GET, "/healthz"), "/healthz [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/api/v1/devices/7/track"),
                        "/api/v1/devices/{id}/track id=7 [GET, HEAD, OPTIONS]");
    assert_string_equal(found(router, METHOD_GET, "/api/v1/devices.csv"), "/api/v1/devices.csv [GET, HEAD, OPTIONS]");
    for (size_t i = 0; i < route_count; i++) {
        bool health = strcmp(routes[i].pattern, "/healthz") == 0 || strcmp(routes[i].pattern, "/readyz") == 0;
        bool login = strcmp(routes[i].pattern, "/api/v1/login") == 0;
        bool page = strcmp(routes[i].pattern, "/") == 0 || strcmp(routes[i].pattern, "/assets/{file}") == 0;
        bool citizens = strncmp(routes[i].pattern, "/open311/", 9) == 0;
        assert_int_equal(routes[i].right == RIGHT_ANYONE, health || login || page || citizens);
        assert_int_equal(routes[i].policy != NULL, page);
    }
    router_free(router);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_rows_that_are_wrong),
        cmocka_unit_test(test_the_products_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
