/* test_basemap.c: the verdict on base maps by control points, the file that describes them, and where a tile is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/basemap/basemap.h"
#include "hub/basemap/picture.h"
#include "hub/decode/coordinate.h"

/* ---- control points ---- */

enum { COUNT = 6 };

/* Six places over a county of 0.6 by 0.4 degrees about lon, lat, shown where they are. */
static void county(struct basemap_point points[static COUNT], double lon, double lat) {
    for (size_t i = 0; i < COUNT; i++) {
        struct basemap_point *point = &points[i];
        *point = (struct basemap_point){.lon = lon + 0.1 * (double)i, .lat = lat + 0.13 * (double)(i % 4)};
        snprintf(point->name, sizeof point->name, "控制点%zu", i);
        point->map_lon = point->lon;
        point->map_lat = point->lat;
    }
}

static void move(struct basemap_point *point, double east_m, double north_m) {
    point->map_lon += east_m / (111320.0 * cos(point->lat * M_PI / 180));
    point->map_lat += north_m / 111195.0;
}

/* As people read: up to 4 m off, each point another way. */
static void misread(struct basemap_point points[static COUNT]) {
    static const double errors[COUNT][2] = {{3, -2}, {-2.5, 3}, {0.5, 2}, {-3, -1}, {2, 2}, {1, -3.5}};
    for (size_t i = 0; i < COUNT; i++) {
        move(&points[i], errors[i][0], errors[i][1]);
    }
}

static enum basemap_verdict verdict(struct basemap_point *points, size_t count, struct basemap_report *report) {
    char text[BASEMAP_CHECK_TEXT_MAX];
    basemap_check(points, count, BASEMAP_TOLERANCE_M, report);
    assert_true(strlen(basemap_verdict_words(report, text)) > 20 && strchr(text, '\n') == NULL);
    assert_true(strlen(basemap_verdict_words_zh(report, text)) > 20);
    assert_true(strlen(basemap_verdict_name(report->verdict)) > 2);
    return report->verdict;
}

/* Counties all over China: the shift is another one in each. */
static const double places[][2] = {{114.4, 34.0}, {80.2, 41.1},  {130.3, 47.3}, {108.6, 21.9}, {92.0, 31.4},
                                   {121.5, 31.2}, {103.8, 36.0}, {87.6, 43.8},  {110.3, 20.0}, {123.4, 41.8}};

static void test_right_and_shifted(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct basemap_point points[COUNT];
        struct basemap_report report;
        county(points, places[i][0], places[i][1]);
        misread(points);
        assert_int_equal(verdict(points, COUNT, &report), BASEMAP_RIGHT);
        assert_true(report.largest_m > 1 && report.largest_m < 5);
        for (enum coordinate_system system = COORDINATE_GCJ02; system <= COORDINATE_BD09; system++) {
            county(points, places[i][0], places[i][1]);
            for (size_t j = 0; j < COUNT; j++) {
                coordinate_from_wgs84(system, &points[j].map_lon, &points[j].map_lat);
            }
            misread(points);
            assert_int_equal(verdict(points, COUNT, &report),
                             system == COORDINATE_GCJ02 ? BASEMAP_GCJ02 : BASEMAP_BD09);
            assert_true(report.fit_m < 5 && report.mean_m > 50);
        }
    }
}

/* Surveyed positions that were read off a shifted map: the base map is right, and is not to be blamed. */
static void test_points_that_are_shifted(void **state) {
    (void)state;
    for (enum coordinate_system system = COORDINATE_GCJ02; system <= COORDINATE_BD09; system++) {
        struct basemap_point points[COUNT];
        struct basemap_report report;
        county(points, 114.4, 34.0);
        for (size_t j = 0; j < COUNT; j++) {
            coordinate_from_wgs84(system, &points[j].lon, &points[j].lat);
        }
        misread(points);
        assert_int_equal(verdict(points, COUNT, &report),
                         system == COORDINATE_GCJ02 ? BASEMAP_POINTS_GCJ02 : BASEMAP_POINTS_BD09);
    }
}

