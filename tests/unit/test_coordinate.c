/* test_coordinate.c: conversions against points that others published, and there and back over all of China. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "hub/base/error.h"
#include "hub/decode/coordinate.h"

/* Metres between two near points. */
static double distance_m(double lon_a, double lat_a, double lon_b, double lat_b) {
    const double metres_per_degree = 111320;
    double east = (lon_a - lon_b) * cos(lat_a * M_PI / 180) * metres_per_degree;
    double north = (lat_a - lat_b) * metres_per_degree;
    return sqrt(east * east + north * north);
}

struct point {
    const char *name;
    double wgs84[2], gcj02[2], bd09[2]; /* lon, lat */
};

/* gcoord (github.com/hujiulong/gcoord), test/fixtures/china-cities.json: eleven of its cities, four of them in Henan.
 */
static const struct point cities[] = {
    {"驻马店", {114.0164322, 33.0133556}, {114.022306, 33.0115324}, {114.0287781, 33.0176697}},
    {"郑州", {113.6192856, 34.7478004}, {113.6253334, 34.7466173}, {113.6317519, 34.7528605}},
    {"鹤壁", {114.2913499, 35.7473048}, {114.2972776, 35.7472312}, {114.3038719, 35.7528881}},
    {"洛阳", {112.447775, 34.6206943}, {112.4540462, 34.6196861}, {112.4604695, 34.6259364}},
    {"沈阳", {123.4253306, 41.8032629}, {123.4314787, 41.8057023}, {123.438095, 41.8114013}},
    {"那曲", {92.0499619, 31.4784436}, {92.0512438, 31.4762063}, {92.0576832, 31.4824421}},
    {"阿克苏", {80.2584377, 41.1677969}, {80.2606106, 41.1687815}, {80.2670534, 41.1749125}},
    {"鹤岗", {130.2901208, 47.3474834}, {130.2979644, 47.3499192}, {130.3043975, 47.3560741}},
    {"钦州", {108.6503952, 21.9828281}, {108.6541485, 21.9799392}, {108.6607283, 21.9856319}},
    {"温州", {120.6953127, 27.9971173}, {120.6993688, 27.9938322}, {120.7058483, 28.0000072}},
    {"深圳", {114.0527534, 22.5458236}, {114.0578659, 22.5431014}, {114.064418, 22.5487584}},
};

/* eviltransform (github.com/googollee/eviltransform), go/transform_test.go: Shanghai, Shenzhen, Beijing. */
static const double eviltransform[][4] = {
    {121.5272106, 31.1774276, 121.531541859215, 31.17530398364597},
    {113.912316, 22.543847, 113.9171764808363, 22.540796131694766},
    {116.377817, 39.911954, 116.38404722455657, 39.91334545536069},
};

static void near(const char *name, double lon, double lat, const double expected[2], double limit_m) {
    double error = distance_m(lon, lat, expected[0], expected[1]);
    if (!(error < limit_m)) {
        fail_msg("%s: got %.7f %.7f, expected %.7f %.7f: %.3f m away", name, lon, lat, expected[0], expected[1], error);
    }
}

static void test_published_cities(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cities / sizeof cities[0]; i++) {
        const struct point *city = &cities[i];
        double lon = city->gcj02[0], lat = city->gcj02[1];
        assert_int_equal(coordinate_to_wgs84(COORDINATE_GCJ02, &lon, &lat), 0);
        near(city->name, lon, lat, city->wgs84, 1);
        lon = city->bd09[0], lat = city->bd09[1];
        assert_int_equal(coordinate_to_wgs84(COORDINATE_BD09, &lon, &lat), 0);
        near(city->name, lon, lat, city->wgs84, 1);
        lon = city->wgs84[0], lat = city->wgs84[1];
        assert_int_equal(coordinate_from_wgs84(COORDINATE_GCJ02, &lon, &lat), 0);
        near(city->name, lon, lat, city->gcj02, 1);
        lon = city->wgs84[0], lat = city->wgs84[1];
        assert_int_equal(coordinate_from_wgs84(COORDINATE_BD09, &lon, &lat), 0);
        near(city->name, lon, lat, city->bd09, 1);
    }
}

