/* routes_subscription.c: what other systems of the county have asked to be told of. Their functions are in
 * schema/rules/subscription.sql, which says whose they are. */
#include "hub/http/routes.h"

enum { SUBSCRIPTION_BODY_BYTES = 16 * 1024 };

#define SUBSCRIPTION                                                                                                   \
    { .name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a subscription's id" }

static const struct parameter one_parameters[] = {SUBSCRIPTION, {0}};
static const struct parameter event_parameters[] = {SUBSCRIPTION, AFTER_CHANGE, LIMIT, {0}};

const struct route routes_subscription[] = {
    {.method = METHOD_POST,
     .pattern = "/api/v1/subscriptions",
     .summary = "A program asks to be told of cases' steps, alarms or figures; the same again changes nothing",
     .right = RIGHT_READ,
     .body = {.types = "application/json", .limit = SUBSCRIPTION_BODY_BYTES},
     .function = "onemap.http_subscription_add",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/subscriptions",
     .summary = "The program's own subscriptions; all of them for an administrator",
     .right = RIGHT_READ,
     .function = "onemap.http_subscriptions",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/subscriptions/{id}",
     .summary = "One subscription",
     .right = RIGHT_READ,
     .parameters = one_parameters,
     .function = "onemap.http_subscription",
     .content_type = JSON_TYPE},
    {.method = METHOD_DELETE,
     .pattern = "/api/v1/subscriptions/{id}",
     .summary = "Ends a subscription; its events are forgotten",
     .right = RIGHT_READ,
     .parameters = one_parameters,
     .function = "onemap.http_subscription_end",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/subscriptions/{id}/events",
     .summary = "What a subscription was told, each event once and in order, from a cursor on",
     .right = RIGHT_READ,
     .parameters = event_parameters,
     .function = "onemap.http_subscription_events",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/subscriptions/{id}/resume",
     .summary = "A webhook that was disabled goes on; what it refused is sent again",
     .right = RIGHT_READ,
     .parameters = one_parameters,
     .function = "onemap.http_webhook_resume",
     .content_type = JSON_TYPE},
    {0},
};
