/* routes.c: the tables of routes as one. The rows are here and not in the database: health is asked for when there is
 * none, a row says who may ask, and what the compiler and router_new have checked cannot be changed by a login. */
#include "hub/http/routes.h"

#include <stdlib.h>

#include "hub/base/count.h"

enum { ROUTES_MAX = 256 };

static const struct route *const tables[] = {routes_hub,        routes_device,       routes_place,   routes_case,
                                             routes_alarm,      routes_score,        routes_operate, routes_live,
                                             routes_tile,       routes_map,          routes_page,    routes_ogc,
                                             routes_attachment, routes_account,      routes_open311, routes_order,
                                             routes_terminal,   routes_subscription, routes_basemap};

const struct route *routes_all(size_t *count) {
    static struct route all[ROUTES_MAX]; /* the same whenever it is filled */
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct route *route = tables[i]; route->pattern != NULL; route++) {
            if (used == ROUTES_MAX) {
                abort(); /* at every start: whoever adds the row sees it */
            }
            all[used++] = *route;
        }
    }
    *count = used;
    return all;
}
