/* basemap_check.c: residuals of control points against what is known to shift maps in China. A hypothesis says where a
 * place would be shown; what it leaves over is compared with the tolerance. Nothing is guessed from a single point. */
#include "hub/basemap/basemap_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/csv.h"
#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/decode/coordinate.h"

/* ---- residuals ---- */

struct metres {
    double east, north;
};

/* From one place to another not far away, on the sphere: a thousandth of the way is as exact as is needed. */
static struct metres way(double from_lon, double from_lat, double to_lon, double to_lat) {
    const double degree_m = 6371008.8 * M_PI / 180.0;
    double narrow = cos((from_lat + to_lat) / 2 * M_PI / 180.0);
    return (struct metres){(to_lon - from_lon) * narrow * degree_m, (to_lat - from_lat) * degree_m};
}

static double length_of(struct metres metres) {
    return hypot(metres.east, metres.north);
}

/* What is left over of a point if the map is in `system`; `reverse`: if the map lies right, and the point is in it. */
static double left_over(const struct basemap_point *point, enum coordinate_system system, bool reverse) {
    double lon = point->lon, lat = point->lat;
    int code = reverse ? coordinate_to_wgs84(system, &lon, &lat) : coordinate_from_wgs84(system, &lon, &lat);
    return code != 0 ? INFINITY : length_of(way(lon, lat, point->map_lon, point->map_lat));
}

struct fit {
    double rms_m;
    size_t within; /* points within the tolerance */
};

static struct fit fit_of(const struct basemap_point *points, size_t count, double tolerance_m,
                         enum coordinate_system system, bool reverse) {
    struct fit fit = {0};
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double left_m = left_over(&points[i], system, reverse);
        squares += left_m * left_m;
        fit.within += left_m <= tolerance_m;
    }
    fit.rms_m = sqrt(squares / (double)count);
    return fit;
}

/* Root mean square of what is left of the residuals without their mean. */
static double spread_of(const struct basemap_point *points, size_t count, struct metres mean) {
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        squares += pow(points[i].east_m - mean.east, 2) + pow(points[i].north_m - mean.north, 2);
    }
    return sqrt(squares / (double)count);
}

/* Points that are at a place of their own, the first of each place. */
static size_t places(const struct basemap_point *points, size_t count) {
    size_t apart = 0;
    for (size_t i = 0; i < count; i++) {
        bool own = true;
        for (size_t j = 0; j < i && own; j++) {
            own = length_of(way(points[i].lon, points[i].lat, points[j].lon, points[j].lat)) >= BASEMAP_APART_M;
        }
        apart += own;
    }
    return apart;
}

static void measure(struct basemap_point *points, size_t count, struct basemap_report *report, struct metres *mean) {
    *mean = (struct metres){0};
    for (size_t i = 0; i < count; i++) {
        struct metres residual = way(points[i].lon, points[i].lat, points[i].map_lon, points[i].map_lat);
        points[i].east_m = residual.east;
        points[i].north_m = residual.north;
        mean->east += residual.east / (double)count;
        mean->north += residual.north / (double)count;
        if (length_of(residual) >= report->largest_m) {
            report->largest_m = length_of(residual);
            snprintf(report->worst, sizeof report->worst, "%s", points[i].name);
        }
    }
    report->mean_m = length_of(*mean);
    report->direction_deg = fmod(atan2(mean->east, mean->north) * 180.0 / M_PI + 360.0, 360.0);
}

/* ---- the verdict ---- */

void basemap_check(struct basemap_point *points, size_t count, double tolerance_m, struct basemap_report *report) {
    static const struct {
        enum basemap_verdict verdict;
        enum coordinate_system system;
        bool reverse;
    } rules[] = {
        {BASEMAP_GCJ02, COORDINATE_GCJ02, false},
        {BASEMAP_BD09, COORDINATE_BD09, false},
        {BASEMAP_POINTS_GCJ02, COORDINATE_GCJ02, true},
        {BASEMAP_POINTS_BD09, COORDINATE_BD09, true},
    };
    struct metres mean;
    *report = (struct basemap_report){.verdict = BASEMAP_UNDECIDED, .points = count};
    if (count < BASEMAP_POINTS_MIN || places(points, count) < BASEMAP_POINTS_MIN) {
        return;
    }
    measure(points, count, report, &mean);
    size_t most = count - count / 4; /* three of four: a misread point must not hide a rule that the others follow */
    struct fit right = fit_of(points, count, tolerance_m, COORDINATE_WGS84, false);
    double spread_m = spread_of(points, count, mean);
    report->gcj02_m = fit_of(points, count, tolerance_m, COORDINATE_GCJ02, false).rms_m;
    report->bd09_m = fit_of(points, count, tolerance_m, COORDINATE_BD09, false).rms_m;
    report->fit_m = right.rms_m;
    if (right.within >= most) {
        report->verdict = right.within == count ? BASEMAP_RIGHT : BASEMAP_WRONG_POINTS;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct fit fit = fit_of(points, count, tolerance_m, rules[i].system, rules[i].reverse);
        if (fit.within >= most) {
            report->verdict = rules[i].verdict;
            report->fit_m = fit.rms_m;
            return;
        }
    }
    report->verdict = spread_m <= tolerance_m ? BASEMAP_SHIFTED : BASEMAP_OTHERWISE;
    report->fit_m = spread_m;
}

