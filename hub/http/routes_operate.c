/* routes_operate.c: routes of how the hub is: quarantine, vendors, lanes, what goes upward. Their functions are in
 * schema/rules/http_operate.sql. */
#include "hub/http/routes.h"

#define VENDOR                                                                                                         \
    { .name = "vendor", .kind = PARAMETER_TEXT, .low = 1, .high = 63, .meaning = "a vendor's name" }
#define CODE                                                                                                           \
    {                                                                                                                  \
        .name = "code", .kind = PARAMETER_TEXT, .low = 1, .high = 64,                                                  \
        .meaning = "a problem's code, such as missing_time"                                                            \
    }
#define TARGET                                                                                                         \
    { .name = "target", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "a platform above" }
#define COUNTY                                                                                                         \
    {                                                                                                                  \
        .name = "county", .kind = PARAMETER_TEXT, .low = 1, .high = 32,                                                \
        .meaning = "a county's name, as it was added here"                                                             \
    }

static const struct parameter quarantine_parameters[] = {
    SUBSYSTEM,
    VENDOR,
    {.name = "kind",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 32,
     .meaning = "telemetry, inventory, staff, work, case, interval"},
    CODE,
    {.name = "problem",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 64,
     .meaning = "the code of any of its problems; code is that of the first"},
    {.name = "from",
     .kind = PARAMETER_TIME,
     .meaning = "received from this moment on, if only once more; a day is its midnight"},
    {.name = "to", .kind = PARAMETER_TIME, .meaning = "received before this moment, for the first time"},
    {.name = "waiting", .kind = PARAMETER_BOOLEAN, .meaning = "whether it was not sent in again yet"},
    AFTER_ID,
    LIMIT,
    {0},
};

static const struct parameter message_parameters[] = {
    {.name = "id", .kind = PARAMETER_INTEGER, .low = 1, .high = ROUTES_ID_MAX, .meaning = "a message's id"},
    {0},
};

static const struct parameter replay_parameters[] = {
    SUBSYSTEM,
    VENDOR,
    CODE,
    {0},
};

static const struct parameter vendors_parameters[] = {SUBSYSTEM, {0}};

#define CONFORMITY_DAYS(since)                                                                                         \
    {.name = "from", .kind = PARAMETER_TIME, .meaning = "first day of the county; left out: " since}, {                \
        .name = "to", .kind = PARAMETER_TIME, .meaning = "last day, which is still in; left out: today"                \
    }
static const struct parameter conformity_parameters[] = {SUBSYSTEM, VENDOR, CONFORMITY_DAYS("the last day"), {0}};
static const struct parameter conformity_days_parameters[] = {
    SUBSYSTEM, VENDOR, CONFORMITY_DAYS("29 days before the last"), {0}};
static const struct parameter conformity_csv_parameters[] = {
    SUBSYSTEM, VENDOR, CONFORMITY_DAYS("29 days before the last"), CSV_LIMIT, CSV_BOM, {0}};

static const struct parameter upstream_parameters[] = {
    TARGET,
    {.name = "resource", .kind = PARAMETER_TEXT, .low = 1, .high = 32, .meaning = "what goes up, such as case_step"},
    {.name = "state",
     .kind = PARAMETER_CHOICE,
     .choices = "waiting accepted refused skipped",
     .meaning = "how it stands"},
    AFTER_ID,
    LIMIT,
    {0},
};

static const struct parameter quality_parameters[] = {
    TARGET,
    {.name = "from", .kind = PARAMETER_TIME, .meaning = "first day; the first of this month if there is none"},
    {.name = "to", .kind = PARAMETER_TIME, .meaning = "last day, which is still in; today if there is none"},
    {0},
};

static const struct parameter exchange_parameters[] = {
    COUNTY,
    {.name = "resource",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 32,
     .meaning = "what is reported, such as case_step"},
    {0},
};

static const struct parameter held_parameters[] = {
    COUNTY,
    {.name = "resource",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 32,
     .required = true,
     .meaning = "what is reported, such as case_step"},
    {.name = "after", .kind = PARAMETER_INTEGER, .low = 0, .high = ROUTES_ID_MAX, .meaning = "next of the page before"},
    {0},
};

static const struct parameter counties_parameters[] = {
    {.name = "month",
     .kind = PARAMETER_TEXT,
     .low = 7,
     .high = 7,
     .meaning = "such as 2026-10; each county's newest if there is none"},
    {0},
};

enum { EXCHANGE_BODY_BYTES = 4 << 20 };

