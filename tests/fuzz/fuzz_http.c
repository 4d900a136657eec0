/* fuzz_http.c: what we parse of a request ourselves: its target, and seven headers, one a line. Text that is decoded is
 * clean, a row's parameters become JSON that a parser of others reads, and nothing is read too far. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>

#include "fuzz.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/http/client.h"
#include "hub/http/credential.h"
#include "hub/http/routes.h"

static const struct parameter parameters[] = {
    {.name = "text", .kind = PARAMETER_TEXT, .low = 0, .high = 20, .meaning = "m"},
    {.name = "n", .kind = PARAMETER_INTEGER, .low = -9007199254740992, .high = 9007199254740992, .meaning = "m"},
    {.name = "x", .kind = PARAMETER_NUMBER, .low = -1e15, .high = 1e15, .meaning = "m"},
    {.name = "yes", .kind = PARAMETER_BOOLEAN, .meaning = "m"},
    {.name = "by", .kind = PARAMETER_CHOICE, .choices = "hour day", .meaning = "m"},
    {.name = "at", .kind = PARAMETER_TIME, .meaning = "m"},
    {.name = "bbox", .kind = PARAMETER_BOX, .meaning = "m"},
    {.name = "ids", .kind = PARAMETER_INTEGER, .low = 0, .high = 99, .list = 4, .meaning = "m"},
    {.name = "z", .kind = PARAMETER_INTEGER, .high = 22, .meaning = "m"},
    {0}};

static void memory(struct request *request, struct answer *answer) {
    (void)request;
    (void)answer;
}

static const struct route rows[] = {{.method = METHOD_GET,
                                     .pattern = "/tiles/{text}/{z}.mvt",
                                     .summary = "s",
                                     .parameters = parameters,
                                     .memory = memory,
                                     .content_type = "a/b"},
                                    {.method = METHOD_POST,
                                     .pattern = "/tiles/{text}/x",
                                     .summary = "s",
                                     .parameters = parameters,
                                     .memory = memory,
                                     .content_type = "a/b"}};

/* One value of each parameter: refused, or JSON that reads back as what was sent. */
static void check_value(const struct parameter *parameter, const char *text, size_t length) {
    struct buffer json = {0};
    struct parameter_value value;
    if (parameter_check(parameter, text, length, &json, &value) == 0) {
        REQUIRE(buffer_string(&json) != NULL);
        cJSON *read = cJSON_ParseWithOpts(json.data, NULL, true);
        REQUIRE(read != NULL);
        if (parameter->kind == PARAMETER_TEXT && parameter->list == 0) {
            REQUIRE(strlen(read->valuestring) == length && memcmp(read->valuestring, text, length) == 0);
        } else if (parameter->kind == PARAMETER_INTEGER && parameter->list == 0) {
            REQUIRE(read->valuedouble == value.number && value.number >= parameter->low &&
                    value.number <= parameter->high);
        }
        cJSON_Delete(read);
    }
    buffer_free(&json);
}

static void check_target(const char *text) {
    static struct router *router;
    char flaw_text[256];
    struct target target;
    struct route_match match;
    enum target_flaw flaw;
    if (router == NULL) {
        router = router_new(rows, sizeof rows / sizeof rows[0], flaw_text, sizeof flaw_text);
        REQUIRE(router != NULL);
    }
    int code = target_parse(&target, text, &flaw);
    REQUIRE(code == 0 || (code == CH_EINVAL && (unsigned)flaw <= TARGET_TOO_MANY));
    if (code == 0 && !target.asterisk) {
        size_t count = target.segment_count > TARGET_SEGMENTS_MAX ? TARGET_SEGMENTS_MAX : target.segment_count;
        REQUIRE(count > 0);
        for (size_t i = 0; i < count; i++) {
            REQUIRE(text_flaw(target.segments[i], strlen(target.segments[i]), false) == NULL);
        }
        router_match(router, &target, METHOD_GET, &match);
        for (size_t i = 0; match.route != NULL && i < match.path_count; i++) {
            check_value(match.path_parameters[i], match.path[i].text, match.path[i].length);
        }
        if (target_query(&target, &flaw) == 0) {
            REQUIRE(target.pair_count <= TARGET_PAIRS_MAX);
            for (size_t i = 0; i < target.pair_count; i++) {
                REQUIRE(text_flaw(target.pairs[i].name, strlen(target.pairs[i].name), false) == NULL);
                REQUIRE(text_flaw(target.pairs[i].value, strlen(target.pairs[i].value), false) == NULL);
                for (const struct parameter *p = parameters; p->kind != PARAMETER_NONE; p++) {
                    check_value(p, target.pairs[i].value, strlen(target.pairs[i].value));
                }
            }
        }
    }
    target_free(&target);
}

/* A secret is of a token's letters, or there is none; an address is one, whatever a proxy was sent. */
static void check_client(const char *authorization, const char *forwarded, char *origins) {
    char secret[CREDENTIAL_SECRET_MAX], address[INET6_ADDRSTRLEN];
    struct in6_addr six;
    struct in_addr four;
    const struct config config = {.http_origins = origins};
    enum credential_kind kind = credential_read(authorization, secret);
    REQUIRE(strlen(secret) < sizeof secret && (kind == CREDENTIAL_FLAWED) == (secret[0] == '\0'));
    REQUIRE(strspn(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(secret));
    if (client_forwarded(forwarded, "127.0.0.1 ::1", address)) {
        REQUIRE(inet_pton(AF_INET, address, &four) == 1 || inet_pton(AF_INET6, address, &six) == 1);
        REQUIRE(strcmp(address, "127.0.0.1") != 0 && strcmp(address, "::1") != 0);
    }
    client_all_secure(&config);
    client_origin(&config, 8080, authorization);
}

enum { LINES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *rest = text, *lines[LINES];
    for (size_t i = 0; i < LINES; i++) {
        char *line = strsep(&rest, "\n");
        lines[i] = fuzz_text((const uint8_t *)(line == NULL ? "" : line), line == NULL ? 0 : strlen(line));
    }
    check_target(lines[0]);
    negotiate_type(lines[1], "application/json; charset=utf-8");
    negotiate_gzip(lines[2]);
    enum language language = negotiate_language(lines[3]);
    REQUIRE(language == LANGUAGE_ZH || language == LANGUAGE_EN);
    negotiate_matches(lines[4], "\"a-1\"");
    check_client(lines[5], lines[6], lines[7]);
    for (size_t i = 0; i < LINES; i++) {
        free(lines[i]);
    }
    free(text);
    return 0;
}
