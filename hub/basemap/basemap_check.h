/* basemap_check.h: whether a base map lies where it says. Control points (控制点) are places whose true position is
 * known and whose position was read off the base map; their residuals tell a source in GCJ-02 or BD-09, which never
 * lies right, from one that does. Pure functions: no I/O, no state. */
#ifndef CITYHUB_BASEMAP_CHECK_H
#define CITYHUB_BASEMAP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BASEMAP_POINTS_MIN = 3,
    BASEMAP_POINTS_MAX = 200,
    BASEMAP_POINT_NAME_MAX = 64,
    BASEMAP_CHECK_TEXT_MAX = 320,
    BASEMAP_APART_M = 200, /* points nearer to each other are one place */
};

#define BASEMAP_TOLERANCE_M 10.0 /* a place read off at zoom 16 and above, and how exact imagery is (assumed) */
#define BASEMAP_TOLERANCE_MAX_M 20.0

/* Degrees; `lon`, `lat` WGS 84 or CGCS2000 (centimetres apart). */
struct basemap_point {
    char name[BASEMAP_POINT_NAME_MAX];
    double lon, lat;
    double map_lon, map_lat; /* as the base map shows it */
    /* By basemap_check, in metres from where it is to where the map shows it. */
    double east_m, north_m;
};

enum basemap_verdict {
    BASEMAP_RIGHT,        /* all points within the tolerance */
    BASEMAP_GCJ02,        /* the map is shifted as GCJ-02 shifts */
    BASEMAP_BD09,         /* the map is shifted as BD-09 does */
    BASEMAP_POINTS_GCJ02, /* the map lies right, and the true positions are given in GCJ-02 */
    BASEMAP_POINTS_BD09,
    BASEMAP_SHIFTED,      /* all points by the same way: another datum, or a picture that was placed wrongly */
    BASEMAP_WRONG_POINTS, /* most points are right and some are not: those are to be looked at */
    BASEMAP_OTHERWISE,    /* no rule that is known */
    BASEMAP_UNDECIDED,    /* too few points, or too near to each other */
};

struct basemap_report {
    enum basemap_verdict verdict;
    size_t points;
    double mean_m;                      /* length of the mean of the residuals */
    double direction_deg;               /* where to: 0 = north, 90 = east */
    double largest_m;                   /* of one point */
    double fit_m;                       /* root mean square of what the verdict leaves unexplained */
    double gcj02_m, bd09_m;             /* the same for these two, whatever the verdict */
    char worst[BASEMAP_POINT_NAME_MAX]; /* the point with the largest residual */
};

/* Fills the residuals of the points, and the report. `tolerance_m` is positive. */
void basemap_check(struct basemap_point *points, size_t count, double tolerance_m, struct basemap_report *report);

/* What it means, in a sentence of English and one of Chinese. Returns `text`. */
const char *basemap_verdict_words(const struct basemap_report *report, char text[static BASEMAP_CHECK_TEXT_MAX]);
const char *basemap_verdict_words_zh(const struct basemap_report *report, char text[static BASEMAP_CHECK_TEXT_MAX]);

/* One word for programs: "right", "gcj02", ... */
const char *basemap_verdict_name(enum basemap_verdict verdict);

/* Control points from CSV: a header with name, lon, lat, map_lon, map_lat, then a row a point. Fills `points` and
 * `count`. Returns 0, or CH_EINVAL / CH_EMEMORY with the reason and its line in `problem`. */
int basemap_points_read(const char *bytes, size_t length, struct basemap_point points[static BASEMAP_POINTS_MAX],
                        size_t *count, char problem[static BASEMAP_CHECK_TEXT_MAX]);

#endif