const struct route routes_operate[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/quarantine",
     .summary = "Messages of which something could not be stored, newest first",
     .right = RIGHT_OPERATE,
     .parameters = quarantine_parameters,
     .function = "onemap.http_quarantine",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/quarantine/reasons",
     .summary = "How many messages for which reason, by vendor",
     .right = RIGHT_OPERATE,
     .function = "onemap.http_quarantine_reasons",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/quarantine/{id}",
     .summary = "One message with its problems and its beginning",
     .right = RIGHT_OPERATE,
     .parameters = message_parameters,
     .function = "onemap.http_quarantine_message",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/quarantine/{id}/payload",
     .summary = "The bytes that were received and kept",
     .right = RIGHT_OPERATE,
     .parameters = message_parameters,
     .function = "onemap.http_quarantine_payload",
     .content_type = "application/octet-stream"},
    {.method = METHOD_POST,
     .pattern = "/api/v1/quarantine/{id}/replay",
     .summary = "Let the hub take in one message once more",
     .right = RIGHT_OPERATE,
     .parameters = message_parameters,
     .function = "onemap.http_quarantine_replay",
     .content_type = JSON_TYPE},
    {.method = METHOD_POST,
     .pattern = "/api/v1/replays",
     .summary = "Let the hub take in once more what waits and fits, 200 messages at a time",
     .right = RIGHT_OPERATE,
     .parameters = replay_parameters,
     .function = "onemap.http_quarantine_replay",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors",
     .summary = "Vendors' rights, devices and last records",
     .right = RIGHT_OPERATE,
     .parameters = vendors_parameters,
     .function = "onemap.http_vendors",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors/conformity",
     .summary = "What each vendor sent in these days, and its rate of conformity",
     .right = RIGHT_OPERATE,
     .parameters = conformity_parameters,
     .function = "onemap.http_vendor_conformity",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors/conformity.csv",
     .summary = "The same as CSV, a line a vendor and day",
     .right = RIGHT_OPERATE,
     .parameters = conformity_csv_parameters,
     .function = "onemap.http_vendor_conformity_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors/conformity.xlsx",
     .summary = "The same as a workbook",
     .right = RIGHT_OPERATE,
     .parameters = conformity_csv_parameters,
     .function = "onemap.http_vendor_conformity_csv",
     .sheet = "符合率（%） 报文 记录 收下 拒收 有问题的 数据库拒收 重复 补充 更正 迟到 未报台账 重放的报文",
     .content_type = XLSX_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors/conformity/days",
     .summary = "The same day by day, of vendors that sent something",
     .right = RIGHT_OPERATE,
     .parameters = conformity_days_parameters,
     .function = "onemap.http_vendor_conformity_days",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vendors/conformity/findings",
     .summary = "What was found in vendors' messages of these days: how often, with the last example",
     .right = RIGHT_OPERATE,
     .parameters = conformity_parameters,
     .function = "onemap.http_vendor_conformity_findings",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/lanes",
     .summary = "The hub's sessions at the broker",
     .right = RIGHT_OPERATE,
     .function = "onemap.http_lanes",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/upstream",
     .summary = "What the platforms above have accepted, refused, and still wait for",
     .right = RIGHT_OPERATE,
     .function = "onemap.http_upstream",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/upstream/records",
     .summary = "What goes up to platforms above, record by record, newest first, with their answers",
     .right = RIGHT_OPERATE,
     .parameters = upstream_parameters,
     .function = "onemap.http_upstream_records",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/upstream/quality",
     .summary =
         "How complete, filled and timely what goes up is, and whether the platforms above are reached, in percent",
     .right = RIGHT_OPERATE,
     .parameters = quality_parameters,
     .function = "onemap.http_upstream_quality",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_POST,
     .pattern = "/api/v1/exchange/{county}/{resource}",
     .summary = "A county below reports; the same number and hash again change nothing",
     .right = RIGHT_EXCHANGE,
     .parameters = exchange_parameters,
     .body = {.types = "application/json", .limit = EXCHANGE_BODY_BYTES},
     .function = "onemap.http_exchange_take",
     .content_type = JSON_TYPE},
    {.method = METHOD_GET,
     .pattern = "/api/v1/exchange/{county}/ledger/records",
     .summary = "What is here of a county's reports, for its reconciliation: numbers and hashes",
     .right = RIGHT_EXCHANGE,
     .parameters = held_parameters,
     .function = "onemap.http_exchange_held",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/counties",
     .summary = "Counties that report here side by side: a month's statistics and scores",
     .right = RIGHT_OPERATE,
     .parameters = counties_parameters,
     .function = "onemap.http_counties",
     .content_type = JSON_TYPE,
     .compress = true},
    {0},
};
