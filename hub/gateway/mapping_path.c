/* mapping_path.c: paths of mappings, and times. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/gateway/hj212.h"
#include "hub/gateway/mapping.h"

enum { NAME_MAX_BYTES = 128, DEPTH_MAX = 16 };

/* One name of a path, unescaped (~1 is /, ~0 is ~). Returns the rest, NULL = that was the last. */
static const char *path_step(const char *path, char name[static NAME_MAX_BYTES + 1]) {
    size_t length = 0;
    for (; *path != '\0' && *path != '/'; path++) {
        char letter = *path;
        if (letter == '~' && (path[1] == '0' || path[1] == '1')) {
            letter = *++path == '0' ? '~' : '/';
        }
        if (length < NAME_MAX_BYTES) {
            name[length++] = letter;
        }
    }
    name[length] = '\0';
    return *path == '/' ? path + 1 : NULL;
}

const char *mapping_path_flaw(const char *path, bool many) {
    int depth = 0, stars = 0;
    char name[NAME_MAX_BYTES + 1];
    if (path[0] == '$') {
        bool star = path[1] >= '1' && path[1] <= '0' + MAPPING_STARS && path[2] == '\0';
        return star && !many ? NULL : "must be $1, $2 or $3, and no list";
    }
    for (const char *at = *path == '/' ? path + 1 : path; at != NULL; depth++) {
        at = path_step(at, name);
        bool each = strcmp(name, "*") == 0 || strcmp(name, "[]") == 0;
        stars += strcmp(name, "*") == 0;
        if (each && !many) {
            return "must name one item, without * and []";
        }
    }
    return depth > DEPTH_MAX ? "has more than 16 steps" : stars > MAPPING_STARS ? "has more than 3 stars" : NULL;
}

const cJSON *mapping_find(const cJSON *paths, const struct mapping_place *place, cJSON *scratch) {
    if (cJSON_IsArray(paths)) {
        const cJSON *found = NULL;
        for (const cJSON *one = paths->child; one != NULL && found == NULL; one = one->next) {
            found = mapping_find(one, place, scratch);
        }
        return found;
    }
    const char *path = cJSON_GetStringValue(paths);
    char name[NAME_MAX_BYTES + 1];
    if (path == NULL) {
        return NULL;
    }
    if (path[0] == '$') {
        int star = path[1] - '1';
        if (star >= place->star_count) {
            return NULL;
        }
        *scratch = (cJSON){.type = cJSON_String, .valuestring = (char *)(uintptr_t)place->stars[star]};
        return scratch;
    }
    const cJSON *item = *path == '/' ? place->root : place->record;
    const char *at = *path == '/' ? path + 1 : path;
    at = *at == '\0' ? NULL : at;
    while (item != NULL && at != NULL) {
        at = path_step(at, name);
        item = member_get(item, name);
    }
    return item == NULL || cJSON_IsNull(item) ? NULL : item;
}

static bool walk(const char *path, const struct mapping_place *place,
                 bool (*found)(void *user, const struct mapping_place *place), void *user) {
    char name[NAME_MAX_BYTES + 1];
    if (path == NULL || place->record == NULL) {
        return place->record == NULL || found(user, place);
    }
    struct mapping_place inner = *place;
    const char *rest = path_step(path, name);
    bool star = strcmp(name, "*") == 0;
    if (!star && strcmp(name, "[]") != 0) {
        inner.record = member_get(place->record, name);
        return walk(rest, &inner, found, user);
    }
    if (!cJSON_IsArray(place->record) && !(star && cJSON_IsObject(place->record))) {
        return star || walk(rest, place, found, user);
    }
    inner.star_count += star && inner.star_count < MAPPING_STARS;
    for (const cJSON *item = place->record->child; item != NULL; item = item->next) {
        inner.record = item;
        if (star) {
            snprintf(inner.stars[inner.star_count - 1], sizeof inner.stars[0], "%s",
                     item->string == NULL ? "" : item->string);
        }
        if (!walk(rest, &inner, found, user)) {
            return false;
        }
    }
    return true;
}

bool mapping_each(const char *path, const struct mapping_place *place,
                  bool (*found)(void *user, const struct mapping_place *place), void *user) {
    struct mapping_place from = *place;
    from.record = *path == '/' ? place->root : place->record;
    path += *path == '/';
    return walk(*path == '\0' ? NULL : path, &from, found, user);
}

