/* routes_map.c: how much the map shows, counted from the points in memory that its tiles come from: so numbers and
 * picture agree, and who looks asks no database, but for a moment of the past; and what it cannot show
 * (schema/rules/http_unplaced.sql). Must never count what who asks may not see. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/http/identity.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"
#include "hub/live/tiles.h"

enum { SUBSYSTEMS_MAX = 64 };

/* Of a subsystem, which is a kind's name up to its slash. */
struct tally_row {
    const char *name;
    size_t length;
    uint32_t online, offline, alarms;
};

struct tally {
    const struct points *points;
    const struct tile_scope *scope;
    struct point_box box;
    size_t count;
    struct tally_row rows[SUBSYSTEMS_MAX];
    uint32_t cases;
};

static struct tally_row *row_of(struct tally *tally, const struct point *point) {
    const char *kind = points_word(tally->points, point->kind);
    size_t length = strcspn(kind, "/");
    for (size_t i = 0; i < tally->count; i++) {
        if (tally->rows[i].length == length && memcmp(tally->rows[i].name, kind, length) == 0) {
            return &tally->rows[i];
        }
    }
    if (tally->count == SUBSYSTEMS_MAX) {
        return NULL;
    }
    tally->rows[tally->count] = (struct tally_row){.name = kind, .length = length};
    return &tally->rows[tally->count++];
}

static bool is_counted(const struct tally *tally, const struct point *point) {
    const struct point_box *box = &tally->box;
    return tile_scope_has(tally->scope, point->department) && point->place.x >= box->west &&
           point->place.x <= box->east && point->place.y >= box->north && point->place.y <= box->south;
}

static void visit_device(void *user, const struct point *point) {
    struct tally *tally = user;
    struct tally_row *row = is_counted(tally, point) ? row_of(tally, point) : NULL;
    if (row != NULL) {
        bool online = strcmp(points_word(tally->points, point->state), "online") == 0;
        row->online += online;
        row->offline += !online;
    }
}

static void visit_alarm(void *user, const struct point *point) {
    struct tally *tally = user;
    struct tally_row *row = is_counted(tally, point) ? row_of(tally, point) : NULL;
    if (row != NULL) {
        row->alarms++;
    }
}

static void visit_case(void *user, const struct point *point) {
    struct tally *tally = user;
    tally->cases += is_counted(tally, point);
}

/* The whole world, or the parameter's box: two if it lies over the date line. Returns how many. */
static size_t boxes_of(struct request *request, struct point_box boxes[static 2]) {
    const struct parameter_value *given = request_value(request, "box");
    double west, south, east, north;
    boxes[0] = (struct point_box){.east = UINT32_MAX, .south = UINT32_MAX};
    if (!given->given || sscanf(given->text, "%lf,%lf,%lf,%lf", &west, &south, &east, &north) != 4) {
        return 1;
    }
    struct point_place north_west = point_place(west, north), south_east = point_place(east, south);
    boxes[0] =
        (struct point_box){.west = north_west.x, .north = north_west.y, .east = south_east.x, .south = south_east.y};
    if (west <= east) {
        return 1;
    }
    boxes[1] = boxes[0];
    boxes[0].east = UINT32_MAX;
    boxes[1].west = 0;
    return 2;
}

static char *tally_json(const struct tally *tally) {
    struct buffer json = {0};
    buffer_text(&json, "{\"subsystems\":[");
    for (size_t i = 0; i < tally->count; i++) {
        const struct tally_row *row = &tally->rows[i];
        buffer_text(&json, i == 0 ? "{\"subsystem\":" : ",{\"subsystem\":");
        buffer_json(&json, row->name, row->length);
        buffer_format(&json, ",\"online\":%" PRIu32 ",\"offline\":%" PRIu32 ",\"alarms\":%" PRIu32 "}", row->online,
                      row->offline, row->alarms);
    }
    buffer_format(&json, "],\"cases\":%" PRIu32 "}", tally->cases);
    if (buffer_string(&json) == NULL) {
        buffer_free(&json);
        return NULL;
    }
    return json.data; /* from malloc, ended by a NUL */
}

static void answer_counts(struct request *request, struct answer *answer) {
    static void (*const visits[POINT_LAYERS])(void *, const struct point *) = {
        [POINT_DEVICE] = visit_device, [POINT_ALARM] = visit_alarm, [POINT_CASE] = visit_case};
    const struct tiles *tiles = request->service->source->tiles;
    const struct tile_scope *scope = identity_scope(request);
    struct tally *tally = calloc(1, sizeof *tally);
    if (scope == NULL || tally == NULL) {
        free(tally);
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
        return;
    }
    bool loaded = tiles != NULL;
    for (enum point_layer layer = 0; loaded && layer < POINT_LAYERS; layer++) {
        loaded = points_loaded(tiles->points, layer);
    }
    if (!loaded) {
        free(tally);
        request_refuse(request, PROBLEM_BUSY, "地图正在载入", "the map is being loaded");
        return;
    }
    tally->points = tiles->points;
    tally->scope = scope;
    struct point_box boxes[2];
    size_t box_count = boxes_of(request, boxes);
    for (size_t i = 0; i < box_count; i++) {
        tally->box = boxes[i];
        for (enum point_layer layer = 0; layer < POINT_LAYERS; layer++) {
            points_under(tiles->points, layer, &tally->box, visits[layer], tally);
        }
    }
    answer->age_s = tiles_age_s(tiles);
    answer_text(answer, tally_json(tally));
    free(tally);
}

static const struct parameter counts_parameters[] = {BOX, AT, {0}};

static const struct parameter cells_parameters[] = {
    {.name = "by",
     .kind = PARAMETER_CHOICE,
     .choices = "alarms rounds",
     .required = true,
     .meaning = "open alarms, or rounds: terminals of people in the last eight hours, each once in ten minutes"},
    SUBSYSTEM,
    DEPARTMENT,
    AT,
    {0},
};

static const struct parameter unplaced_parameters[] = {
    {.name = "what",
     .kind = PARAMETER_CHOICE,
     .choices = "device case message",
     .required = true,
     .meaning = "devices, open cases, or messages in quarantine"},
    {.name = "flaw",
     .kind = PARAMETER_CHOICE,
     .choices = "none zero exchanged sign outside doubtful system unreadable",
     .meaning = "only those of which this is wrong"},
    SUBSYSTEM,
    AFTER_CHANGE,
    LIMIT,
    {0},
};

const struct route routes_map[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/map/counts",
     .summary = "How many devices and open alarms of each subsystem, and open cases, the map has, or had at a moment",
     .right = RIGHT_READ,
     .remembers = true,
     .parameters = counts_parameters,
     .memory = answer_counts,
     .past = "onemap.http_map_counts",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/map/movers",
     .summary = "What moves, each with its last place: what a map begins with before the stream's positions",
     .right = RIGHT_READ,
     .function = "onemap.http_map_movers",
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/map/cells",
     .summary = "How many alarms, or rounds of people, each grid cell has, or had at a moment",
     .right = RIGHT_READ,
     .parameters = cells_parameters,
     .function = "onemap.http_map_cells",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/unplaced/counts",
     .summary = "How many devices, open cases and messages the map cannot show, and why",
     .right = RIGHT_READ,
     .function = "onemap.http_unplaced_counts",
     .content_type = JSON_TYPE,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/unplaced",
     .summary = "The devices, open cases or messages that the map cannot show",
     .right = RIGHT_READ,
     .parameters = unplaced_parameters,
     .function = "onemap.http_unplaced",
     .content_type = JSON_TYPE,
     .compress = true},
    {0},
};
