/* coordinate.h: Chinese map coordinates to WGS 84. Pure functions. */
#ifndef CITYHUB_COORDINATE_H
#define CITYHUB_COORDINATE_H

/* The numbers of common.proto. */
enum coordinate_system { COORDINATE_WGS84, COORDINATE_CGCS2000, COORDINATE_GCJ02, COORDINATE_BD09 };

/* Converts in place, degrees. Outside China's bounding box GCJ-02 equals WGS 84. Error under 1 m inside.
 * Returns 0, or CH_EINVAL if the position is not finite or not on Earth (-180..180, -90..90), or for another system. */
int coordinate_to_wgs84(enum coordinate_system system, double *lon, double *lat);

/* The other way, for tests and the simulator. */
int coordinate_from_wgs84(enum coordinate_system system, double *lon, double *lat);

#endif