const char *basemap_verdict_name(enum basemap_verdict verdict) {
    static const char *const names[] = {
        [BASEMAP_RIGHT] = "right",
        [BASEMAP_GCJ02] = "gcj02",
        [BASEMAP_BD09] = "bd09",
        [BASEMAP_POINTS_GCJ02] = "points_gcj02",
        [BASEMAP_POINTS_BD09] = "points_bd09",
        [BASEMAP_SHIFTED] = "shifted",
        [BASEMAP_WRONG_POINTS] = "wrong_points",
        [BASEMAP_OTHERWISE] = "otherwise",
        [BASEMAP_UNDECIDED] = "undecided",
    };
    return names[verdict];
}

/* "north-east" of 43 degrees. */
static size_t side_of(double direction_deg) {
    return (size_t)fmod(floor((direction_deg + 22.5) / 45.0), 8.0);
}

const char *basemap_verdict_words(const struct basemap_report *report, char text[static BASEMAP_CHECK_TEXT_MAX]) {
    static const char *const sides[] = {"north", "north-east", "east", "south-east",
                                        "south", "south-west", "west", "north-west"};
    const char *side = sides[side_of(report->direction_deg)];
    const size_t size = BASEMAP_CHECK_TEXT_MAX;
    switch (report->verdict) {
    case BASEMAP_RIGHT:
        snprintf(text, size, "it lies where it should: %zu points, %.1f m at the most", report->points,
                 report->largest_m);
        break;
    case BASEMAP_GCJ02:
    case BASEMAP_BD09:
        snprintf(text, size,
                 "it is shifted as %s is (%.1f m fit), by %.0f m to the %s: devices would not be where it shows them; "
                 "use a source in CGCS2000 or WGS 84",
                 report->verdict == BASEMAP_GCJ02 ? "GCJ-02" : "BD-09", report->fit_m, report->mean_m, side);
        break;
    case BASEMAP_POINTS_GCJ02:
    case BASEMAP_POINTS_BD09:
        snprintf(
            text, size,
            "the points' own positions are in %s (%.1f m fit), and nothing can be said of the map: measure them in "
            "CGCS2000 or WGS 84",
            report->verdict == BASEMAP_POINTS_GCJ02 ? "GCJ-02" : "BD-09", report->fit_m);
        break;
    case BASEMAP_SHIFTED:
        snprintf(
            text, size,
            "all of it is shifted by %.0f m to the %s (%.1f m fit): another datum, such as Beijing 1954 or Xi'an 1980, "
            "or a picture that was placed wrongly",
            report->mean_m, side, report->fit_m);
        break;
    case BASEMAP_WRONG_POINTS:
        snprintf(text, size, "most points are right, but not all: look at \"%s\", which is %.0f m off", report->worst,
                 report->largest_m);
        break;
    case BASEMAP_OTHERWISE:
        snprintf(text, size, "it does not lie where it should: up to %.0f m at \"%s\", by no rule that is known",
                 report->largest_m, report->worst);
        break;
    case BASEMAP_UNDECIDED:
        snprintf(text, size, "nothing can be said: %d points or more are needed that are %d m or more apart",
                 BASEMAP_POINTS_MIN, BASEMAP_APART_M);
        break;
    }
    text_trim(text);
    return text;
}

const char *basemap_verdict_words_zh(const struct basemap_report *report, char text[static BASEMAP_CHECK_TEXT_MAX]) {
    static const char *const sides[] = {"北", "东北", "东", "东南", "南", "西南", "西", "西北"};
    const char *side = sides[side_of(report->direction_deg)];
    const size_t size = BASEMAP_CHECK_TEXT_MAX;
    switch (report->verdict) {
    case BASEMAP_RIGHT:
        snprintf(text, size, "位置正确：%zu 个控制点，最大偏差 %.1f 米", report->points, report->largest_m);
        break;
    case BASEMAP_GCJ02:
    case BASEMAP_BD09:
        snprintf(text, size, "%s 加偏的底图，平均向%s偏 %.0f 米，不能使用；请换 CGCS2000 或 WGS 84 的来源",
                 report->verdict == BASEMAP_GCJ02 ? "GCJ-02" : "BD-09", side, report->mean_m);
        break;
    case BASEMAP_POINTS_GCJ02:
    case BASEMAP_POINTS_BD09:
        snprintf(text, size, "控制点自己的坐标是 %s 的，不能判断底图；请用 CGCS2000 或 WGS 84 的坐标",
                 report->verdict == BASEMAP_POINTS_GCJ02 ? "GCJ-02" : "BD-09");
        break;
    case BASEMAP_SHIFTED:
        snprintf(text, size, "整体向%s偏 %.0f 米：别的坐标系（北京 54、西安 80），或配准有误", side, report->mean_m);
        break;
    case BASEMAP_WRONG_POINTS:
        snprintf(text, size, "多数控制点正确，个别不对：请核对“%s”，偏 %.0f 米", report->worst, report->largest_m);
        break;
    case BASEMAP_OTHERWISE:
        snprintf(text, size, "位置不对：“%s”处偏 %.0f 米，不合任何已知的规律", report->worst, report->largest_m);
        break;
    case BASEMAP_UNDECIDED:
        snprintf(text, size, "不能判断：至少要 %d 个控制点，彼此相距 %d 米以上", BASEMAP_POINTS_MIN, BASEMAP_APART_M);
        break;
    }
    text_trim(text);
    return text;
}

