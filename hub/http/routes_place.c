/* routes_place.c: routes of people, vehicles and work, of places, and of looking for things. Their functions are in
 * schema/rules/http_{people,work,place,search}.sql. */
#include "hub/http/routes.h"

enum { CSV_DEADLINE_S = 60 };

#define TEXT                                                                                                           \
    {                                                                                                                  \
        .name = "text", .kind = PARAMETER_TEXT, .low = 2, .high = 64,                                                  \
        .meaning = "parts of code, name or plate, with blanks between them"                                            \
    }
#define ON_DUTY                                                                                                        \
    { .name = "on_duty", .kind = PARAMETER_BOOLEAN, .meaning = "only who is on duty, or who is not" }
#define CODE_AFTER(digits)                                                                                             \
    {                                                                                                                  \
        .name = "after", .kind = PARAMETER_TEXT, .low = digits, .high = digits,                                        \
        .meaning = "next of the page before: the page begins behind it"                                                \
    }
#define KEEP_FRESH .cache = "private, no-cache", .etag = ETAG_BYTES, .compress = true

static const struct parameter people_parameters[] = {SUBSYSTEM, DEPARTMENT, ON_DUTY, TEXT, LIMIT, AFTER, AT, {0}};
#define DAY                                                                                                            \
    { .name = "day", .kind = PARAMETER_TIME, .meaning = "a day of the county; left out: today" }
static const struct parameter attendance_parameters[] = {DAY, SUBSYSTEM, DEPARTMENT, LIMIT, AFTER, {0}};
static const struct parameter attendance_csv_parameters[] = {DAY, SUBSYSTEM, DEPARTMENT, CSV_LIMIT, CSV_BOM, {0}};
#define WORK_FILTERS                                                                                                   \
    SUBSYSTEM, DEPARTMENT,                                                                                             \
        {.name = "status",                                                                                             \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "planned started finished cancelled",                                                              \
         .meaning = "only work that stands so"},                                                                       \
        {.name = "is",                                                                                                 \
         .kind = PARAMETER_CHOICE,                                                                                     \
         .choices = "due met started_late ended_late",                                                                 \
         .meaning = "only work that counts so; due: not cancelled; met: finished, and not late"},                      \
        {.name = "unit",                                                                                               \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 32,                                                                                                   \
         .meaning = "only this department's own work, not of those below it; -: of none"},                             \
        {.name = "standard",                                                                                           \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 128,                                                                                                  \
         .meaning = "only work held to the standard of this code; -: to none"},                                        \
        {.name = "device",                                                                                             \
         .kind = PARAMETER_INTEGER,                                                                                    \
         .low = 1,                                                                                                     \
         .high = INT32_MAX,                                                                                            \
         .meaning = "only work at this device"},                                                                       \
        {.name = "person",                                                                                             \
         .kind = PARAMETER_INTEGER,                                                                                    \
         .high = INT32_MAX,                                                                                            \
         .meaning = "only this person's work; 0: work that names nobody"},                                             \
        {.name = "role",                                                                                               \
         .kind = PARAMETER_TEXT,                                                                                       \
         .low = 1,                                                                                                     \
         .high = 64,                                                                                                   \
         .meaning = "only work of people of this role; -: of none"},                                                   \
        {.name = "vehicle",                                                                                            \
         .kind = PARAMETER_INTEGER,                                                                                    \
         .low = 1,                                                                                                     \
         .high = INT32_MAX,                                                                                            \
         .meaning = "only this vehicle's work"},                                                                       \
        FROM, TO, AT

