/* routes_ogc.c: OGC API - Features. Which collections there are, what their features say, and the document that
 * describes all this is in schema/rules/http_ogc.sql. */
#include "hub/http/routes.h"

#define COLLECTION                                                                                                     \
    { .name = "collection", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "a collection's id" }
#define CRS                                                                                                            \
    {                                                                                                                  \
        .name = "crs", .kind = PARAMETER_TEXT, .low = 1, .high = 80,                                                   \
        .meaning = "URI of the reference system of the answer"                                                         \
    }
#define QUERYABLE(property)                                                                                            \
    {                                                                                                                  \
        .name = property, .kind = PARAMETER_TEXT, .low = 1, .high = 128,                                               \
        .meaning = "only features with this value, in collections that have it as a queryable"                         \
    }
#define BEHIND_LOGIN .method = METHOD_GET, .right = RIGHT_READ, .links = true, .compress = true
#define KEEP_FRESH .cache = "private, no-cache", .etag = ETAG_BYTES

static const struct parameter collection_parameters[] = {COLLECTION, {0}};
static const struct parameter items_parameters[] = {
    COLLECTION,
    {.name = "limit",
     .kind = PARAMETER_INTEGER,
     .low = 1,
     .high = 5000,
     .clamp = true,
     .initial = "100",
     .meaning = "features of a page at the most; more counts as the most"},
    {.name = "bbox",
     .kind = PARAMETER_NUMBER,
     .low = -1e8,
     .high = 1e8,
     .list = 6,
     .meaning = "four or six numbers, in the order of bbox-crs: only what is within, or has no place"},
    {.name = "bbox-crs",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 80,
     .meaning = "URI of the reference system of bbox"},
    {.name = "datetime",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 80,
     .meaning = "a moment, a day, a/b, ../b or a/..: only what is then, or has no time"},
    CRS,
    {.name = "cursor", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "given by the link next"},
    QUERYABLE("code"),
    QUERYABLE("kind"),
    QUERYABLE("subsystem"),
    QUERYABLE("vendor"),
    QUERYABLE("department"),
    QUERYABLE("grid_cell"),
    QUERYABLE("state"),
    QUERYABLE("category"),
    QUERYABLE("rule"),
    QUERYABLE("severity"),
    {0},
};
static const struct parameter item_parameters[] = {
    COLLECTION,
    {.name = "fid", .kind = PARAMETER_TEXT, .low = 1, .high = 64, .meaning = "a feature's id"},
    CRS,
    {0},
};

const struct route routes_ogc[] = {
    {.pattern = "/ogc",
     .summary = "OGC API - Features: where things are",
     .function = "onemap.http_ogc",
     .content_type = JSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/",
     .summary = "The same, as the standard's path",
     .function = "onemap.http_ogc",
     .content_type = JSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/api",
     .summary = "What is under /ogc, as OpenAPI 3.0",
     .function = "onemap.http_ogc_api",
     .content_type = "application/vnd.oai.openapi+json;version=3.0",
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/conformance",
     .summary = "To which parts of the standard it conforms",
     .function = "onemap.http_ogc_conformance",
     .content_type = JSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/collections",
     .summary = "All collections of features",
     .function = "onemap.http_ogc_collections",
     .content_type = JSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/collections/{collection}",
     .summary = "One collection",
     .parameters = collection_parameters,
     .function = "onemap.http_ogc_collection",
     .content_type = JSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/collections/{collection}/queryables",
     .summary = "By what its features can be asked for",
     .parameters = collection_parameters,
     .function = "onemap.http_ogc_queryables",
     .content_type = "application/schema+json",
     BEHIND_LOGIN,
     KEEP_FRESH},
    {.pattern = "/ogc/collections/{collection}/items",
     .summary = "A page of its features as GeoJSON",
     .parameters = items_parameters,
     .function = "onemap.http_ogc_items",
     .content_type = GEOJSON_TYPE,
     .cache = "private, no-cache",
     BEHIND_LOGIN},
    {.pattern = "/ogc/collections/{collection}/items/{fid}",
     .summary = "One of its features as GeoJSON",
     .parameters = item_parameters,
     .function = "onemap.http_ogc_item",
     .content_type = GEOJSON_TYPE,
     BEHIND_LOGIN,
     KEEP_FRESH},
    {0},
};
