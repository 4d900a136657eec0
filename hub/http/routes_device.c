/* routes_device.c: routes of the one map's things that measure and move: subsystems, metrics, devices, their series and
 * tracks. Their functions are in schema/rules/http.sql and http_{device,series,track}.sql. */
#include "hub/http/routes.h"

#define DEVICE_ID                                                                                                      \
    { .name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = INT32_MAX, .meaning = "a device's number" }
#define KEEP_FRESH .content_type = JSON_TYPE, .cache = "private, no-cache", .etag = ETAG_BYTES, .compress = true

/* What a list of devices may be narrowed down by. */
#define DEVICE_FILTERS                                                                                                 \
    SUBSYSTEM, {.name = "kind", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "only devices of this kind"}, \
        {.name = "vendor", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "only this vendor's devices"},     \
        DEPARTMENT, GRID_CELL, BOX, AREA,                                                                              \
        {.name = "state",                                                                                              \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "online offline never away in_use alarm",                                                          \
         .meaning =                                                                                                    \
             "only devices in this state, none that is retired; never: no message yet; away: offline or never; "       \
             "in_use: any of these; alarm: with an open alarm, be it retired; left out: all, the retired too"},        \
    {                                                                                                                  \
        .name = "text", .kind = PARAMETER_TEXT, .low = 2, .high = 64,                                                  \
        .meaning = "parts of code, name or component code, with blanks between them"                                   \
    }

static const struct parameter devices_parameters[] = {
    DEVICE_FILTERS,
    LIMIT,
    AFTER,
    AT,
    {.name = "readings", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "with the last readings of each"},
    {0},
};
static const struct parameter csv_parameters[] = {
    DEVICE_FILTERS,
    {.name = "bom", .kind = PARAMETER_BOOLEAN, .initial = "false", .meaning = "a byte order mark first, for Excel"},
    {0},
};
static const struct parameter device_parameters[] = {DEVICE_ID, AT, {0}};
static const struct parameter states_parameters[] = {DEVICE_FILTERS, LIMIT, AFTER, AT, {0}};
static const struct parameter metrics_parameters[] = {SUBSYSTEM, {0}};

/* What all series are asked for with. */
#define SERIES                                                                                                         \
    {.name = "metrics",                                                                                                \
     .kind = PARAMETER_TEXT,                                                                                           \
     .low = 1,                                                                                                         \
     .high = 64,                                                                                                       \
     .list = 64,                                                                                                       \
     .meaning = "keys of metrics; left out: all with numbers"},                                                        \
        FROM, TO,                                                                                                      \
        {.name = "resolution",                                                                                         \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "auto raw hourly daily",                                                                           \
         .initial = "auto",                                                                                            \
         .meaning = "auto: raw up to 2 days, hourly up to 62, else daily"},                                            \
    {                                                                                                                  \
        .name = "width", .kind = PARAMETER_INTEGER, .low = 10, .high = 20000, .initial = "600",                        \
        .meaning = "about so many points of each series at the most"                                                   \
    }

static const struct parameter device_series_parameters[] = {DEVICE_ID, SERIES, {0}};
static const struct parameter series_parameters[] = {
    {.name = "devices",
     .kind = PARAMETER_INTEGER,
     .low = 1,
     .high = INT32_MAX,
     .list = 20,
     .required = true,
     .meaning = "numbers of devices"},
    SERIES,
    {0},
};
static const struct parameter track_parameters[] = {
    DEVICE_ID,
    FROM,
    TO,
    {.name = "zoom",
     .kind = PARAMETER_INTEGER,
     .low = 5,
     .high = 22,
     .initial = "16",
     .meaning = "simplified to a pixel of this zoom"},
    {.name = "stop_m",
     .kind = PARAMETER_INTEGER,
     .low = 5,
     .high = 1000,
     .initial = "30",
     .meaning = "within so many metres it stands still"},
    {.name = "stop_s",
     .kind = PARAMETER_INTEGER,
     .low = 30,
     .high = 86400,
     .initial = "300",
     .meaning = "for so many seconds, then it is a stop"},
    {0},
};

const struct route routes_device[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/subsystems",
     .summary = "The subsystems with their device kinds and metrics",
     .right = RIGHT_READ,
     .function = "onemap.http_subsystems",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/metrics",
     .summary = "Metrics with unit, range, normal range and limits",
     .right = RIGHT_READ,
     .parameters = metrics_parameters,
     .function = "onemap.http_metrics",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices",
     .summary = "Devices with their state, page by page",
     .right = RIGHT_READ,
     .parameters = devices_parameters,
     .function = "onemap.http_devices",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices.csv",
     .summary = "All devices that fit, as a table",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_devices_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .cache = "private, no-cache",
     .compress = true,
     .deadline_s = 60},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_devices_csv",
     .sheet = "id lon lat alarms",
     .content_type = XLSX_TYPE,
     .cache = "private, no-cache",
     .deadline_s = 60},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices/{id}",
     .summary = "One device: readings with ranges, alarms, cases at it and near it, work",
     .right = RIGHT_READ,
     .parameters = device_parameters,
     .function = "onemap.http_device",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/states",
     .summary = "States of devices with their last readings and places, now or at a moment, page by page",
     .right = RIGHT_READ,
     .parameters = states_parameters,
     .function = "onemap.http_states",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices/{id}/series",
     .summary = "A device's readings over time",
     .right = RIGHT_READ,
     .parameters = device_series_parameters,
     .function = "onemap.http_device_series",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/series",
     .summary = "Several devices' readings over time",
     .right = RIGHT_READ,
     .parameters = series_parameters,
     .function = "onemap.http_series",
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/devices/{id}/track",
     .summary = "Where a device was, and where it stood",
     .right = RIGHT_READ,
     .parameters = track_parameters,
     .function = "onemap.http_device_track",
     KEEP_FRESH},
    {0},
};
