/* routes.h: the product's routes: rows of tables, one table a subject. A new route is a row there and an SQL function
 * (query.h); a new table is named in routes.c. */
#ifndef CITYHUB_ROUTES_H
#define CITYHUB_ROUTES_H

#include <stdint.h>

#include "hub/http/route.h"

#define JSON_TYPE "application/json; charset=utf-8"
#define TEXT_TYPE "text/plain; charset=utf-8"
#define GEOJSON_TYPE "application/geo+json"
#define CSV_TYPE "text/csv; charset=utf-8"
#define XML_TYPE "text/xml; charset=utf-8"
#define XLSX_TYPE "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

#define ROUTES_ID_MAX 9007199254740992.0 /* 2^53: what JSON's numbers tell apart */

/* Parameters that many routes have. */
#define SUBSYSTEM                                                                                                      \
    { .name = "subsystem", .kind = PARAMETER_TEXT, .low = 2, .high = 32, .meaning = "a subsystem's key, such as dust" }
#define LIMIT                                                                                                          \
    {                                                                                                                  \
        .name = "limit", .kind = PARAMETER_INTEGER, .low = 1, .high = 1000, .initial = "100",                          \
        .meaning = "entries of a page at the most"                                                                     \
    }
#define AFTER                                                                                                          \
    {                                                                                                                  \
        .name = "after", .kind = PARAMETER_INTEGER, .high = INT32_MAX, .initial = "0",                                 \
        .meaning = "next of the page before: the page begins behind it"                                                \
    }
#define DEPARTMENT                                                                                                     \
    {                                                                                                                  \
        .name = "department", .kind = PARAMETER_TEXT, .low = 1, .high = 32,                                            \
        .meaning = "only what belongs to this department or one below it"                                              \
    }
#define GRID_CELL                                                                                                      \
    { .name = "grid_cell", .kind = PARAMETER_TEXT, .low = 15, .high = 15, .meaning = "only what is in this grid cell" }
#define BOX                                                                                                            \
    { .name = "box", .kind = PARAMETER_BOX, .meaning = "only what is within west,south,east,north" }
#define AREA                                                                                                           \
    {                                                                                                                  \
        .name = "area", .kind = PARAMETER_NUMBER, .low = -180, .high = 180, .list = 200,                               \
        .meaning = "only what is within this polygon: its corners as lon,lat,lon,lat,... in degrees, three or more"    \
    }
#define FROM                                                                                                           \
    { .name = "from", .kind = PARAMETER_TIME, .meaning = "from this moment on; a day is its midnight in the county" }
#define TO                                                                                                             \
    { .name = "to", .kind = PARAMETER_TIME, .meaning = "up to before this moment; a day is its midnight in the county" }

/* Of a list or a thing that may be asked for as it was. */
#define AT                                                                                                             \
    {                                                                                                                  \
        .name = "at", .kind = PARAMETER_TIME,                                                                          \
        .meaning = "as it was at this moment, as far as it was known then; left out: now"                              \
    }

#define AFTER_ID                                                                                                       \
    {                                                                                                                  \
        .name = "after", .kind = PARAMETER_INTEGER, .low = 1, .high = ROUTES_ID_MAX,                                   \
        .meaning = "next of the page before: the page begins behind it"                                                \
    }

/* Of what is read step by step, each once and in order. */
#define AFTER_CHANGE                                                                                                   \
    {                                                                                                                  \
        .name = "after", .kind = PARAMETER_INTEGER, .high = ROUTES_ID_MAX, .initial = "0",                             \
        .meaning = "next of the answer before; 0: from the beginning"                                                  \
    }

/* Lists as CSV are row by row, so that a whole year's can be had at once. */
#define CSV_LIMIT                                                                                                      \
    {                                                                                                                  \
        .name = "limit", .kind = PARAMETER_INTEGER, .low = 1, .high = 100000,                                          \
        .meaning = "lines at the most; left out: all, and refused if there are more than that"                         \
    }
#define CSV_BOM                                                                                                        \
    { .name = "bom", .kind = PARAMETER_BOOLEAN, .meaning = "whether a byte order mark comes first, for spreadsheets" }

/* Each ends with a row without pattern. */
extern const struct route routes_hub[];
extern const struct route routes_device[];
extern const struct route routes_place[];
extern const struct route routes_case[];
extern const struct route routes_alarm[];
extern const struct route routes_score[];
extern const struct route routes_operate[];
extern const struct route routes_account[];
extern const struct route routes_live[];
extern const struct route routes_tile[];
extern const struct route routes_basemap[];
extern const struct route routes_map[];
extern const struct route routes_page[];
extern const struct route routes_ogc[];
extern const struct route routes_attachment[];
extern const struct route routes_open311[];
extern const struct route routes_order[];
extern const struct route routes_terminal[];
extern const struct route routes_subscription[];

/* All rows, one behind the other, made at the first call; not for two threads at once. Never freed. */
const struct route *routes_all(size_t *count);

#endif
