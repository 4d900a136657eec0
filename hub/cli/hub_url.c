/* hub_url.c: see hub_url.h. */
#include "hub/cli/hub_url.h"

#include <stdio.h>
#include <string.h>

void hub_url(const struct config *config, const char *path, char url[static HUB_URL_BYTES]) {
    const char *host = config->http_listen;
    if (*host == '\0' || strcmp(host, "0.0.0.0") == 0) {
        host = "127.0.0.1";
    } else if (strcmp(host, "::") == 0) {
        host = "::1";
    }
    bool brackets = strchr(host, ':') != NULL;
    snprintf(url, HUB_URL_BYTES, "http://%s%.255s%s:%lld%s", brackets ? "[" : "", host, brackets ? "]" : "",
             (long long)config->http_port, path);
}
