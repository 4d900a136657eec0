/* jt808_records.c: positions as records. Must never put a place right. */
#include "hub/gateway/jt808_records.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

enum {
    STATUS_OFFSET_COORDINATES = 1 << 5, /* put through the surveyors' plug-in: GCJ-02 */
    OTHERS_MAX = 100,                   /* of a record: the hub takes no longer lists */
    AGREEING = 3,                       /* so many places that agree with each other are believed */
};
static const double EARTH_KM = 6371, NOISE_KM = 0.5; /* nearer than this is no jump, however fast */

enum doubt { SURE, NO_FIX, JUMP };
static const char *const doubt_names[] = {NULL, "POSITION_NO_FIX", "POSITION_JUMP"};

__attribute__((format(printf, 2, 3))) static void note(struct jt808_outcome *outcome, const char *format, ...) {
    va_list arguments;
    if (outcome->problem[0] == '\0') {
        va_start(arguments, format);
        vsnprintf(outcome->problem, sizeof outcome->problem, format, arguments);
        va_end(arguments);
    }
}

/* ---- jumps */

/* Great-circle distance. */
static double distance_km(double lat, double lon, double other_lat, double other_lon) {
    const double radian = acos(-1) / 180;
    double up = sin((lat - other_lat) * radian / 2), across = sin((lon - other_lon) * radian / 2);
    double square = up * up + cos(lat * radian) * cos(other_lat * radian) * across * across;
    return 2 * EARTH_KM * asin(fmin(1, sqrt(square)));
}

static bool too_far(double km, int64_t from_ms, int64_t to_ms, double max_km_h) {
    double hours = fmax(1000, (double)llabs(to_ms - from_ms)) / 3600000;
    return km > NOISE_KM && km / hours > max_km_h;
}

/* Whether a terminal cannot have got here from where it was. Backfill of older times is compared too, and changes
 * nothing. */
static bool is_jump(struct jt808_track *track, double lat, double lon, int64_t ms, double max_km_h) {
    if (track->known && too_far(distance_km(lat, lon, track->lat, track->lon), track->ms, ms, max_km_h)) {
        if (ms < track->ms) {
            return true;
        }
        bool agrees = track->agreeing > 0 &&
                      !too_far(distance_km(lat, lon, track->new_lat, track->new_lon), track->new_ms, ms, max_km_h);
        track->agreeing = agrees ? track->agreeing + 1 : 1;
        track->new_lat = lat;
        track->new_lon = lon;
        track->new_ms = ms;
        if (track->agreeing < AGREEING) {
            return true;
        }
    }
    if (!track->known || ms >= track->ms) {
        *track = (struct jt808_track){.known = true, .lat = lat, .lon = lon, .ms = ms};
    }
    return false;
}

/* ---- records */

static bool add_place(cJSON *record, double lat, double lon, const char *system, const char *doubt) {
    cJSON *place = cJSON_AddObjectToObject(record, "position");
    return place != NULL && cJSON_AddNumberToObject(place, "lon", lon) != NULL &&
           cJSON_AddNumberToObject(place, "lat", lat) != NULL &&
           cJSON_AddStringToObject(place, "system", system) != NULL &&
           (doubt == NULL || cJSON_AddStringToObject(place, "doubt", doubt) != NULL);
}

/* The place of a record, with what is to be said against it. A place that is none on Earth is left out. */
static bool add_position(const struct jt808_position *position, int64_t ms, const struct jt808_origin *origin,
                         struct jt808_track *track, cJSON *record, struct jt808_outcome *outcome) {
    double lat = jt808_lat(position), lon = jt808_lon(position);
    bool fixed = (position->status & JT808_STATUS_FIX) != 0;
    bool nowhere = lat == 0 && lon == 0;
    enum doubt doubt = SURE;
    if (!fixed || nowhere) {
        outcome->no_fix++;
        doubt = NO_FIX;
    }
    if (nowhere) {
        return true;
    }
    if (fabs(lat) > 90 || fabs(lon) > 180) {
        note(outcome, "latitude %.6f, longitude %.6f is not on Earth%s; the record goes without its place", lat, lon,
             fabs(lat) <= 180 && fabs(lon) <= 90 ? ": does the terminal exchange the two?" : "");
        return true;
    }
    if (doubt == SURE && is_jump(track, lat, lon, ms, jt808_dialect_max_speed(origin->dialect))) {
        outcome->jumps++;
        doubt = JUMP;
    }
    bool offset = (position->status & STATUS_OFFSET_COORDINATES) != 0;
    return add_place(record, lat, lon, offset ? "GCJ02" : jt808_dialect_coordinate_system(origin->dialect),
                     doubt_names[doubt]);
}

