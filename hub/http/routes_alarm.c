/* routes_alarm.c: routes of alarms: lists, one, acknowledged and commented. Their functions are in
 * schema/rules/http_alarm.sql. */
#include "hub/http/routes.h"

enum { WORDS_BYTES = 16 * 1024, CSV_DEADLINE_S = 60 };

#define ALARM_FILTERS                                                                                                  \
    {.name = "subsystem", .kind = PARAMETER_TEXT, .low = 2, .high = 32, .meaning = "a subsystem's key, such as dust"}, \
        {.name = "rule", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "a rule's key"},                     \
        {.name = "vendor", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "a vendor's name"},                \
        {.name = "device",                                                                                             \
         .kind = PARAMETER_INTEGER,                                                                                    \
         .high = INT32_MAX,                                                                                            \
         .meaning = "a device's id; 0: of whole vendors"},                                                             \
        {.name = "department",                                                                                         \
         .kind = PARAMETER_TEXT,                                                                                       \
         .high = 32,                                                                                                   \
         .list = 50,                                                                                                   \
         .meaning = "departments by their codes; empty: none"},                                                        \
        {.name = "grid_cell", .kind = PARAMETER_TEXT, .high = 15, .list = 50, .meaning = "beginnings of grid cells"},  \
        {.name = "severity",                                                                                           \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "info minor major critical",                                                                       \
         .list = 4,                                                                                                    \
         .meaning = "how grave"},                                                                                      \
        {.name = "open", .kind = PARAMETER_BOOLEAN, .meaning = "whether the condition still holds"},                   \
        {.name = "acknowledged", .kind = PARAMETER_BOOLEAN, .meaning = "whether somebody has acknowledged it"},        \
        {.name = "from", .kind = PARAMETER_TIME, .meaning = "opened from this moment on; a day is its midnight"},      \
        {.name = "to", .kind = PARAMETER_TIME, .meaning = "opened before this moment"},                                \
        {.name = "box", .kind = PARAMETER_BOX, .meaning = "where: degrees of WGS 84"}, AREA,                           \
        {.name = "text",                                                                                               \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 100,                                                                                                  \
         .meaning = "words in rule, device, vendor or what is special"},                                               \
        AFTER_ID

static const struct parameter list_parameters[] = {ALARM_FILTERS, LIMIT, AT, {0}};
static const struct parameter csv_parameters[] = {ALARM_FILTERS, CSV_LIMIT, CSV_BOM, AT, {0}};

#define ONE_ALARM                                                                                                      \
    { .name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = ROUTES_ID_MAX, .meaning = "an alarm's id" }

static const struct parameter one_parameters[] = {ONE_ALARM, AT, {0}};
static const struct parameter act_parameters[] = {ONE_ALARM, {0}};

const struct route routes_alarm[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/alarms",
     .summary = "Alarms, newest first, page by page",
     .right = RIGHT_READ,
     .parameters = list_parameters,
     .function = "onemap.http_alarms",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/alarms.csv",
     .summary = "The same list as CSV",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_alarms_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true,
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/alarms.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_READ,
     .parameters = csv_parameters,
     .function = "onemap.http_alarms_csv",
     .sheet = "编号 经度 纬度 值",
     .content_type = XLSX_TYPE,
     .cache = "private, no-cache",
     .deadline_s = 60},
    {.method = METHOD_GET,
     .pattern = "/api/v1/alarms/{id}",
     .summary = "One alarm with its limit and what people said",
     .right = RIGHT_READ,
     .parameters = one_parameters,
     .function = "onemap.http_alarm",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/alarms/{id}/acknowledge",
     .summary = "Somebody sees to it",
     .right = RIGHT_ALARM,
     .parameters = act_parameters,
     .body = {.types = "application/json", .limit = WORDS_BYTES, .optional = true},
     .function = "onemap.http_alarm_acknowledge",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/alarms/{id}/comments",
     .summary = "Says something to an alarm",
     .right = RIGHT_ALARM,
     .parameters = act_parameters,
     .body = {.types = "application/json", .limit = WORDS_BYTES},
     .function = "onemap.http_alarm_comment",
     .content_type = JSON_TYPE},
    {0},
};
