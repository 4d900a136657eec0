/* basemap.c: reads the file of base maps. Must never put a template or a key into what it says. */
#include "hub/basemap/basemap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/address_range.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/base/text.h"

enum {
    KEY_MAX = 512,
    TEMPLATE_MAX = 2000,
    TITLE_MAX = 60,
    ATTRIBUTION_MAX = 180,
    AGENT_MAX = 240,
    POINTS_FILE_MAX = 1 << 20
};

#define FAULT(faults, ...) (buffer_format((faults), __VA_ARGS__), buffer_text((faults), "\n"))

/* Bytes that stand for themselves in a URL's query (RFC 3986, 2.3). */
static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

static void escape(struct buffer *url, const char *text) {
    for (; *text != '\0'; text++) {
        if (strchr(unreserved, *text) != NULL) {
            buffer_bytes(url, text, 1);
        } else {
            buffer_format(url, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

/* Whether all members of an object are among `known`, words with blanks between them. */
static void check_members(const cJSON *object, const char *where, const char *known, struct buffer *faults) {
    if (!cJSON_IsObject(object)) {
        FAULT(faults, "%s: must be an object", where);
        return;
    }
    for (const cJSON *stray = object->child; (stray = member_stray(stray, known)) != NULL; stray = stray->next) {
        char shown[DECODE_SHOWN_MAX];
        FAULT(faults, "%s: there is no member %s; it may have %s", where,
              text_show(shown, stray->string, strlen(stray->string)), known);
    }
}

/* ---- a layer's template ---- */

static char *copy_of(struct buffer *text) {
    const char *whole = buffer_string(text);
    char *copy = whole == NULL ? NULL : strdup(whole);
    buffer_free(text);
    return copy;
}

/* 天地图's own address, or `host` of a province's node, which speaks the same. */
static char *tianditu_url(const char *layer, const char *host) {
    struct buffer url = {0};
    buffer_format(
        &url,
        "%s/%s_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=%s&STYLE=default&TILEMATRIXSET=w&FORMAT="
        "tiles&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}&tk={key}",
        *host == '\0' ? "https://t{s}.tianditu.gov.cn" : host, layer, layer);
    return copy_of(&url);
}

static char *wmts_url(const cJSON *layer) {
    static const struct {
        const char *parameter, *member, *otherwise;
    } parts[] = {{"LAYER", "layer", ""},
                 {"STYLE", "style", "default"},
                 {"TILEMATRIXSET", "matrix_set", ""},
                 {"FORMAT", "format", "image/png"}};
    const char *address = member_text(layer, "wmts"), *matrix = member_text(layer, "matrix");
    const char *key = member_text(layer, "key_parameter");
    struct buffer url = {0};
    buffer_format(&url, "%s%sSERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0", address,
                  strchr(address, '?') == NULL ? "?" : "&");
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const char *value = member_text(layer, parts[i].member);
        buffer_format(&url, "&%s=", parts[i].parameter);
        escape(&url, *value == '\0' ? parts[i].otherwise : value);
    }
    buffer_text(&url, "&TILEMATRIX=");
    const char *zoom = strstr(matrix, "{z}");
    for (const char *at = matrix; at != zoom && *at != '\0'; at++) {
        escape(&url, (char[]){*at, '\0'});
    }
    buffer_text(&url, "{z}");
    escape(&url, zoom == NULL ? "" : zoom + 3);
    buffer_text(&url, "&TILEROW={y}&TILECOL={x}");
    if (*key != '\0') {
        buffer_text(&url, "&");
        escape(&url, key);
        buffer_text(&url, "={key}");
    }
    return copy_of(&url);
}

/* ---- where it leads ---- */

/* Hosts whose pictures are shifted, whatever a file says of them (public documentation of their owners' coordinates;
 * streets of google.cn likewise, assumed). */
static const struct {
    const char *host, *system;
} shifted_hosts[] = {
    {"autonavi.com", "GCJ-02"}, {"amap.com", "GCJ-02"},     {"gtimg.com", "GCJ-02"},
    {"map.qq.com", "GCJ-02"},   {"google.cn", "GCJ-02"},    {"geoq.cn", "GCJ-02"},
    {"bdimg.com", "BD-09"},     {"map.baidu.com", "BD-09"}, {"bdstatic.com", "BD-09"},
};

static const char *host_of(const char *url, size_t *length) {
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    *length = strcspn(host, ":/?#");
    return host;
}

/* NULL = not known to be. */
static const char *shifted_system(const char *url) {
    size_t length;
    const char *host = host_of(url, &length);
    for (size_t i = 0; i < COUNT_OF(shifted_hosts); i++) {
        size_t size = strlen(shifted_hosts[i].host);
        if (length >= size && strncasecmp(host + length - size, shifted_hosts[i].host, size) == 0 &&
            (length == size || host[length - size - 1] == '.')) {
            return shifted_hosts[i].system;
        }
    }
    return NULL;
}

static void check_template(const struct basemap *map, const struct basemap_layer *layer, const char *where,
                           struct buffer *faults) {
    static const char *const places[] = {"{z}", "{x}", "{y}", "{-y}", "{s}", "{key}"};
    unsigned found = 0;
    for (const char *at = strchr(layer->url, '{'); at != NULL; at = strchr(at + 1, '{')) {
        size_t place = 0;
        while (place < COUNT_OF(places) && strncmp(at, places[place], strlen(places[place])) != 0) {
            place++;
        }
        if (place == COUNT_OF(places)) {
            FAULT(faults, "%s: the address has a { that is none of {z} {x} {y} {-y} {s} {key}", where);
            return;
        }
        found |= 1u << place;
    }
    size_t host_length;
    const char *host = host_of(layer->url, &host_length);
    for (size_t i = 0; layer->url[i] != '\0'; i++) {
        if (layer->url[i] <= ' ' || layer->url[i] > '~') {
            FAULT(faults, "%s: the address has a blank or a character that must be written with %%", where);
            return;
        }
    }
    if (strncmp(layer->url, "https://", 8) != 0 && !(strncmp(layer->url, "http://", 7) == 0 && map->plain_http)) {
        FAULT(faults, "%s: the address must begin with https://, or with http:// if plain_http is true", where);
    }
    if (memchr(host, '@', strcspn(host, "/?#")) != NULL) {
        FAULT(faults, "%s: the address must not have a login in it", where);
    }
    if ((found & 3) != 3 || (found & 12) == 0) {
        FAULT(faults, "%s: the address needs {z}, {x} and {y} (or {-y}, if its rows count from the south)", where);
    }
    if (((found & 16) != 0) != (cJSON_GetArraySize(layer->subdomains) > 0)) {
        FAULT(faults, "%s: {s} in the address and subdomains go together", where);
    }
    if ((found & 32) != 0 && map->key == NULL) {
        FAULT(faults, "%s: it needs a key: key_file is missing", where);
    }
}

static void check_wmts(const cJSON *layer, const char *where, struct buffer *faults) {
    static const char *const foreign[] = {"4490", "4326", "CRS84"};
    const char *set = member_text(layer, "matrix_set"), *matrix = member_text(layer, "matrix");
    if (*member_text(layer, "layer") == '\0' || *set == '\0') {
        FAULT(faults, "%s: a WMTS needs layer and matrix_set", where);
    }
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        if (strstr(set, foreign[i]) != NULL) {
            FAULT(faults,
                  "%s: matrix_set is in degrees, and the page draws Web Mercator (EPSG:3857): name the set of that, or "
                  "have the source reprojected (mapproxy does it)",
                  where);
        }
    }
    if (*matrix != '\0' && strstr(matrix, "{z}") == NULL) {
        FAULT(faults, "%s: matrix must have {z} in it", where);
    }
}

static void read_layer(struct basemap *map, cJSON *from, const char *name, struct buffer *faults) {
    static const char *const tianditu[] = {"vec", "cva", "img", "cia", "ter", "cta"};
    struct basemap_layer *layer = &map->layers[map->layer_count];
    char where[96];
    snprintf(where, sizeof where, "%s: layers[%zu]", name, map->layer_count);
    const char *own = member_text(from, "tianditu"), *xyz = member_text(from, "xyz");
    check_members(from, where,
                  *own != '\0'   ? "tianditu url subdomains"
                  : *xyz != '\0' ? "xyz subdomains"
                                 : "wmts layer style matrix_set matrix format key_parameter subdomains",
                  faults);
    layer->subdomains = member_get(from, "subdomains");
    if (*own != '\0') {
        bool known = false;
        for (size_t i = 0; i < COUNT_OF(tianditu); i++) {
            known = known || strcmp(own, tianditu[i]) == 0;
        }
        if (!known) {
            FAULT(faults, "%s: tianditu must be vec, cva, img, cia, ter or cta", where);
        }
        const char *host = member_text(from, "url");
        layer->url = tianditu_url(known ? own : "vec", host);
        if (*host == '\0' && layer->subdomains == NULL) {
            member_add_words(from, "subdomains", "0 1 2 3 4 5 6 7");
            layer->subdomains = member_get(from, "subdomains");
        }
    } else if (*xyz != '\0') {
        layer->url = strdup(xyz);
    } else if (*member_text(from, "wmts") != '\0') {
        check_wmts(from, where, faults);
        layer->url = wmts_url(from);
    } else {
        FAULT(faults, "%s: it must have tianditu, xyz or wmts", where);
        return;
    }
    map->layer_count++;
    const cJSON *word;
    cJSON_ArrayForEach(word, layer->subdomains) {
        const char *text = cJSON_GetStringValue(word);
        if (text == NULL || *text == '\0' || strlen(text) > 32 || text[strspn(text, unreserved)] != '\0') {
            FAULT(faults, "%s: subdomains must be a list of words such as \"t0\"", where);
            return;
        }
    }
    if (layer->url == NULL || strlen(layer->url) > TEMPLATE_MAX) {
        FAULT(faults, "%s: the address is too long", where);
    } else {
        check_template(map, layer, where, faults);
    }
}

/* ---- whether it may be shown ---- */

static void refuse_shifted(struct basemap *map, const char *system, bool host) {
    snprintf(
        map->refused, sizeof map->refused,
        "%s %s: devices, which are in WGS 84, would not be where it shows them; use a source in CGCS2000 or WGS 84, "
        "or have it corrected by a proxy of your own",
        host ? "its host's pictures are in" : "its coordinates are", system);
    snprintf(map->refused_zh, sizeof map->refused_zh, "%s %s 加偏的，不能使用；请换 CGCS2000 或 WGS 84 的来源",
             host ? "来源的图是" : "坐标是", system);
}

static void check_coordinates(struct basemap *map, const cJSON *from, const char *name, struct buffer *faults) {
    static const struct {
        const char *word, *system; /* system: NULL = right */
    } known[] = {{"wgs84", NULL}, {"cgcs2000", NULL}, {"gcj02", "GCJ-02"}, {"bd09", "BD-09"}};
    const char *word = member_text(from, "coordinates");
    size_t i = 0;
    while (i < COUNT_OF(known) && strcmp(word, known[i].word) != 0) {
        i++;
    }
    if (i == COUNT_OF(known)) {
        FAULT(faults, "%s: coordinates must be wgs84 or cgcs2000 (gcj02 and bd09 are refused)", name);
    } else if (known[i].system != NULL) {
        refuse_shifted(map, known[i].system, false);
    }
    for (size_t layer = 0; layer < map->layer_count && map->refused[0] == '\0'; layer++) {
        const char *system = map->layers[layer].url == NULL ? NULL : shifted_system(map->layers[layer].url);
        if (system != NULL) {
            refuse_shifted(map, system, true);
        }
    }
}

static void check_points(struct basemap *map, const cJSON *from, const char *name, struct buffer *faults) {
    const char *path = member_text(from, "control_points");
    double tolerance_m = member_number(from, "tolerance_m", BASEMAP_TOLERANCE_M);
    if (!(tolerance_m >= 1 && tolerance_m <= BASEMAP_TOLERANCE_MAX_M)) {
        FAULT(faults, "%s: tolerance_m must be from 1 to %.0f", name, BASEMAP_TOLERANCE_MAX_M);
        return;
    }
    if (*path == '\0') {
        return;
    }
    char problem[FILE_PROBLEM_MAX], why[BASEMAP_CHECK_TEXT_MAX];
    size_t length = 0, count = 0;
    char *text = file_read(path, POINTS_FILE_MAX, &length, problem);
    struct basemap_point *points = calloc(BASEMAP_POINTS_MAX, sizeof *points);
    if (text == NULL || points == NULL) {
        FAULT(faults, "%s: control_points: %s: %s", name, path, text == NULL ? problem : "there is no memory left");
    } else if (basemap_points_read(text, length, points, &count, why) != 0) {
        FAULT(faults, "%s: control_points: %s: %s", name, path, why);
    } else {
        basemap_check(points, count, tolerance_m, &map->report);
        if (map->report.verdict != BASEMAP_RIGHT && map->refused[0] == '\0') {
            basemap_verdict_words(&map->report, map->refused);
            basemap_verdict_words_zh(&map->report, map->refused_zh);
        }
    }
    free(points);
    free(text);
}

/* ---- a map ---- */

static bool name_good(const char *name) {
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
    return length > 0 && length < BASEMAP_NAME_MAX && name[length] == '\0';
}

/* A line of text for people. */
static const char *line_of(const cJSON *from, const char *member, const char *otherwise, size_t most, const char *name,
                           struct buffer *faults) {
    const char *text = member_text(from, member);
    if (strlen(text) > most || text_flaw(text, strlen(text), false) != NULL) {
        FAULT(faults, "%s: %s must be one line of at most %zu bytes", name, member, most);
    }
    return *text == '\0' ? otherwise : text;
}

static void read_key(struct basemap *map, const char *path, const char *name, struct buffer *faults) {
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    if (*path == '\0') {
        return;
    }
    char *key = file_read(path, KEY_MAX, &length, problem);
    if (key == NULL) {
        FAULT(faults, "%s: key_file: %s: %s", name, path, problem);
        return;
    }
    key[strcspn(key, "\r\n")] = '\0';
    if (*key == '\0' || text_flaw(key, strlen(key), false) != NULL) {
        FAULT(faults, "%s: key_file: %s: its first line is no key", name, path);
    }
    map->key = key;
}

static void read_zooms(struct basemap *map, const cJSON *from, const char *name, struct buffer *faults) {
    double low = member_number(from, "min_zoom", 0), high = member_number(from, "max_zoom", 18);
    if (!(low >= 0 && low <= high && high <= BASEMAP_ZOOM_MAX)) {
        FAULT(faults, "%s: min_zoom and max_zoom must be from 0 to %d", name, BASEMAP_ZOOM_MAX);
        return;
    }
    map->zoom_min = (unsigned)low;
    map->zoom_max = (unsigned)high;
}

static void read_map(struct basemap_file *file, const cJSON *from, struct buffer *faults) {
    char name[BASEMAP_NAME_MAX + 16];
    struct basemap *map = &file->maps[file->count];
    map->name = member_text(from, "name");
    if (!name_good(map->name)) {
        snprintf(name, sizeof name, "basemaps[%zu]", file->count);
        FAULT(faults, "%s: name must be of a-z 0-9 - _, at most %d characters", name, BASEMAP_NAME_MAX - 1);
    } else if (basemap_find(file, map->name, strlen(map->name)) != NULL) {
        snprintf(name, sizeof name, "%s", map->name);
        FAULT(faults, "%s: there are two of this name", name);
    } else {
        snprintf(name, sizeof name, "%s", map->name);
    }
    file->count++;
    check_members(from, name,
                  "name zh en attribution coordinates key_file referer user_agent ca_file private_addresses plain_http "
                  "min_zoom max_zoom control_points tolerance_m layers",
                  faults);
    map->title_zh = line_of(from, "zh", map->name, TITLE_MAX, name, faults);
    map->title_en = line_of(from, "en", map->title_zh, TITLE_MAX, name, faults);
    map->attribution = line_of(from, "attribution", "", ATTRIBUTION_MAX, name, faults);
    map->referer = line_of(from, "referer", "", TEMPLATE_MAX, name, faults);
    map->user_agent = line_of(from, "user_agent", "cityhub/" CITYHUB_VERSION, AGENT_MAX, name, faults);
    map->ca_file = member_text(from, "ca_file");
    map->plain_http = member_true(from, "plain_http");
    map->private_addresses = member_get(from, "private_addresses");
    const cJSON *range;
    cJSON_ArrayForEach(range, map->private_addresses) {
        if (!address_range_valid(cJSON_GetStringValue(range))) {
            FAULT(faults, "%s: private_addresses: each must be a range such as \"10.20.0.0/16\"", name);
        }
    }
    read_key(map, member_text(from, "key_file"), name, faults);
    read_zooms(map, from, name, faults);
    cJSON *layers = member_get(from, "layers"), *layer;
    if (cJSON_GetArraySize(layers) < 1 || cJSON_GetArraySize(layers) > BASEMAP_LAYERS_MAX) {
        FAULT(faults, "%s: it must have 1 to %d layers, from the ground up", name, BASEMAP_LAYERS_MAX);
        return;
    }
    cJSON_ArrayForEach(layer, layers) {
        read_layer(map, layer, name, faults);
    }
    check_coordinates(map, from, name, faults);
    check_points(map, from, name, faults);
}

/* ---- the file ---- */

int basemap_file_parse(const char *text, struct basemap_file *file, struct buffer *faults) {
    *file = (struct basemap_file){0};
    file->document = cJSON_Parse(text);
    const cJSON *maps = member_get(file->document, "basemaps"), *map;
    size_t before = faults->length;
    if (text_flaw(text, strlen(text), true) != NULL || !cJSON_IsObject(file->document) || !cJSON_IsArray(maps)) {
        FAULT(faults, "it is no JSON object with a list \"basemaps\"");
        return CH_EINVAL;
    }
    check_members(file->document, "the file", "basemaps", faults);
    if (cJSON_GetArraySize(maps) > BASEMAPS_MAX) {
        FAULT(faults, "there are more than %d base maps", BASEMAPS_MAX);
        return CH_EINVAL;
    }
    cJSON_ArrayForEach(map, maps) {
        read_map(file, map, faults);
    }
    return faults->failed ? CH_EMEMORY : faults->length > before ? CH_EINVAL : 0;
}

int basemap_file_read(const char *path, struct basemap_file *file, struct buffer *faults) {
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    *file = (struct basemap_file){0};
    char *text = file_read(path, BASEMAP_FILE_MAX, &length, problem);
    if (text == NULL) {
        FAULT(faults, "%s", problem);
        return CH_EIO;
    }
    int code = basemap_file_parse(text, file, faults);
    free(text);
    return code;
}

void basemap_file_free(struct basemap_file *file) {
    for (size_t i = 0; i < file->count; i++) {
        struct basemap *map = &file->maps[i];
        for (size_t layer = 0; layer < map->layer_count; layer++) {
            free(map->layers[layer].url);
        }
        if (map->key != NULL) {
            secret_wipe(map->key, strlen(map->key));
            free(map->key);
        }
    }
    cJSON_Delete(file->document);
    *file = (struct basemap_file){0};
}

const struct basemap *basemap_find(const struct basemap_file *file, const char *name, size_t length) {
    for (size_t i = 0; i < file->count; i++) {
        if (strlen(file->maps[i].name) == length && memcmp(file->maps[i].name, name, length) == 0) {
            return &file->maps[i];
        }
    }
    return NULL;
}

void basemap_url(const struct basemap *map, size_t layer, unsigned z, uint32_t x, uint32_t y, struct buffer *url) {
    const struct basemap_layer *from = &map->layers[layer];
    int subdomains = cJSON_GetArraySize(from->subdomains);
    for (const char *at = from->url; *at != '\0';) {
        size_t plain = strcspn(at, "{");
        buffer_bytes(url, at, plain);
        at += plain;
        if (strncmp(at, "{z}", 3) == 0) {
            buffer_format(url, "%u", z);
        } else if (strncmp(at, "{x}", 3) == 0) {
            buffer_format(url, "%u", x);
        } else if (strncmp(at, "{y}", 3) == 0) {
            buffer_format(url, "%u", y);
        } else if (strncmp(at, "{-y}", 4) == 0) {
            buffer_format(url, "%u", (uint32_t)((UINT64_C(1) << z) - 1 - y));
        } else if (strncmp(at, "{s}", 3) == 0 && subdomains > 0) {
            buffer_text(
                url, cJSON_GetStringValue(cJSON_GetArrayItem(from->subdomains, (int)((x + y) % (uint32_t)subdomains))));
        } else if (strncmp(at, "{key}", 5) == 0 && map->key != NULL) {
            escape(url, map->key);
        }
        at += strcspn(at, "}");
        at += *at == '}';
    }
}