/* What no field takes, beside the record of the same time. */
static int add_others(const struct jt808_position *position, int64_t ms, const struct jt808_origin *origin,
                      cJSON *intervals, struct jt808_outcome *outcome) {
    cJSON *others = cJSON_CreateArray();
    int code = others == NULL ? CH_EMEMORY : jt808_dialect_others(origin->dialect, position, origin->is_2019, others);
    int count = code == 0 ? cJSON_GetArraySize(others) : 0;
    outcome->left_over += (unsigned)count;
    for (int done = 0; code == 0 && done < count; done += OTHERS_MAX) {
        cJSON *record = cJSON_CreateObject();
        bool made = record != NULL && cJSON_AddStringToObject(record, "device_code", origin->device_code) != NULL &&
                    cJSON_AddNumberToObject(record, "began_at_ms", (double)ms) != NULL &&
                    cJSON_AddNumberToObject(record, "seconds", 0) != NULL;
        cJSON *list = made ? cJSON_AddArrayToObject(record, "others") : NULL;
        for (int i = 0; list != NULL && i < OTHERS_MAX && others->child != NULL; i++) {
            cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(others, 0));
        }
        if (list == NULL || !cJSON_AddItemToArray(intervals, record)) {
            cJSON_Delete(record);
            code = CH_EMEMORY;
        }
    }
    cJSON_Delete(others);
    return code;
}

static int add_record(const struct jt808_position *position, int64_t ms, const struct jt808_origin *origin,
                      struct jt808_track *track, const struct jt808_out *out) {
    struct jt808_outcome *outcome = out->outcome;
    cJSON *record = cJSON_CreateObject();
    bool made = record != NULL && cJSON_AddStringToObject(record, "device_code", origin->device_code) != NULL &&
                cJSON_AddNumberToObject(record, "observed_at_ms", (double)ms) != NULL &&
                add_position(position, ms, origin, track, record, outcome) &&
                jt808_dialect_fields(origin->dialect, position, record) == 0;
    if (!made || !cJSON_AddItemToArray(out->records, record)) {
        cJSON_Delete(record);
        return CH_EMEMORY;
    }
    outcome->records++;
    return add_others(position, ms, origin, out->intervals, outcome);
}

/* One position, the `number`th of its message. */
static int take(const uint8_t *body, size_t length, unsigned number, const struct jt808_origin *origin,
                struct jt808_track *track, const struct jt808_out *out) {
    struct jt808_outcome *outcome = out->outcome;
    struct jt808_position position;
    int64_t ms;
    if (jt808_position(body, length, &position) != 0) {
        note(outcome, "position %u has %zu bytes, 28 at the least", number, length);
    } else if (jt808_time_ms(position.time, origin->offset_minutes, &ms) != 0) {
        note(outcome, "position %u has a time that is none: %02x-%02x-%02x %02x:%02x:%02x", number, position.time[0],
             position.time[1], position.time[2], position.time[3], position.time[4], position.time[5]);
    } else {
        return add_record(&position, ms, origin, track, out);
    }
    outcome->refused++;
    return 0;
}

static int take_batch(const uint8_t *body, size_t length, const struct jt808_origin *origin, struct jt808_track *track,
                      const struct jt808_out *out) {
    struct jt808_outcome *outcome = out->outcome;
    struct jt808_batch batch;
    const uint8_t *one;
    size_t one_length;
    unsigned number = 0;
    if (jt808_batch(body, length, &batch) != 0) {
        note(outcome, "a batch of %zu bytes, 3 at the least", length);
        return CH_EINVAL;
    }
    while (jt808_batch_next(&batch, &one, &one_length)) {
        if (take(one, one_length, ++number, origin, track, out) != 0) {
            return CH_EMEMORY;
        }
    }
    if (number != batch.count) {
        note(outcome, "the batch says %u positions and has %u", batch.count, number);
    }
    return 0;
}

int jt808_records(uint16_t id, const uint8_t *body, size_t length, const struct jt808_origin *origin,
                  struct jt808_track *track, const struct jt808_out *out) {
    enum { ANSWER_SERIAL = 2 };
    struct jt808_outcome *outcome = out->outcome;
    *outcome = (struct jt808_outcome){0};
    switch (id) {
    case JT808_POSITION:
        return take(body, length, 1, origin, track, out);
    case JT808_POSITION_ANSWER:
        if (length < ANSWER_SERIAL) {
            note(outcome, "an answer of %zu bytes, 30 at the least", length);
            return CH_EINVAL;
        }
        return take(body + ANSWER_SERIAL, length - ANSWER_SERIAL, 1, origin, track, out);
    case JT808_BATCH:
        return take_batch(body, length, origin, track, out);
    default:
        note(outcome, "a message 0x%04X has no positions", id);
        return CH_EINVAL;
    }
}
