/* routes_basemap.c: base maps (底图): which there are, and their pictures, which the hub fetches itself: browsers ask
 * nobody else, and see neither where a picture comes from nor the key. */
#include <inttypes.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/basemap/basemaps.h"
#include "hub/http/request.h"
#include "hub/http/routes.h"

enum {
    BASEMAP_DEADLINE_S = 20, /* one before it in the queue, and its own fetch */
    BUSY_S = 2,
};

/* ---- which there are ---- */

static void add_text(struct buffer *json, const char *name, const char *text) {
    buffer_format(json, ",\"%s\":", name);
    buffer_json(json, text, strlen(text));
}

static void add_map(struct buffer *json, const struct basemap *map) {
    bool shown = map->refused[0] == '\0';
    buffer_text(json, "{\"name\":");
    buffer_json(json, map->name, strlen(map->name));
    add_text(json, "title_zh", map->title_zh);
    add_text(json, "title_en", map->title_en);
    add_text(json, "attribution", map->attribution);
    buffer_format(json, ",\"min_zoom\":%u,\"max_zoom\":%u,\"layers\":[", map->zoom_min, map->zoom_max);
    for (size_t layer = 0; shown && layer < map->layer_count; layer++) {
        buffer_format(json, "%s\"/api/v1/basemaps/%s/%zu/{z}/{x}/{y}\"", layer == 0 ? "" : ",", map->name, layer);
    }
    buffer_format(json, "],\"control_points\":%zu", map->report.points);
    add_text(json, "refused_zh", map->refused_zh);
    add_text(json, "refused_en", map->refused);
    buffer_text(json, "}");
}

static void answer_list(struct request *request, struct answer *answer) {
    const struct basemaps *basemaps = request->service->basemaps;
    const struct basemap_file *file = basemaps == NULL ? NULL : basemaps_file(basemaps);
    struct buffer json = {0};
    buffer_text(&json, "{\"basemaps\":[");
    for (size_t i = 0; file != NULL && i < file->count; i++) {
        buffer_text(&json, i == 0 ? "" : ",");
        add_map(&json, &file->maps[i]);
    }
    buffer_text(&json, "]}");
    char *text = buffer_string(&json) == NULL ? NULL : strdup(json.data);
    buffer_free(&json);
    answer_text(answer, text);
}

/* ---- a picture ---- */

static void refuse(struct request *request, enum basemap_end end) {
    if (end == BASEMAP_NO_SUCH) {
        request_refuse(request, PROBLEM_NOTHING, "底图来源没有这里的图", "the source has no picture of this place");
    } else {
        request_refuse(request, PROBLEM_BUSY, "底图来源暂时取不到", "the base map's source does not give the picture");
        request->answer.retry_after_s = BASEMAP_PAUSE_MS / 1000;
    }
}

static void told(void *user, enum basemap_end end, struct basemap_bytes *bytes) {
    struct request *request = user;
    struct answer *answer = &request->answer;
    answer->source = (struct answer_source){0};
    answer->later = false;
    if (end != BASEMAP_PICTURE) {
        refuse(request, end);
    } else {
        char etag[ANSWER_ETAG_MAX];
        answer_etag(bytes->bytes, bytes->length, etag);
        if (request_unchanged(request, answer, etag)) {
            basemap_bytes_release(bytes);
        } else {
            answer->content_type = picture_type_name(bytes->type);
            answer->body = bytes->bytes;
            answer->length = bytes->length;
            answer->sandbox = true;
            answer->release = basemap_bytes_release;
            answer->owner = bytes;
        }
    }
    request_wake(request);
}

static void wait_closed(void *user, const char *why) {
    (void)why;
    basemaps_forget(user);
}

