/* simulate_county.h: the ground of the synthetic county: its grid of roads and cells, street offices, construction
 * sites and disposal yards around the centre of Qi county (杞县). Pure functions of constants; only the seed is
 * missing. */
#ifndef CITYHUB_SIMULATE_COUNTY_H
#define CITYHUB_SIMULATE_COUNTY_H

#include <cjson/cJSON.h>
#include <stdbool.h>

enum {
    COUNTY_EAST_M = 3000, /* the built-up area reaches so far east and west of the centre, metres */
    COUNTY_NORTH_M = 2500,
    COUNTY_CELL_M = 250, /* side of a grid cell */
    COUNTY_ROAD_M = 500, /* distance of parallel roads */
    COUNTY_SITES = 8,    /* construction sites */
    COUNTY_YARDS = 2,    /* permitted disposal yards */
    COUNTY_STREETS = 4,
};

#define COUNTY_CODE "410221"
extern const double county_lon, county_lat; /* the centre, WGS 84 degrees */

/* Metres east and north of the centre. */
struct place {
    double x, y;
};

struct street {
    const char *department_code, *name_zh;
};
extern const struct street county_streets[COUNTY_STREETS];

/* WGS 84 degrees of a place. */
void county_position(struct place place, double *lon, double *lat);
/* The street office whose quarter of the built-up area the place lies in. */
const struct street *county_street(struct place place);
/* Centres of construction sites (0 to COUNTY_SITES - 1) and disposal yards (0 to COUNTY_YARDS - 1). */
struct place county_site(int number);
struct place county_yard(int number);
/* The nearest crossing of two roads. */
struct place county_crossing(struct place place);

/* What simulation.prepare() takes: {departments, cells, zones}, see there. NULL = out of memory. The caller
 * frees. */
cJSON *county_description(void);

#endif
