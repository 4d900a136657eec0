/* coordinate.c: GCJ-02 and BD-09 to WGS 84 and back. Neither was ever published by its owner; the formulas are the ones
 * that public converters agree on (eviltransform, PRCoords, gcoord), which tests/unit/test_coordinate.c checks against
 * their published points. GCJ-02 adds to a WGS 84 position a shift of up to about 700 m, computed in metres and turned
 * into degrees on the Krasovsky 1940 ellipsoid; BD-09 turns and stretches GCJ-02 a little and adds a constant.
 * Neither has a closed inverse: both are undone by iteration. Does no I/O, keeps no state. */
#include "hub/decode/coordinate.h"

#include <math.h>
#include <stdbool.h>

#include "hub/base/error.h"

static const double krasovsky_radius_m = 6378245.0;
static const double krasovsky_eccentricity_squared = 0.00669342162296594323; /* 2 f - f^2, f = 1/298.3 */
static const double bd09_lon_deg = 0.0065, bd09_lat_deg = 0.006;

enum { ITERATIONS_MAX = 12 };
static const double iteration_end_deg = 1e-9; /* 0.1 mm */

struct shift {
    double lon, lat; /* degrees */
};

/* The rectangle outside of which GCJ-02 leaves positions as they are. */
static bool in_china(double lon, double lat) {
    return lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271;
}

/* What GCJ-02 adds to a WGS 84 position. x, y: degrees from 105 E, 35 N. */
static struct shift gcj02_shift(double lon, double lat) {
    double x = lon - 105.0, y = lat - 35.0;
    double root = sqrt(fabs(x));
    double ripple = (20.0 * sin(6.0 * M_PI * x) + 20.0 * sin(2.0 * M_PI * x)) * 2.0 / 3.0;
    double north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + ripple;
    north_m += (20.0 * sin(M_PI * y) + 40.0 * sin(M_PI * y / 3.0)) * 2.0 / 3.0;
    north_m += (160.0 * sin(M_PI * y / 12.0) + 320.0 * sin(M_PI * y / 30.0)) * 2.0 / 3.0;
    double east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + ripple;
    east_m += (20.0 * sin(M_PI * x) + 40.0 * sin(M_PI * x / 3.0)) * 2.0 / 3.0;
    east_m += (150.0 * sin(M_PI * x / 12.0) + 300.0 * sin(M_PI * x / 30.0)) * 2.0 / 3.0;
    double latitude = lat * M_PI / 180.0;
    double sine = sin(latitude);
    double factor = 1.0 - krasovsky_eccentricity_squared * sine * sine;
    double meridian_m = krasovsky_radius_m * (1.0 - krasovsky_eccentricity_squared) / (factor * sqrt(factor));
    double parallel_m = krasovsky_radius_m / sqrt(factor) * cos(latitude);
    return (struct shift){east_m / parallel_m * 180.0 / M_PI, north_m / meridian_m * 180.0 / M_PI};
}

/* What BD-09 adds to a GCJ-02 position: polar form, with a ripple of the radius and one of the angle. */
static struct shift bd09_shift(double lon, double lat) {
    const double frequency = M_PI * 3000.0 / 180.0;
    double radius = hypot(lon, lat) + 0.00002 * sin(lat * frequency);
    double angle = atan2(lat, lon) + 0.000003 * cos(lon * frequency);
    return (struct shift){radius * cos(angle) + bd09_lon_deg - lon, radius * sin(angle) + bd09_lat_deg - lat};
}

/* Finds the position that `shift` moves to (*lon, *lat). The shift changes by far less than the step that is taken, so
 * that each round gains two digits or more. */
static void unshift(struct shift (*shift)(double lon, double lat), double *lon, double *lat) {
    double found_lon = *lon, found_lat = *lat;
    for (int round = 0; round < ITERATIONS_MAX; round++) {
        struct shift at = shift(found_lon, found_lat);
        double next_lon = *lon - at.lon, next_lat = *lat - at.lat;
        bool done = fabs(next_lon - found_lon) < iteration_end_deg && fabs(next_lat - found_lat) < iteration_end_deg;
        found_lon = next_lon;
        found_lat = next_lat;
        if (done) {
            break;
        }
    }
    *lon = found_lon;
    *lat = found_lat;
}

static bool on_earth(double lon, double lat) {
    return lon >= -180.0 && lon <= 180.0 && lat >= -90.0 && lat <= 90.0; /* false for a NaN */
}

int coordinate_to_wgs84(enum coordinate_system system, double *lon, double *lat) {
    if (!on_earth(*lon, *lat)) {
        return CH_EINVAL;
    }
    switch (system) {
    case COORDINATE_WGS84:
    case COORDINATE_CGCS2000:
        return 0;
    case COORDINATE_BD09:
        if (!in_china(*lon, *lat)) {
            return 0;
        }
        unshift(bd09_shift, lon, lat);
        unshift(gcj02_shift, lon, lat);
        return 0;
    case COORDINATE_GCJ02:
        if (in_china(*lon, *lat)) {
            unshift(gcj02_shift, lon, lat);
        }
        return 0;
    }
    return CH_EINVAL;
}

int coordinate_from_wgs84(enum coordinate_system system, double *lon, double *lat) {
    if (!on_earth(*lon, *lat) || (int)system < COORDINATE_WGS84 || system > COORDINATE_BD09) {
        return CH_EINVAL;
    }
    if (system < COORDINATE_GCJ02 || !in_china(*lon, *lat)) {
        return 0;
    }
    struct shift shift = gcj02_shift(*lon, *lat);
    *lon += shift.lon;
    *lat += shift.lat;
    if (system == COORDINATE_BD09) {
        shift = bd09_shift(*lon, *lat);
        *lon += shift.lon;
        *lat += shift.lat;
    }
    return 0;
}
