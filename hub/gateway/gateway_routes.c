/* gateway_routes.c: what the gateway answers over HTTP. Must never ask anybody in a memory answer. */
#include "hub/gateway/gateway_routes.h"

#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/topic.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/json_push.h"
#include "hub/gateway/push.h"
#include "hub/http/client.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"

enum {
    BODY_MAX = 32 * 1024 * 1024, /* as it is sent; unpacked it has [lane] max_payload_bytes */
    JSON_BODY_MAX = 4 * 1024 * 1024,
    PUSH_DEADLINE_S = 120, /* of which [gateway] receipt_s are for the receipt: the rest is for slow lines */
};

static void answer_health(struct request *request, struct answer *answer) {
    static const char text[] = "ok\n";
    (void)request;
    answer->body = text;
    answer->length = sizeof text - 1;
}

static void answer_ready(struct request *request, struct answer *answer) {
    const struct server_source *source = request->service->source;
    struct words why = {0};
    char *text = NULL;
    bool ready = source->ready(source->user, &why);
    if (asprintf(&text, "%s\n", ready ? "ready" : why.en) < 0) {
        text = NULL;
    }
    answer->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer_text(answer, text);
}

static void answer_metrics(struct request *request, struct answer *answer) {
    if (client_is_local(request)) {
        answer_text(answer, figures_text());
    } else {
        request_refuse(request, PROBLEM_RIGHT, "仅限本机", "only on this machine");
    }
}

static const struct parameter push_parameters[] = {
    {.name = "subsystem", .kind = PARAMETER_TEXT, .low = 2, .high = 32, .meaning = "a subsystem's key, such as dust"},
    {.name = "vendor",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 63,
     .meaning = "the vendor's name, which is its login"},
    {.name = "kind", .kind = PARAMETER_TEXT, .low = 1, .high = 15, .meaning = TOPIC_WORDS_IN},
    {0},
};

#define JSON_TOKEN                                                                                                     \
    {                                                                                                                  \
        .name = "token", .kind = PARAMETER_TEXT, .low = 3, .high = 200,                                                \
        .meaning = "the source's identity and its secret with a dot between"                                           \
    }
#define JSON_MAPPING                                                                                                   \
    { .name = "mapping", .kind = PARAMETER_TEXT, .low = 1, .high = 40, .meaning = "a file of config/mappings" }
static const struct parameter json_parameters[] = {JSON_MAPPING, JSON_TOKEN, {0}};
static const struct parameter token_parameters[] = {JSON_TOKEN, {0}};
static const struct parameter echo_parameters[] = {
    JSON_MAPPING,
    JSON_TOKEN,
    {.name = "msg", .kind = PARAMETER_TEXT, .low = 1, .high = 1000, .required = true, .meaning = "what is sent back"},
    {.name = "nonce", .kind = PARAMETER_TEXT, .low = 1, .high = 200, .required = true, .meaning = "of the signature"},
    {.name = "signature", .kind = PARAMETER_TEXT, .low = 1, .high = 200, .required = true, .meaning = "Base64 of MD5"},
    {0},
};

const struct route gateway_routes[] = {
    {.method = METHOD_GET,
     .pattern = "/healthz",
     .summary = "The process lives",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_health,
     .content_type = TEXT_TYPE},
    {.method = METHOD_GET,
     .pattern = "/readyz",
     .summary = "The broker is there and receipts come; if not, why",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_ready,
     .content_type = TEXT_TYPE},
    {.method = METHOD_GET,
     .pattern = "/metrics",
     .summary = "Counters for Prometheus, on this machine",
     .right = RIGHT_ANYONE,
     .any_query = true,
     .memory = answer_metrics,
     .content_type = "text/plain; version=0.0.4; charset=utf-8",
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/push/{subsystem}/{vendor}/{kind}",
     .summary = "A vendor's message, answered after its commit with its receipt",
     .right = RIGHT_ANYONE,
     .basic = true,
     .parameters = push_parameters,
     .body = {.types = "application/json application/x-ndjson application/x-protobuf application/protobuf "
                       "application/octet-stream",
              .limit = BODY_MAX,
              .gzip = true,
              .sink = &push_sink},
     .memory = push_answer,
     .content_type = JSON_TYPE,
     .deadline_s = PUSH_DEADLINE_S},
    {.method = METHOD_POST,
     .pattern = "/json/{mapping}/{token}",
     .summary = "A platform's message, read by a mapping, answered after its commit",
     .right = RIGHT_ANYONE,
     .parameters = json_parameters,
     .any_query = true,
     .body = {.types = "application/json text/plain application/senml+json", .limit = JSON_BODY_MAX},
     .memory = json_push_answer,
     .content_type = JSON_TYPE,
     .deadline_s = PUSH_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/json/{mapping}/{token}",
     .summary = "OneNET's check of an address: msg back, if its signature is right",
     .right = RIGHT_ANYONE,
     .parameters = echo_parameters,
     .any_query = true,
     .memory = json_echo_answer,
     .content_type = TEXT_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/{token}/telemetry",
     .summary = "ThingsBoard's device API: likewise",
     .right = RIGHT_ANYONE,
     .parameters = token_parameters,
     .any_query = true,
     .body = {.types = "application/json text/plain", .limit = JSON_BODY_MAX},
     .memory = json_push_answer,
     .content_type = JSON_TYPE,
     .deadline_s = PUSH_DEADLINE_S},
};
const size_t gateway_route_count = COUNT_OF(gateway_routes);