static void test_other_faults(void **state) {
    (void)state;
    struct basemap_point points[COUNT];
    struct basemap_report report;
    char text[BASEMAP_CHECK_TEXT_MAX];
    county(points, 114.4, 34.0);
    for (size_t i = 0; i < COUNT; i++) {
        move(&points[i], 60, -80);
    }
    misread(points);
    assert_int_equal(verdict(points, COUNT, &report), BASEMAP_SHIFTED);
    assert_float_equal(report.mean_m, 100, 2);
    assert_float_equal(report.direction_deg, 143, 2);
    assert_non_null(strstr(basemap_verdict_words(&report, text), "100 m to the south-east"));

    county(points, 114.4, 34.0);
    misread(points);
    move(&points[4], 900, 0);
    assert_int_equal(verdict(points, COUNT, &report), BASEMAP_WRONG_POINTS);
    assert_string_equal(report.worst, "控制点4");

    /* One misread point does not hide what the others follow. */
    county(points, 114.4, 34.0);
    for (size_t j = 0; j < COUNT; j++) {
        coordinate_from_wgs84(COORDINATE_GCJ02, &points[j].map_lon, &points[j].map_lat);
    }
    move(&points[1], 0, 5000);
    assert_int_equal(verdict(points, COUNT, &report), BASEMAP_GCJ02);

    /* Stretched: right in the middle, wrong at the edges. */
    county(points, 114.4, 34.0);
    for (size_t i = 0; i < COUNT; i++) {
        move(&points[i], 150 * ((double)i - 2.5), 0);
    }
    assert_int_equal(verdict(points, COUNT, &report), BASEMAP_OTHERWISE);
}

static void test_too_little(void **state) {
    (void)state;
    struct basemap_point points[COUNT];
    struct basemap_report report;
    county(points, 114.4, 34.0);
    assert_int_equal(verdict(points, 2, &report), BASEMAP_UNDECIDED);
    assert_int_equal(verdict(points, 0, &report), BASEMAP_UNDECIDED);
    assert_int_equal(verdict(points, 3, &report), BASEMAP_RIGHT);
    for (size_t i = 0; i < COUNT; i++) { /* six times the same crossing */
        points[i].lon = points[i].map_lon = 114.4 + 0.0001 * (double)i;
        points[i].lat = points[i].map_lat = 34.0;
    }
    assert_int_equal(verdict(points, COUNT, &report), BASEMAP_UNDECIDED);
}

static void test_points_file(void **state) {
    (void)state;
    struct basemap_point points[BASEMAP_POINTS_MAX];
    char problem[BASEMAP_CHECK_TEXT_MAX];
    size_t count;
    static const char good[] =
        "\xef\xbb\xbfmap_lon,map_lat,lon,lat,name,remark\r\n114.1,34.1,114.2,34.2,\"路口, 东\",x\r\n";
    assert_int_equal(basemap_points_read(good, strlen(good), points, &count, problem), 0);
    assert_int_equal(count, 1);
    assert_string_equal(points[0].name, "路口, 东");
    assert_true(points[0].lon == 114.2 && points[0].lat == 34.2 && points[0].map_lon == 114.1 &&
                points[0].map_lat == 34.1);
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"", "is empty"},
        {"name,lon,lat,map_lon\na,1,1,1\n", "no column \"map_lat\""},
        {"name,lon,lat,map_lon,map_lat\na,1,1,1,x\n", "line 2: map_lat: \"x\""},
        {"name,lon,lat,map_lon,map_lat\na,181,1,1,1\n", "no longitude"},
        {"name,lon,lat,map_lon,map_lat\na,34.1,114.1,34.1,114.1\n", "no latitude"},
        {"name,lon,lat,map_lon,map_lat\na,nan,1,1,1\n", "no longitude"},
        {"name,lon,lat,map_lon,map_lat\na,,1,1,1\n", "no longitude"},
        {"name,lon,lat,map_lon,map_lat\na,1,1\n", "line 2"},
        {"name,lon,lat,map_lon,map_lat\n\xc2\xb7\xb5\xe3,1,1,1,1\n", "GBK"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(basemap_points_read(wrong[i].text, strlen(wrong[i].text), points, &count, problem), CH_EINVAL);
        if (strstr(problem, wrong[i].part) == NULL) {
            fail_msg("%s: %s", wrong[i].text, problem);
        }
    }
}

