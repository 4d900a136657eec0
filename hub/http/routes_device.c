/* routes_device.c: routes of the one map's things: subsystems, devices. Their functions are in schema/rules/http.sql.
 */
#include "hub/http/routes.h"

static const struct parameter devices_parameters[] = {
    SUBSYSTEM,
    LIMIT,
    {.name = "after",
     .kind = PARAMETER_INTEGER,
     .high = INT32_MAX,
     .initial = "0",
     .meaning = "next of the page before: the page begins behind it"},
    {.name = "kind", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "only devices of this kind"},
    {.name = "online", .kind = PARAMETER_BOOLEAN, .meaning = "only devices that are online, or that are not"},
    {0},
};

const struct route routes_device[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/subsystems",
     .summary = "The subsystems with their device kinds and metrics",
     .right = RIGHT_READ,
     .function = "onemap.http_subsystems",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/subsystems/{subsystem}/devices",
     .summary = "A subsystem's devices with their last state, page by page",
     .right = RIGHT_READ,
     .parameters = devices_parameters,
     .function = "onemap.http_devices",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {0},
};