static const struct parameter work_parameters[] = {WORK_FILTERS, LIMIT, AFTER_ID, {0}};
static const struct parameter work_csv_parameters[] = {WORK_FILTERS, CSV_LIMIT, CSV_BOM, {0}};
static const struct parameter summary_parameters[] = {
    {.name = "by",
     .kind = PARAMETER_CHOICE,
     .choices = "unit person role month",
     .initial = "unit",
     .meaning = "beside the subsystem"},
    SUBSYSTEM,
    DEPARTMENT,
    FROM,
    TO,
    AT,
    {0},
};
static const struct parameter grid_cells_parameters[] = {DEPARTMENT, BOX, LIMIT, CODE_AFTER(15), AT, {0}};
static const struct parameter components_parameters[] = {DEPARTMENT, GRID_CELL, BOX, LIMIT, CODE_AFTER(16), {0}};
static const struct parameter departments_parameters[] = {
    {.name = "area",
     .kind = PARAMETER_BOOLEAN,
     .initial = "false",
     .meaning = "with the area of each, of its grid cells"},
    AT,
    {0},
};
static const struct parameter zones_parameters[] = {
    {.name = "kind",
     .kind = PARAMETER_CHOICE,
     .choices = "disposal_yard construction_site no_entry other",
     .meaning = "only zones of this kind"},
    {.name = "valid", .kind = PARAMETER_BOOLEAN, .meaning = "only zones that are in force, or that are not"},
    BOX,
    LIMIT,
    AFTER,
    AT,
    {0},
};
static const struct parameter search_parameters[] = {
    {.name = "q",
     .kind = PARAMETER_TEXT,
     .low = 2,
     .high = 64,
     .required = true,
     .meaning = "parts of a code, name, address or plate, with blanks between them"},
    {.name = "kinds",
     .kind = PARAMETER_CHOICE,
     .choices = "device case vehicle person component grid_cell zone department",
     .list = 8,
     .initial = "device,case,vehicle,person,component,grid_cell,zone,department",
     .meaning = "kinds of things, in the order of the answer"},
    {.name = "limit",
     .kind = PARAMETER_INTEGER,
     .low = 1,
     .high = 100,
     .initial = "10",
     .meaning = "results of each kind at the most"},
    {0},
};
static const struct parameter nearby_parameters[] = {
    {.name = "lon",
     .kind = PARAMETER_NUMBER,
     .low = -180,
     .high = 180,
     .required = true,
     .meaning = "longitude in degrees, WGS 84"},
    {.name = "lat",
     .kind = PARAMETER_NUMBER,
     .low = -85,
     .high = 85,
     .required = true,
     .meaning = "latitude in degrees, WGS 84"},
    {.name = "metres", .kind = PARAMETER_NUMBER, .low = 1, .high = 5000, .initial = "200", .meaning = "how far away"},
    {.name = "kinds",
     .kind = PARAMETER_CHOICE,
     .choices = "device person vehicle case",
     .list = 4,
     .initial = "device,person,vehicle,case",
     .meaning = "kinds of things"},
    {.name = "limit",
     .kind = PARAMETER_INTEGER,
     .low = 1,
     .high = 200,
     .initial = "20",
     .meaning = "of each kind at the most"},
    {0},
};

const struct route routes_place[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/people",
     .summary = "People on duty with their place",
     .right = RIGHT_READ,
     .parameters = people_parameters,
     .function = "onemap.http_people",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/vehicles",
     .summary = "Vehicles on duty with their place",
     .right = RIGHT_READ,
     .parameters = people_parameters,
     .function = "onemap.http_vehicles",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/attendance",
     .summary = "In how many hours of a day people's terminals sent",
     .right = RIGHT_READ,
     .parameters = attendance_parameters,
     .function = "onemap.http_attendance",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/attendance.csv",
     .summary = "The same list as CSV",
     .right = RIGHT_READ,
     .parameters = attendance_csv_parameters,
     .function = "onemap.http_attendance_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true,
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/attendance.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_READ,
     .parameters = attendance_csv_parameters,
     .function = "onemap.http_attendance_csv",
     .sheet = "上报小时",
     .content_type = XLSX_TYPE,
     .cache = "private, no-cache",
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/work",
     .summary = "Work orders with standard and performance, the newest first",
     .right = RIGHT_READ,
     .parameters = work_parameters,
     .function = "onemap.http_work",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/work.csv",
     .summary = "The same list as CSV",
     .right = RIGHT_READ,
     .parameters = work_csv_parameters,
     .function = "onemap.http_work_csv",
     .by_row = true,
     .content_type = CSV_TYPE,
     .compress = true,
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/work.xlsx",
     .summary = "The same list as a workbook",
     .right = RIGHT_READ,
     .parameters = work_csv_parameters,
     .function = "onemap.http_work_csv",
     .sheet = "编号 晚开始秒 晚完成秒 用时秒 数量 质量分 经度 纬度",
     .content_type = XLSX_TYPE,
     .cache = "private, no-cache",
     .deadline_s = CSV_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/work/summary",
     .summary = "Work summed up by subsystem and department, person, role or month",
     .right = RIGHT_READ,
     .parameters = summary_parameters,
     .function = "onemap.http_work_summary",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/grid_cells",
     .summary = "Unit grid cells as GeoJSON",
     .right = RIGHT_READ,
     .parameters = grid_cells_parameters,
     .function = "onemap.http_grid_cells",
     .content_type = GEOJSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/zones",
     .summary = "Zones as GeoJSON",
     .right = RIGHT_READ,
     .parameters = zones_parameters,
     .function = "onemap.http_zones",
     .content_type = GEOJSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/departments",
     .summary = "Departments as GeoJSON",
     .right = RIGHT_READ,
     .parameters = departments_parameters,
     .function = "onemap.http_departments",
     .content_type = GEOJSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/components",
     .summary = "Components as GeoJSON",
     .right = RIGHT_READ,
     .parameters = components_parameters,
     .function = "onemap.http_components",
     .content_type = GEOJSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/search",
     .summary = "Things by a part of their code, name, address or plate",
     .right = RIGHT_READ,
     .parameters = search_parameters,
     .function = "onemap.http_search",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {.method = METHOD_GET,
     .pattern = "/api/v1/nearby",
     .summary = "Things within so many metres of a place",
     .right = RIGHT_READ,
     .parameters = nearby_parameters,
     .function = "onemap.http_nearby",
     .content_type = JSON_TYPE,
     KEEP_FRESH},
    {0},
};
