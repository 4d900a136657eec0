/* basemap.h: base maps (底图) of the county's choice, as the file [http] basemaps describes them: where pictures come
 * from, and whether they may be shown. The file and what it names stay on the server: a template or a key never goes
 * into an answer or a log line.
 *
 *     {"basemaps": [
 *       {"name": "vec", "zh": "矢量", "en": "Streets", "coordinates": "cgcs2000", "key_file":
 * "/etc/cityhub/tianditu.key", "attribution": "天地图 GS(2024)0568号", "control_points": "/etc/cityhub/vec.csv",
 *        "layers": [{"tianditu": "vec"}, {"tianditu": "cva"}]},
 *       {"name": "own", "zh": "本县影像", "en": "Own imagery", "coordinates": "wgs84", "plain_http": true,
 *        "private_addresses": ["10.20.0.0/16"], "layers": [{"xyz": "http://10.20.0.8/tiles/{z}/{x}/{y}.png"}]},
 *       {"name": "wmts", "zh": "省影像", "en": "Province", "coordinates": "cgcs2000", "layers": [{"wmts":
 * "https://map.example.cn/wmts", "layer": "img", "style": "default", "matrix_set": "w", "matrix": "{z}", "format":
 * "image/jpeg"}]}]}
 */
#ifndef CITYHUB_BASEMAP_H
#define CITYHUB_BASEMAP_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/buffer.h"
#include "hub/basemap/basemap_check.h"

enum {
    BASEMAPS_MAX = 16,
    BASEMAP_LAYERS_MAX = 4,
    BASEMAP_NAME_MAX = 32,
    BASEMAP_ZOOM_MAX = 20,
    BASEMAP_FILE_MAX = 256 * 1024,
};

struct basemap_layer {
    char *url;               /* with {z} {x} {y} or {-y}, {s}, {key} */
    const cJSON *subdomains; /* texts for {s}; NULL = there is no {s} */
};

struct basemap {
    const char *name; /* a-z 0-9 - _, of its address */
    const char *title_zh, *title_en;
    const char *attribution; /* with the map's approval number (审图号); "" = none */
    const char *referer, *user_agent, *ca_file;
    const cJSON *private_addresses;
    bool plain_http;
    unsigned zoom_min, zoom_max;
    struct basemap_layer layers[BASEMAP_LAYERS_MAX];
    size_t layer_count;
    char *key;                    /* NULL = it needs none */
    struct basemap_report report; /* points = 0: there are no control points */
    char refused[BASEMAP_CHECK_TEXT_MAX], refused_zh[BASEMAP_CHECK_TEXT_MAX]; /* why it is not shown; "" = it is */
};

struct basemap_file {
    cJSON *document;
    struct basemap maps[BASEMAPS_MAX];
    size_t count;
};

/* Reads the file, the keys and the control points that it names. What is wrong with it goes to `faults`, a line each;
 * what is right and may not be shown is `refused` in its map. Returns 0, or CH_EINVAL / CH_EIO / CH_EMEMORY. Release
 * with basemap_file_free in either case. */
int basemap_file_read(const char *path, struct basemap_file *file, struct buffer *faults);
/* The same of a text, of NUL-terminated UTF-8. */
int basemap_file_parse(const char *text, struct basemap_file *file, struct buffer *faults);
void basemap_file_free(struct basemap_file *file);

/* NULL = there is none of this name. */
const struct basemap *basemap_find(const struct basemap_file *file, const char *name, size_t length);

/* Where a tile's picture is, with the key in it: for the transfer alone. x, y from the north-west, less than 2^z. */
void basemap_url(const struct basemap *map, size_t layer, unsigned z, uint32_t x, uint32_t y, struct buffer *url);

#endif
