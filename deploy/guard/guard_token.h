/* guard_token.h: devices that log in by an access token (访问令牌), as ThingsBoard's device interface has it: the token
 * is the user name, and there is no password. A token is IDENTITY.SECRET; known is of each its SHA-256, from a file
 * that `cityhub terminal` writes. Knows no broker. */
#ifndef CITYHUB_GUARD_TOKEN_H
#define CITYHUB_GUARD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { GUARD_LOGIN_MAX = 96 }; /* bytes of a device's login, with its end */

struct guard_devices;

/* Devices of a file that is not read yet. NULL = memory is out. */
struct guard_devices *guard_devices_new(const char *path);
void guard_devices_free(struct guard_devices *devices);
size_t guard_devices_count(const struct guard_devices *devices);

/* Reads the file if it is another one than was read last; one that is not there has no devices. False: it cannot be
 * read, or memory is out; devices stay as they were. */
bool guard_devices_look(struct guard_devices *devices);

/* Devices are those of lines IDENTITY:HASH (64 hexadecimal digits) from now on; other lines are passed over. False as
 * above. */
bool guard_devices_parse(struct guard_devices *devices, FILE *from);

/* Whether the token is a device's; then its login is written: "device.IDENTITY." and a number, another one for each
 * token that the device is given. */
bool guard_token_fits(const struct guard_devices *devices, const char *token, char login[static GUARD_LOGIN_MAX]);

/* Whether it is a device's login, and one whose token is good still. */
bool guard_is_device(const char *login);
bool guard_device_known(const struct guard_devices *devices, const char *login);

/* Whether a device's login may be client `id`: "device.IDENTITY", or one of the broker's making. */
bool guard_device_id_fits(const char *id, const char *login);

/* Whether a device may publish to the topic: "v1/devices/me/telemetry" or "v1/devices/me/attributes". */
bool guard_device_may_publish(const char *topic);

/* The topic by which the gateway gets what such a login publishes, in memory of `allocate` (of calloc's form); NULL =
 * memory is out. */
char *guard_device_topic(const char *login, void *(*allocate)(size_t count, size_t size));

#endif