/* False after refusing it. */
static bool tile_of(struct request *request, struct basemap_tile *tile) {
    const struct basemaps *basemaps = request->service->basemaps;
    const struct parameter_value *name = request_value(request, "name");
    *tile = (struct basemap_tile){
        .map = basemaps == NULL ? NULL : basemap_find(basemaps_file(basemaps), name->text, name->length),
        .layer = (unsigned)request_value(request, "layer")->number,
        .z = (unsigned)request_value(request, "z")->number,
        .x = (uint32_t)request_value(request, "x")->number,
        .y = (uint32_t)request_value(request, "y")->number,
    };
    if (tile->x >> tile->z != 0 || tile->y >> tile->z != 0) {
        request_refuse(request, PROBLEM_PARAMETER, "第 %u 级的 x、y 须小于 %u", "at zoom %u x and y are less than %u",
                       tile->z, 1u << tile->z);
    } else if (tile->map == NULL || tile->layer >= tile->map->layer_count) {
        request_refuse(request, PROBLEM_NOTHING, "没有这个底图或图层", "there is no such base map or layer");
    } else if (tile->map->refused[0] != '\0') {
        request_refuse(request, PROBLEM_NOTHING, "这个底图不能使用：%s%.0s", "this base map is not shown:%.0s %s",
                       tile->map->refused_zh, tile->map->refused);
    } else if (tile->z < tile->map->zoom_min || tile->z > tile->map->zoom_max) {
        request_refuse(request, PROBLEM_NOTHING, "这个底图有第 %u 至 %u 级", "this base map has zooms from %u to %u",
                       tile->map->zoom_min, tile->map->zoom_max);
    } else {
        return true;
    }
    return false;
}

static void answer_picture(struct request *request, struct answer *answer) {
    struct basemap_tile tile;
    int code = 0;
    if (!tile_of(request, &tile)) {
        return;
    }
    struct basemap_wait *wait = basemaps_ask(request->service->basemaps, &tile, told, request, &code);
    if (wait != NULL) {
        answer->later = true;
        answer->source = (struct answer_source){.closed = wait_closed, .user = wait};
    } else if (code == CH_EMEMORY) {
        request_refuse(request, PROBLEM_INTERNAL, "内存不足", "memory is out");
    } else if (code == CH_EFULL) {
        request_refuse(request, PROBLEM_BUSY, "等待底图的请求太多", "too many requests wait for base maps");
        request->answer.retry_after_s = BUSY_S;
    } else {
        refuse(request, BASEMAP_AWAY);
    }
}

#define SIDE_MAX ((1 << BASEMAP_ZOOM_MAX) - 1)

static const struct parameter picture_parameters[] = {
    {.name = "name",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = BASEMAP_NAME_MAX - 1,
     .meaning = "the base map, of GET /api/v1/basemaps"},
    {.name = "layer",
     .kind = PARAMETER_INTEGER,
     .high = BASEMAP_LAYERS_MAX - 1,
     .meaning = "its layer, 0 = the ground"},
    {.name = "z", .kind = PARAMETER_INTEGER, .high = BASEMAP_ZOOM_MAX, .meaning = "zoom; tiles of Web Mercator"},
    {.name = "x", .kind = PARAMETER_INTEGER, .high = SIDE_MAX, .meaning = "column, from the west"},
    {.name = "y", .kind = PARAMETER_INTEGER, .high = SIDE_MAX, .meaning = "row, from the north"},
    {0},
};

const struct route routes_basemap[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/basemaps",
     .summary = "Base maps that the county has, and which are refused and why",
     .right = RIGHT_READ,
     .memory = answer_list,
     .content_type = JSON_TYPE,
     .cache = "private, no-cache",
     .etag = ETAG_BYTES,
     .compress = true},
    {.method = METHOD_GET,
     .pattern = "/api/v1/basemaps/{name}/{layer}/{z}/{x}/{y}",
     .summary =
         "A picture of a base map's layer, fetched by the hub; 404 where its source has none, 503 while it is away",
     .right = RIGHT_READ,
     .remembers = true,
     .parameters = picture_parameters,
     .memory = answer_picture,
     .content_type = "image/png",
     .more_types = "image/jpeg image/webp",
     .cache = "private, max-age=86400",
     .etag = ETAG_GIVEN,
     .deadline_s = BASEMAP_DEADLINE_S},
    {0},
};
