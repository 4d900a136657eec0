/* basemap_fetch.c: one picture by libcurl, and what its answer means. Must never say where it asked, for the key is in
 * it, nor be led elsewhere than the source's file says (outside.h). */
#include "hub/basemap/basemap_fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/outside.h"
#include "hub/base/secret.h"

struct basemap_fetcher {
    /* Each map has its own: a connection that one map may have must not serve another that may not. */
    struct {
        const struct basemap *map;
        CURL *curl;
    } handles[BASEMAPS_MAX];
    CURL *curl; /* of the fetch under way */
    const struct basemap *map;
    struct basemap_picture *picture;
    struct outside outside;
    bool large;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    struct basemap_fetcher *fetcher = user;
    struct buffer *body = &fetcher->picture->bytes;
    (void)size;
    if (body->length + count > BASEMAP_PICTURE_MAX) {
        fetcher->large = true;
        return 0;
    }
    buffer_bytes(body, bytes, count);
    return body->failed ? 0 : count;
}

static void set_up(struct basemap_fetcher *fetcher, const char *url) {
    CURL *curl = fetcher->curl;
    const struct basemap *map = fetcher->map;
    outside_set(curl, url, &fetcher->outside);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, map->user_agent);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetcher);
    if (*map->referer != '\0') {
        curl_easy_setopt(curl, CURLOPT_REFERER, map->referer);
    }
}

static void end_with(struct basemap_picture *picture, enum basemap_end end, const char *reason) {
    picture->end = end;
    snprintf(picture->reason, sizeof picture->reason, "%s", reason);
}

static void judge_body(struct basemap_picture *picture, const char *type) {
    unsigned width, height;
    const struct buffer *bytes = &picture->bytes;
    picture->type = bytes->length == 0 ? PICTURE_NONE
                                       : picture_of((const unsigned char *)bytes->data, bytes->length, &width, &height);
    if (picture->type != PICTURE_NONE) {
        picture->end = BASEMAP_PICTURE;
        return;
    }
    size_t shown = type == NULL ? 0 : strspn(type, "abcdefghijklmnopqrstuvwxyz/+-");
    picture->end = bytes->length == 0 ? BASEMAP_NO_SUCH : BASEMAP_UNFIT;
    snprintf(picture->reason, sizeof picture->reason,
             "it answered %zu bytes that are no JPEG, PNG or WebP of a tile, called \"%.*s\"", bytes->length,
             shown < 60 ? (int)shown : 60, type == NULL ? "" : type);
}

static void judge(struct basemap_fetcher *fetcher, CURLcode code) {
    struct basemap_picture *picture = fetcher->picture;
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(fetcher->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(fetcher->curl, CURLINFO_CONTENT_TYPE, &type);
    if (picture->bytes.failed) {
        end_with(picture, BASEMAP_AWAY, "memory is out");
    } else if (fetcher->outside.forbidden) {
        end_with(picture, BASEMAP_UNFIT, "its address is not a public one, and not in private_addresses");
    } else if (fetcher->large) {
        end_with(picture, BASEMAP_UNFIT, "its picture has more than 2 MiB");
    } else if (code != CURLE_OK) {
        end_with(picture, BASEMAP_AWAY,
                 curl_easy_strerror(code)); /* never the error buffer: it may quote the address */
    } else if (status == 200) {
        judge_body(picture, type);
    } else {
        picture->end = status == 204 || status == 404 || status == 410   ? BASEMAP_NO_SUCH
                       : status == 401 || status == 403 || status == 418 ? BASEMAP_FORBIDDEN
                       : status >= 300 && status < 400                   ? BASEMAP_UNFIT
                                                                         : BASEMAP_AWAY;
        snprintf(picture->reason, sizeof picture->reason, "it answered with status %ld%s", status,
                 status >= 300 && status < 400 ? ", a redirect, which is not followed" : "");
    }
}

/* The map's own; NULL = memory is out. */
static CURL *handle_of(struct basemap_fetcher *fetcher, const struct basemap *map) {
    size_t i = 0;
    while (i < BASEMAPS_MAX - 1 && fetcher->handles[i].curl != NULL && fetcher->handles[i].map != map) {
        i++;
    }
    if (fetcher->handles[i].curl == NULL) {
        fetcher->handles[i].map = map;
        fetcher->handles[i].curl = curl_easy_init();
    }
    return fetcher->handles[i].curl;
}

void basemap_fetch(struct basemap_fetcher *fetcher, const struct basemap_tile *tile, bool (*stop)(void *user),
                   void *user, struct basemap_picture *picture) {
    struct buffer url = {0};
    basemap_url(tile->map, tile->layer, tile->z, tile->x, tile->y, &url);
    fetcher->map = tile->map;
    fetcher->picture = picture;
    fetcher->outside = (struct outside){.plain_http = tile->map->plain_http,
                                        .private_addresses = tile->map->private_addresses,
                                        .ca_file = tile->map->ca_file,
                                        .connect_s = BASEMAP_CONNECT_S,
                                        .whole_s = BASEMAP_FETCH_S,
                                        .stop = stop,
                                        .user = user};
    fetcher->large = false;
    fetcher->curl = handle_of(fetcher, tile->map);
    if (buffer_string(&url) == NULL || fetcher->curl == NULL) {
        end_with(picture, BASEMAP_AWAY, "memory is out");
    } else {
        set_up(fetcher, url.data);
        judge(fetcher, curl_easy_perform(fetcher->curl));
        secret_wipe(url.data, url.length);
    }
    if (picture->end != BASEMAP_PICTURE) {
        buffer_free(&picture->bytes);
    }
    buffer_free(&url);
}

struct basemap_fetcher *basemap_fetcher_open(void) {
    return calloc(1, sizeof(struct basemap_fetcher));
}

void basemap_fetcher_close(struct basemap_fetcher *fetcher) {
    for (size_t i = 0; fetcher != NULL && i < BASEMAPS_MAX; i++) {
        curl_easy_cleanup(fetcher->handles[i].curl);
    }
    free(fetcher);
}