/* ---- pictures ---- */

#define PNG_HEAD "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
#define JPEG_HEAD "\xff\xd8\xff\xe0\0\4ab\xff"
#define TEXT(text) text, sizeof text - 1

static void test_pictures(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        enum picture_type type;
        unsigned width, height;
    } pictures[] = {
        {TEXT(PNG_HEAD "\0\0\1\0\0\0\2\0\x08\2\0\0\0crc."), PICTURE_PNG, 256, 512},
        {TEXT(PNG_HEAD "\0\0\4\1\0\0\2\0\x08\2\0\0\0crc."), PICTURE_NONE, 0, 0},
        {TEXT(PNG_HEAD "\0\1\1\0\0\0\2\0\x08\2\0\0\0crc."), PICTURE_NONE, 0, 0},
        {TEXT(PNG_HEAD "\0\0\1\0\0\0\2\0"), PICTURE_NONE, 0, 0},
        {TEXT(JPEG_HEAD "\xff\xc2\0\x11\x08\2\0\1\0\3abcdefghi"), PICTURE_JPEG, 256, 512},
        {TEXT(JPEG_HEAD "\xff\xc0\0\x11\x08\0\0\1\0\3abcdefghi"), PICTURE_NONE, 0, 0},
        {TEXT(JPEG_HEAD "\xda\0\4ab\xff\xc0\0\x11\x08\1\0\1\0\3"), PICTURE_NONE, 0, 0},
        {TEXT(JPEG_HEAD "\xe1\xff\xff"
                        "ab"),
         PICTURE_NONE, 0, 0},
        {TEXT("RIFF....WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\0\0\xff\1\0...."), PICTURE_WEBP, 256, 512},
        {TEXT("RIFF....WEBPVP8L\x0a\0\0\0\x2f\xff\xc0\x7f\0......."), PICTURE_WEBP, 256, 512},
        {TEXT("RIFF....WEBPVP8 \x0a\0\0\0...\x9d\1\x2a\0\1\0\2...."), PICTURE_WEBP, 256, 512},
        {TEXT("RIFF....WAVEfmt \x0a\0\0\0..................."), PICTURE_NONE, 0, 0},
        {TEXT("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"256\"/>"), PICTURE_NONE, 0, 0},
        {TEXT("GIF89a\0\1\0\1.............................."), PICTURE_NONE, 0, 0},
        {TEXT(""), PICTURE_NONE, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(pictures); i++) {
        unsigned width, height;
        unsigned char *exact = malloc(pictures[i].length + 1);
        assert_non_null(exact);
        memcpy(exact, pictures[i].bytes, pictures[i].length);
        assert_int_equal(picture_of(exact, pictures[i].length, &width, &height), pictures[i].type);
        if (pictures[i].type != PICTURE_NONE) {
            assert_int_equal(width, pictures[i].width);
            assert_int_equal(height, pictures[i].height);
        }
        free(exact);
    }
}

/* ---- the file ---- */

static char folder[] = "/tmp/cityhub-basemap-XXXXXX";