/* ---- the points' file ---- */

enum column { COLUMN_NAME, COLUMN_LON, COLUMN_LAT, COLUMN_MAP_LON, COLUMN_MAP_LAT, COLUMNS };
static const char *const columns[COLUMNS] = {"name", "lon", "lat", "map_lon", "map_lat"};

/* Where each column is. False with the reason. */
static bool header_read(const struct csv_row *row, size_t place[static COLUMNS], char *problem) {
    for (size_t i = 0; i < COLUMNS; i++) {
        place[i] = 0;
        while (place[i] < row->count && strcmp(row->fields[place[i]], columns[i]) != 0) {
            place[i]++;
        }
        if (place[i] == row->count) {
            snprintf(problem, BASEMAP_CHECK_TEXT_MAX,
                     "line %lld: there is no column \"%s\"; the header is name,lon,lat,map_lon,map_lat",
                     (long long)row->line, columns[i]);
            return false;
        }
    }
    return true;
}

static bool degrees_read(const char *text, double most, double *degrees) {
    char *end;
    *degrees = strtod(text, &end);
    return end != text && *end == '\0' && fabs(*degrees) <= most; /* false for a NaN */
}

/* False with the reason. */
static bool point_read(const struct csv_row *row, const size_t place[static COLUMNS], struct basemap_point *point,
                       char *problem) {
    char shown[DECODE_SHOWN_MAX];
    double *const degrees[COLUMNS] = {NULL, &point->lon, &point->lat, &point->map_lon, &point->map_lat};
    *point = (struct basemap_point){0};
    snprintf(point->name, sizeof point->name, "%s", row->fields[place[COLUMN_NAME]]);
    text_trim(point->name);
    for (size_t i = COLUMN_LON; i < COLUMNS; i++) {
        const char *text = row->fields[place[i]];
        if (!degrees_read(text, i % 2 == 1 ? 180.0 : 85.0, degrees[i])) {
            snprintf(problem, BASEMAP_CHECK_TEXT_MAX, "line %lld: %s: %s is no %s in degrees", (long long)row->line,
                     columns[i], text_show(shown, text, strlen(text)), i % 2 == 1 ? "longitude" : "latitude");
            return false;
        }
    }
    return true;
}

int basemap_points_read(const char *bytes, size_t length, struct basemap_point points[static BASEMAP_POINTS_MAX],
                        size_t *count, char problem[static BASEMAP_CHECK_TEXT_MAX]) {
    struct csv csv;
    struct csv_row row;
    size_t place[COLUMNS];
    bool header = false;
    int code = csv_open(&csv, bytes, length), got = 0;
    *count = 0;
    snprintf(problem, BASEMAP_CHECK_TEXT_MAX, "there is no memory left");
    while (code == 0 && (got = csv_next(&csv, &row)) == 1) {
        if (!header) {
            header = true;
            code = header_read(&row, place, problem) ? 0 : CH_EINVAL;
        } else if (*count == BASEMAP_POINTS_MAX) {
            snprintf(problem, BASEMAP_CHECK_TEXT_MAX, "line %lld: more than %d points", (long long)row.line,
                     BASEMAP_POINTS_MAX);
            code = CH_EINVAL;
        } else {
            code = point_read(&row, place, &points[*count], problem) ? 0 : CH_EINVAL;
            *count += code == 0;
        }
    }
    if (code == 0 && got < 0) {
        snprintf(problem, BASEMAP_CHECK_TEXT_MAX, "line %lld: %.280s", (long long)csv.error_line, csv.error);
        code = CH_EINVAL;
    } else if (code == 0 && !header) {
        snprintf(problem, BASEMAP_CHECK_TEXT_MAX, "is empty; the header is name,lon,lat,map_lon,map_lat");
        code = CH_EINVAL;
    }
    csv_close(&csv);
    text_trim(problem);
    return code;
}
