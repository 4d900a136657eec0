/* simulate_county.c: the ground of the synthetic county. Must never claim to be the real one: its cells and zones carry
 * names that begin with 模拟. */
#include "hub/simulate/simulate_county.h"

#include <math.h>
#include <stdio.h>

enum {
    SITE_HALF_M = 60,
    YARD_HALF_M = 120,
    COMMUNITIES_EAST = 2, /* communities of a street: 2 x 2 */
    COMMUNITIES_NORTH = 2,
};

/* Metres of a degree of latitude, and of longitude at this latitude: a ball of 6371.0 km is near enough here. */
static const double degree_m = 111195;
const double county_lon = 114.78, county_lat = 34.55;

/* The units that the county's plan assesses (annex, 考核对象); where their borders really run is not shown here. */
const struct street county_streets[COUNTY_STREETS] = {
    {"jincheng", "金城街道办事处"},
    {"jijuqu", "产业集聚区管委会"},
    {"wulihe", "五里河镇"},
    {"chengjiao", "城郊乡"},
};

static const struct place sites[COUNTY_SITES] = {{-2400, 1600}, {-1400, -900}, {-400, 2100}, {600, 600},
                                                 {1100, -1900}, {1600, 1600},  {2100, -400}, {-2400, -1900}};
static const struct place yards[COUNTY_YARDS] = {{2750, 2250}, {-2750, -2250}};

void county_position(struct place place, double *lon, double *lat) {
    *lat = county_lat + place.y / degree_m;
    *lon = county_lon + place.x / (degree_m * cos(county_lat * M_PI / 180));
}

static int street_number(struct place place) {
    return (place.x >= 0 ? 1 : 0) + (place.y >= 0 ? 0 : 2);
}

const struct street *county_street(struct place place) {
    return &county_streets[street_number(place)];
}

struct place county_site(int number) {
    return sites[number];
}

struct place county_yard(int number) {
    return yards[number];
}

static double nearest_road(double metres, double limit) {
    double road = round(metres / COUNTY_ROAD_M) * COUNTY_ROAD_M;
    return fmin(fmax(road, -limit), limit);
}

struct place county_crossing(struct place place) {
    return (struct place){nearest_road(place.x, COUNTY_EAST_M), nearest_road(place.y, COUNTY_NORTH_M)};
}

/* A rectangle as [west, south, east, north] in degrees. */
static void add_box(cJSON *object, struct place south_west, struct place north_east) {
    double corner[4];
    county_position(south_west, &corner[0], &corner[1]);
    county_position(north_east, &corner[2], &corner[3]);
    cJSON_AddItemToObject(object, "box", cJSON_CreateDoubleArray(corner, 4));
}

/* Cells are numbered within their community from the south-west, row by row. */
static void add_cell(cJSON *cells, int column, int row) {
    const int columns = COUNTY_EAST_M / COUNTY_CELL_M;
    const int rows = COUNTY_NORTH_M / COUNTY_CELL_M;
    struct place corner = {-COUNTY_EAST_M + (double)column * COUNTY_CELL_M,
                           -COUNTY_NORTH_M + (double)row * COUNTY_CELL_M};
    int street = street_number((struct place){corner.x + 1, corner.y + 1});
    int wide = columns / COMMUNITIES_EAST;
    int high = rows / COMMUNITIES_NORTH;
    int east = column % columns / wide;
    int north = row % rows / high;
    int community = north * COMMUNITIES_EAST + east + 1;
    int cell = row % rows % high * wide + column % columns % wide + 1;
    char code[16];
    char name[64];
    snprintf(code, sizeof code, COUNTY_CODE "%03d%03d%03d", street + 1, community, cell);
    snprintf(name, sizeof name, "模拟网格%d-%d-%02d", street + 1, community, cell);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "code", code);
    cJSON_AddStringToObject(object, "name_zh", name);
    cJSON_AddStringToObject(object, "department", county_streets[street].name_zh);
    add_box(object, corner, (struct place){corner.x + COUNTY_CELL_M, corner.y + COUNTY_CELL_M});
    cJSON_AddItemToArray(cells, object);
}

static void add_zone(cJSON *zones, const char *kind, const char *label, int number, struct place centre, double half) {
    char code[32];
    char name[64];
    snprintf(code, sizeof code, "sim-%s-%02d", kind, number + 1);
    snprintf(name, sizeof name, "模拟%s%d号", label, number + 1);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "kind", kind);
    cJSON_AddStringToObject(object, "code", code);
    cJSON_AddStringToObject(object, "name_zh", name);
    add_box(object, (struct place){centre.x - half, centre.y - half}, (struct place){centre.x + half, centre.y + half});
    cJSON_AddItemToArray(zones, object);
}

cJSON *county_description(void) {
    cJSON *county = cJSON_CreateObject();
    cJSON *departments = cJSON_AddArrayToObject(county, "departments");
    cJSON *cells = cJSON_AddArrayToObject(county, "cells");
    cJSON *zones = cJSON_AddArrayToObject(county, "zones");
    for (int i = 0; i < COUNTY_STREETS; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "code", county_streets[i].department_code);
        cJSON_AddStringToObject(object, "name_zh", county_streets[i].name_zh);
        cJSON_AddItemToArray(departments, object);
    }
    for (int row = 0; row < 2 * COUNTY_NORTH_M / COUNTY_CELL_M; row++) {
        for (int column = 0; column < 2 * COUNTY_EAST_M / COUNTY_CELL_M; column++) {
            add_cell(cells, column, row);
        }
    }
    for (int i = 0; i < COUNTY_YARDS; i++) {
        add_zone(zones, "disposal_yard", "消纳场", i, yards[i], YARD_HALF_M);
    }
    for (int i = 0; i < COUNTY_SITES; i++) {
        add_zone(zones, "construction_site", "工地", i, sites[i], SITE_HALF_M);
    }
    return county;
}