static void file_write(const char *name, const char *text, char path[static 64]) {
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* One base map with these members beside its name; the faults as text, "" = none. The caller frees `faults`. */
static int parse(const char *members, struct basemap_file *file, struct buffer *faults) {
    char text[4096];
    snprintf(text, sizeof text, "{\"basemaps\": [{\"name\": \"one\", %s}]}", members);
    *faults = (struct buffer){0};
    int code = basemap_file_parse(text, file, faults);
    assert_non_null(buffer_string(faults));
    return code;
}

#define XYZ "\"layers\": [{\"xyz\": \"https://t.example.cn/{z}/{x}/{y}.png\"}]"

static void test_addresses(void **state) {
    (void)state;
    char key[64], members[1024];
    file_write("key", "a+b/secret&x\r\n", key);
    struct basemap_file file;
    struct buffer faults, url = {0};
    snprintf(
        members, sizeof members,
        "\"coordinates\": \"cgcs2000\", \"key_file\": \"%s\", \"layers\": [{\"tianditu\": \"vec\"}, {\"tianditu\": \"cva\", \"url\": "
        "\"https://map.example.cn\"}, {\"xyz\": \"https://{s}.example.cn/{z}/{x}/{-y}.png\", \"subdomains\": [\"a\", \"b\"]}, {\"wmts\": "
        "\"https://w.example.cn/service?v=1\", \"layer\": \"a:b\", \"matrix_set\": \"EPSG:3857\", \"matrix\": \"EPSG:3857:{z}\", \"format\": "
        "\"image/jpeg\", \"key_parameter\": \"tk\"}]",
        key);
    if (parse(members, &file, &faults) != 0) {
        fail_msg("%s", faults.data);
    }
    static const char *const expected[] = {
        "https://t7.tianditu.gov.cn/vec_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=vec&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles&"
        "TILEMATRIX=3&TILEROW=2&TILECOL=5&tk=a%2Bb%2Fsecret%26x",
        "https://map.example.cn/cva_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=cva&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles&TILEMATRIX="
        "3&TILEROW=2&TILECOL=5&tk=a%2Bb%2Fsecret%26x",
        "https://b.example.cn/3/5/5.png",
        "https://w.example.cn/service?v=1&SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=a%3Ab&STYLE=default&TILEMATRIXSET=EPSG%3A3857&FORMAT="
        "image%2Fjpeg&TILEMATRIX=EPSG%3A3857%3A3&TILEROW=2&TILECOL=5&tk=a%2Bb%2Fsecret%26x",
    };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        buffer_reset(&url, 4096);
        basemap_url(&file.maps[0], i, 3, 5, 2, &url);
        assert_string_equal(buffer_string(&url), expected[i]);
    }
    assert_string_equal(file.maps[0].refused, "");
    assert_ptr_equal(basemap_find(&file, "one", 3), &file.maps[0]);
    assert_null(basemap_find(&file, "on", 2));
    buffer_free(&url);
    buffer_free(&faults);
    basemap_file_free(&file);
}

