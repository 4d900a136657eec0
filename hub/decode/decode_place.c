/* decode_place.c: positions: whether one can be, what it is in WGS 84, and whether it is in the county. Never guesses:
 * a place that looks exchanged or in another unit is marked and told of, not put right. */
#include <math.h>
#include <stdio.h>

#include "common.pb-c.h"
#include "hub/decode/coordinate.h"
#include "hub/decode/decode_internal.h"

void decode_place_put(struct decode_place *place, const ProtobufCFieldDescriptor *field,
                      const struct decode_scalar *scalar) {
    switch (field->id) { /* numbers of message Position in common.proto */
    case 1:
        place->has_lon = true;
        place->lon = scalar->number;
        break;
    case 2:
        place->has_lat = true;
        place->lat = scalar->number;
        break;
    case 3:
        place->has_system = true;
        place->system = scalar->whole;
        break;
    case 4:
        place->doubt = scalar->whole;
        break;
    default:
        break;
    }
}

/* ---- the county's extent */

static bool is_within(const struct decode_extent *extent, double lon, double lat) {
    return lon >= extent->min_lon && lon <= extent->max_lon && lat >= extent->min_lat && lat <= extent->max_lat;
}

/* 114 degrees 48 minutes as receivers write it (NMEA: 11448.xx), divided by 100: 114.48. */
static double minutes_undone(double degrees) {
    double whole = trunc(degrees);
    return whole + (degrees - whole) * 100 / 60;
}

/* What may have gone wrong with a place that is not in the county; "" = nothing that is known of. */
static const char *extent_hint(const struct decode_extent *extent, double lon, double lat) {
    if (fabs(lon) < 1 && fabs(lat) < 1) {
        return "; a receiver without a fix says about 0, 0: leave the position out then";
    }
    if (lon == 0 || lat == 0) {
        return "; one of the two is 0: leave the position out when there is no fix";
    }
    if (is_within(extent, lat, lon)) {
        return "; are lon and lat exchanged?";
    }
    if (is_within(extent, fabs(lon), fabs(lat))) {
        return "; is its sign wrong?";
    }
    if (is_within(extent, minutes_undone(lon), minutes_undone(lat)) || is_within(extent, minutes_undone(lon), lat) ||
        is_within(extent, lon, minutes_undone(lat))) {
        return "; are these degrees and minutes? send degrees";
    }
    return "";
}

/* Marks a place outside of the extent and warns of it; of a case it refuses the record and returns false. `lon`, `lat`
 * are what was sent. */
static bool judge_extent(struct decoder *decoder, struct decode_place *place, double lon, double lat) {
    const struct decode_extent *extent = &decoder->limits->extent;
    if (!(extent->min_lon < extent->max_lon) || is_within(extent, place->lon, place->lat)) {
        return true;
    }
    char reason[DECODE_REASON_MAX];
    snprintf(reason, sizeof reason,
             "position: lon %.9g, lat %.9g is outside the county (lon %.4g to %.4g, lat %.4g to %.4g)%s", lon, lat,
             extent->min_lon, extent->max_lon, extent->min_lat, extent->max_lat, extent_hint(extent, lon, lat));
    if (decode_needs_place(decoder)) {
        decode_refuse(decoder, PROBLEM_PLACE_OUTSIDE, "%s", reason);
        return false;
    }
    place->outside = true;
    decoder->warning(decoder->user, decoder->record.index, "place_outside", "position", reason);
    return true;
}

/* What its sender says against a place. A number that this build does not know is a doubt too. */
static const char *doubt_words(int64_t doubt) {
    return doubt == CITYHUB__V1__POSITION_DOUBT__POSITION_NO_FIX ? "there was no fix"
           : doubt == CITYHUB__V1__POSITION_DOUBT__POSITION_JUMP ? "it is a jump from the place before"
                                                                 : "it is not to be trusted";
}

/* Marks a place that its sender does not trust and warns of it; of a case it refuses the record and returns false. */
static bool judge_doubt(struct decoder *decoder, struct decode_place *place) {
    char reason[DECODE_REASON_MAX];
    if (decode_needs_place(decoder)) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION, "position: its doubt says that %s; a case needs a place",
                      doubt_words(place->doubt));
        return false;
    }
    snprintf(reason, sizeof reason, "position: its doubt says that %s; it was stored with a mark and moves nothing",
             doubt_words(place->doubt));
    place->outside = true;
    decoder->warning(decoder->user, decoder->record.index, "place_doubtful", "position", reason);
    return true;
}

bool decode_place_finish(struct decoder *decoder, struct decode_place *place) {
    if (!place->has_lon || !place->has_lat) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION, "position: has no %s; a position is lon, lat and system",
                      place->has_lat   ? "lon"
                      : place->has_lon ? "lat"
                                       : "lon and no lat");
        return false;
    }
    if (!place->has_system) {
        decode_refuse(decoder, PROBLEM_MISSING_COORDINATE_SYSTEM,
                      "position: does not say its system; give WGS84, CGCS2000, GCJ02 or BD09");
        return false;
    }
    if (place->system < COORDINATE_WGS84 || place->system > COORDINATE_BD09) {
        decode_refuse(decoder, PROBLEM_BAD_ENUM,
                      "position.system: has no value %lld; it has 0 = WGS84, 1 = CGCS2000, 2 = GCJ02, 3 = BD09",
                      (long long)place->system);
        return false;
    }
    if (decode_needs_place(decoder)) {
        decoder->at = NULL; /* numbers that are nowhere in the county refuse the record, not its position alone */
    }
    if (place->lon == 0 && place->lat == 0) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION,
                      "position: lon 0, lat 0 is what a receiver without a fix says; leave the position out then");
        return false;
    }
    double lon = place->lon, lat = place->lat;
    if (coordinate_to_wgs84((enum coordinate_system)place->system, &place->lon, &place->lat) != 0) {
        decode_refuse(decoder, PROBLEM_BAD_POSITION, "position: lon %.9g, lat %.9g is not on Earth%s", lon, lat,
                      fabs(lat) > 90 && fabs(lon) <= 90     ? "; are lon and lat exchanged?"
                      : fabs(lon) > 1000 && fabs(lat) > 100 ? "; send degrees, not degrees and minutes"
                                                            : "; lon is -180 to 180, lat -90 to 90");
        return false;
    }
    return place->doubt != CITYHUB__V1__POSITION_DOUBT__POSITION_SURE ? judge_doubt(decoder, place)
                                                                      : judge_extent(decoder, place, lon, lat);
}