static void test_published_points(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof eviltransform / sizeof eviltransform[0]; i++) {
        const double *point = eviltransform[i];
        double lon = point[2], lat = point[3];
        assert_int_equal(coordinate_to_wgs84(COORDINATE_GCJ02, &lon, &lat), 0);
        near("eviltransform", lon, lat, point, 0.01);
        lon = point[0], lat = point[1];
        assert_int_equal(coordinate_from_wgs84(COORDINATE_GCJ02, &lon, &lat), 0);
        near("eviltransform", lon, lat, point + 2, 0.01);
    }
    /* gcoord, test/unit/crs/GCJ02.spec.ts and BD09.spec.ts: 123 E, 45 N of either system. */
    double lon = 123, lat = 45;
    assert_int_equal(coordinate_to_wgs84(COORDINATE_GCJ02, &lon, &lat), 0);
    near("gcoord GCJ-02", lon, lat, (const double[]){122.99395597, 44.99804071}, 0.5);
    lon = 123, lat = 45;
    assert_int_equal(coordinate_to_wgs84(COORDINATE_BD09, &lon, &lat), 0);
    near("gcoord BD-09", lon, lat, (const double[]){122.98762210, 44.99171540}, 0.5);
}

static void test_there_and_back(void **state) {
    (void)state;
    for (int system = COORDINATE_GCJ02; system <= COORDINATE_BD09; system++) {
        for (double lon = 73.1; lon < 137; lon += 0.37) {
            for (double lat = 1.1; lat < 55; lat += 0.41) {
                double x = lon, y = lat;
                assert_int_equal(coordinate_from_wgs84((enum coordinate_system)system, &x, &y), 0);
                assert_true(distance_m(x, y, lon, lat) > 1);
                assert_int_equal(coordinate_to_wgs84((enum coordinate_system)system, &x, &y), 0);
                near("there and back", x, y, (const double[]){lon, lat}, 0.001);
            }
        }
    }
}

static void test_unchanged(void **state) {
    (void)state;
    const double places[][2] = {{2.35, 48.86}, {-74.0, 40.7}, {151.2, -33.9}, {180, 90}, {-180, -90}, {138, 36}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (int system = COORDINATE_WGS84; system <= COORDINATE_BD09; system++) {
            double lon = places[i][0], lat = places[i][1];
            assert_int_equal(coordinate_to_wgs84((enum coordinate_system)system, &lon, &lat), 0);
            assert_true(lon == places[i][0] && lat == places[i][1]);
            assert_int_equal(coordinate_from_wgs84((enum coordinate_system)system, &lon, &lat), 0);
            assert_true(lon == places[i][0] && lat == places[i][1]);
        }
    }
    double lon = 114.783, lat = 34.549;
    assert_int_equal(coordinate_to_wgs84(COORDINATE_CGCS2000, &lon, &lat), 0);
    assert_true(lon == 114.783 && lat == 34.549);
}

static void test_refused(void **state) {
    (void)state;
    const double wrong[][2] = {{NAN, 30},     {114, NAN},    {INFINITY, 30}, {114, -INFINITY},
                               {180.001, 30}, {114, 90.001}, {-181, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (int system = COORDINATE_WGS84; system <= COORDINATE_BD09; system++) {
            double lon = wrong[i][0], lat = wrong[i][1];
            assert_int_equal(coordinate_to_wgs84((enum coordinate_system)system, &lon, &lat), CH_EINVAL);
            assert_int_equal(coordinate_from_wgs84((enum coordinate_system)system, &lon, &lat), CH_EINVAL);
        }
    }
    double lon = 114, lat = 34;
    assert_int_equal(coordinate_to_wgs84((enum coordinate_system)4, &lon, &lat), CH_EINVAL);
    assert_int_equal(coordinate_from_wgs84((enum coordinate_system) - 1, &lon, &lat), CH_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_cities), cmocka_unit_test(test_published_points),
        cmocka_unit_test(test_there_and_back),   cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