/* ---- times ---- */

/* Digits of a fixed count; -1 = they are none. */
static int digits(const char **at, int count) {
    int number = 0;
    for (int i = 0; i < count; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9') {
            return -1;
        }
        number = number * 10 + ((*at)[i] - '0');
    }
    *at += count;
    return number;
}

static void pass(const char **at, char letter) {
    *at += **at == letter;
}

/* Z, +08:00, +0800, +08 or nothing; false = it is something else. */
static bool read_zone(const char *at, int *offset_minutes) {
    if (*at == 'Z' || *at == 'z') {
        *offset_minutes = 0;
        return at[1] == '\0';
    }
    if (*at != '+' && *at != '-') {
        return *at == '\0';
    }
    int sign = *at++ == '-' ? -1 : 1, hours = digits(&at, 2);
    pass(&at, ':');
    int minutes = *at == '\0' ? 0 : digits(&at, 2);
    *offset_minutes = sign * (hours * 60 + minutes);
    return hours >= 0 && hours <= 14 && minutes >= 0 && minutes < 60 && *at == '\0';
}

/* 2026-08-01T08:00:00.123+08:00 and 20260801T080000Z. */
static int read_iso(const char *at, int offset_minutes, int64_t *ms) {
    struct tm when = {.tm_year = digits(&at, 4) - 1900};
    double fraction = 0, part = 0.1;
    pass(&at, '-');
    when.tm_mon = digits(&at, 2) - 1;
    pass(&at, '-');
    when.tm_mday = digits(&at, 2);
    if (*at != 'T' && *at != 't' && *at != ' ') {
        return CH_EINVAL;
    }
    at++;
    when.tm_hour = digits(&at, 2);
    pass(&at, ':');
    when.tm_min = digits(&at, 2);
    pass(&at, ':');
    when.tm_sec = *at >= '0' && *at <= '9' ? digits(&at, 2) : 0;
    if (*at == '.' || *at == ',') {
        for (at++; *at >= '0' && *at <= '9'; at++, part /= 10) {
            fraction += part * (*at - '0');
        }
    }
    if (when.tm_year < 70 || when.tm_mon < 0 || when.tm_mon > 11 || when.tm_mday < 1 || when.tm_mday > 31 ||
        when.tm_hour < 0 || when.tm_hour > 23 || when.tm_min < 0 || when.tm_min > 59 || when.tm_sec < 0 ||
        when.tm_sec > 60 || !read_zone(at, &offset_minutes)) {
        return CH_EINVAL;
    }
    int day = when.tm_mday;
    int64_t seconds = timegm(&when);
    *ms = (seconds - (int64_t)offset_minutes * 60) * 1000 + (int64_t)(fraction * 1000 + 0.5);
    return when.tm_mday == day || when.tm_sec == 60 ? 0 : CH_EINVAL; /* the 31st of June is no day */
}

/* Seconds that are taken for milliseconds are of January 1970, milliseconds for seconds of a far future; what counts
 * since a start is of the first days. */
static const double EARLIEST_MS = 1e11 /* March 1973 */, LATEST_MS = 253402300800000.0 /* the year 10000 */;

int mapping_time(const cJSON *item, enum mapping_form form, int offset_minutes, int64_t *ms) {
    char text[48], *end = NULL;
    if (cJSON_IsNumber(item)) {
        snprintf(text, sizeof text, form == MAPPING_DIGITS ? "%.0f" : "%.15g", item->valuedouble);
    } else if (cJSON_IsString(item)) {
        snprintf(text, sizeof text, "%s", item->valuestring);
    } else {
        return CH_EINVAL;
    }
    if (form == MAPPING_ISO) {
        return read_iso(text, offset_minutes, ms);
    }
    if (form == MAPPING_DIGITS) {
        return hj212_time(text, offset_minutes * 60, ms);
    }
    double number = strtod(text, &end);
    number *= form == MAPPING_S ? 1000 : 1;
    if (end == text || *end != '\0' || !(number >= EARLIEST_MS && number < LATEST_MS)) {
        return CH_EINVAL;
    }
    *ms = (int64_t)floor(number + 0.5);
    return 0;
}