static void test_faults(void **state) {
    (void)state;
    static const struct {
        const char *members, *part;
    } wrong[] = {
        {XYZ, "coordinates must be wgs84 or cgcs2000"},
        {"\"coordinates\": \"wgs84\"", "1 to 4 layers"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{}]", "must have tianditu, xyz or wmts"},
        {"\"coordinates\": \"wgs84\", \"layers\": [7]", "must be an object"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"http://t.example.cn/{z}/{x}/{y}\"}]",
         "must begin with https://"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"file:///{z}/{x}/{y}\"}]", "must begin with https://"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://u:p@t.example.cn/{z}/{x}/{y}\"}]",
         "must not have a login"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://t.example.cn/{z}/{x}\"}]",
         "needs {z}, {x} and {y}"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://t.example.cn/{zoom}/{x}/{y}\"}]",
         "that is none of"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://t.example.cn/a b/{z}/{x}/{y}\"}]", "blank"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://{s}.example.cn/{z}/{x}/{y}\"}]",
         "subdomains go together"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://{s}.example.cn/{z}/{x}/{y}\", \"subdomains\": [\"a/b\"]}]",
         "list of words"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"tianditu\": \"vec\"}]", "key_file is missing"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"tianditu\": \"vec_c\"}]", "must be vec, cva"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"wmts\": \"https://w.example.cn\", \"layer\": \"a\", \"matrix_set\": \"EPSG:4490\"}]",
         "in degrees"},
        {"\"coordinates\": \"wgs84\", \"layers\": [{\"wmts\": \"https://w.example.cn\"}]",
         "needs layer and matrix_set"},
        {"\"coordinates\": \"wgs84\", \"key_file\": \"/nowhere/key\", " XYZ, "/nowhere/key"},
        {"\"coordinates\": \"wgs84\", \"colour\": 1, " XYZ, "no member \"colour\""},
        {"\"coordinates\": \"wgs84\", \"max_zoom\": 21, " XYZ, "from 0 to 20"},
        {"\"coordinates\": \"wgs84\", \"private_addresses\": [\"10.0.0.1\"], " XYZ, "must be a range"},
        {"\"coordinates\": \"wgs84\", \"control_points\": \"/nowhere/points\", " XYZ, "/nowhere/points"},
        {"\"coordinates\": \"wgs84\", \"zh\": \"a\\nb\", " XYZ, "must be one line"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct basemap_file file;
        struct buffer faults;
        assert_int_equal(parse(wrong[i].members, &file, &faults), CH_EINVAL);
        if (strstr(faults.data, wrong[i].part) == NULL) {
            fail_msg("%s: %s", wrong[i].members, faults.data);
        }
        buffer_free(&faults);
        basemap_file_free(&file);
    }
    static const char *const files[] = {"",
                                        "[]",
                                        "{\"basemaps\": 1}",
                                        "{\"basemaps\": [[1]]}",
                                        "{\"basemaps\": [{\"name\": \"A\"}]}",
                                        "{\"basemaps\": [{\"name\": \"a/b\"}]}",
                                        "{\"basemaps\": [{\"name\": \"a\", \"coordinates\": \"wgs84\", " XYZ
                                        "}, {\"name\": \"a\", \"coordinates\": \"wgs84\", " XYZ "}]}"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct basemap_file file;
        struct buffer faults = {0};
        assert_int_equal(basemap_file_parse(files[i], &file, &faults), CH_EINVAL);
        buffer_free(&faults);
        basemap_file_free(&file);
    }
}

static void refused_with(const char *members, const char *part) {
    struct basemap_file file;
    struct buffer faults;
    if (parse(members, &file, &faults) != 0) {
        fail_msg("%s", faults.data);
    }
    if (strstr(file.maps[0].refused, part) == NULL || (*part == '\0') != (file.maps[0].refused[0] == '\0') ||
        (*part == '\0') != (file.maps[0].refused_zh[0] == '\0')) {
        fail_msg("%s: %s", members, file.maps[0].refused);
    }
    buffer_free(&faults);
    basemap_file_free(&file);
}

static void test_refused(void **state) {
    (void)state;
    char path[64], members[1024], text[1024] = "name,lon,lat,map_lon,map_lat\n";
    refused_with("\"coordinates\": \"wgs84\", " XYZ, "");
    refused_with("\"coordinates\": \"gcj02\", " XYZ, "its coordinates are GCJ-02");
    refused_with("\"coordinates\": \"bd09\", " XYZ, "its coordinates are BD-09");
    refused_with(
        "\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://webrd01.is.AutoNavi.com:443/a?x={x}&y={y}&z={z}\"}]",
        "its host's pictures are in GCJ-02");
    refused_with("\"coordinates\": \"wgs84\", \"layers\": [{\"xyz\": \"https://notautonavi.com/{z}/{x}/{y}\"}]", "");
    for (size_t i = 0; i < 4; i++) {
        double lon = 114.4 + 0.05 * (double)i, lat = 34.0 + 0.05 * (double)i, map_lon = lon, map_lat = lat;
        coordinate_from_wgs84(COORDINATE_GCJ02, &map_lon, &map_lat);
        snprintf(text + strlen(text), sizeof text - strlen(text), "p%zu,%.6f,%.6f,%.6f,%.6f\n", i, lon, lat, map_lon,
                 map_lat);
    }
    file_write("points.csv", text, path);
    snprintf(members, sizeof members, "\"coordinates\": \"wgs84\", \"control_points\": \"%s\", " XYZ, path);
    refused_with(members, "shifted as GCJ-02 is");
}

static int folder_make(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int folder_remove(void **state) {
    char path[64];
    static const char *const names[] = {"key", "points.csv"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_and_shifted), cmocka_unit_test(test_points_that_are_shifted),
        cmocka_unit_test(test_other_faults),      cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_points_file),       cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_addresses),         cmocka_unit_test(test_faults),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
