/* bench_tiles.c: clients by libcurl, all in this process: what they cost the machine is part of the figure, as that of
 * a centre's screens is not. */
#include "hub/command/bench_tiles.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/secret.h"
#include "hub/cli/ask.h"
#include "hub/cli/command.h"
#include "hub/cli/hub_url.h"

enum { ZOOM = 14, SIDE = 3, ANSWER_S = 30, WAIT_MS = 30 * 1000, POLL_MS = 100 };

_Static_assert(SIDE *SIDE == BENCH_TILES, "a square around the point");

struct crowd {
    char urls[BENCH_TILES][HUB_URL_BYTES];
    CURLM *multi;
    CURL *clients[BENCH_CLIENTS];
    struct curl_slist *headers;
    long answered;
    char problem[CURL_ERROR_SIZE + 64]; /* "" = none */
};

/* ---- a token ---- */

static cJSON *token_request(const char *name, const char *token) {
    char hash[SECRET_HASH_TEXT];
    secret_hash_text(token, hash);
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "name", name);
    cJSON_AddStringToObject(request, "rights", "read");
    cJSON_AddNumberToObject(request, "days", 1);
    cJSON_AddStringToObject(request, "hash", hash);
    return request;
}

static int ask(PGconn *connection, const char *function, const cJSON *request) {
    cJSON *answer = ask_json(connection, function, request);
    cJSON_Delete(answer);
    return answer == NULL ? CH_EDATABASE : 0;
}

/* ---- clients ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes;
    (void)user;
    return size * count;
}

static int crowd_open(struct crowd *crowd, const struct config *config, double lon, double lat, const char *token) {
    double n = 1 << ZOOM, radians = lat * M_PI / 180;
    int x = (int)((lon + 180) / 360 * n), y = (int)((1 - asinh(tan(radians)) / M_PI) / 2 * n);
    for (int i = 0; i < BENCH_TILES; i++) {
        char path[64];
        snprintf(path, sizeof path, "/api/v1/tiles/device/%d/%d/%d.mvt", ZOOM, x + i % SIDE - SIDE / 2,
                 y + i / SIDE - SIDE / 2);
        hub_url(config, path, crowd->urls[i]);
    }
    char header[32 + TOKEN_TEXT];
    snprintf(header, sizeof header, "Authorization: Bearer %s", token);
    crowd->headers = curl_slist_append(NULL, header);
    secret_wipe(header, sizeof header);
    crowd->multi = curl_multi_init();
    bool whole = crowd->multi != NULL && crowd->headers != NULL;
    for (int i = 0; i < BENCH_CLIENTS; i++) {
        CURL *client = crowd->clients[i] = curl_easy_init();
        whole = whole && client != NULL;
        curl_easy_setopt(client, CURLOPT_URL, crowd->urls[BENCH_TILES / 2]);
        curl_easy_setopt(client, CURLOPT_HTTPHEADER, crowd->headers);
        curl_easy_setopt(client, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(client, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(client, CURLOPT_TIMEOUT, (long)ANSWER_S);
        curl_easy_setopt(client, CURLOPT_WRITEFUNCTION, on_bytes);
    }
    return whole ? 0 : CH_EMEMORY;
}

static void crowd_close(struct crowd *crowd) {
    for (int i = 0; i < BENCH_CLIENTS; i++) {
        curl_easy_cleanup(crowd->clients[i]);
    }
    curl_multi_cleanup(crowd->multi);
    curl_slist_free_all(crowd->headers);
}

/* Until the tile in the middle has devices: the inventory is known to the map a moment after its receipt. */
static int wait_shown(struct crowd *crowd) {
    long status = 0;
    for (int64_t until = clock_steady_ms() + WAIT_MS; status != 200 && clock_steady_ms() < until;) {
        CURLcode code = curl_easy_perform(crowd->clients[0]);
        curl_easy_getinfo(crowd->clients[0], CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK) {
            snprintf(crowd->problem, sizeof crowd->problem, "%s", curl_easy_strerror(code));
            return CH_EIO;
        }
        if (status != 200) {
            curl_multi_poll(crowd->multi, NULL, 0, POLL_MS, NULL);
        }
    }
    if (status != 200) {
        snprintf(crowd->problem, sizeof crowd->problem, "no tile with devices for 30 s, the last status is %ld",
                 status);
    }
    return status == 200 ? 0 : CH_EIO;
}

/* Takes what is answered; who was answered asks for the next tile. */
static int take(struct crowd *crowd) {
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(crowd->multi, &left)) != NULL;) {
        CURL *client = message->easy_handle;
        CURLcode code = message->data.result;
        long status = 0;
        curl_easy_getinfo(client, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || (status != 200 && status != 204)) {
            snprintf(crowd->problem, sizeof crowd->problem, "%s, status %ld", curl_easy_strerror(code), status);
            return CH_EIO;
        }
        curl_multi_remove_handle(crowd->multi, client);
        curl_easy_setopt(client, CURLOPT_URL, crowd->urls[crowd->answered++ % BENCH_TILES]);
        curl_multi_add_handle(crowd->multi, client);
    }
    return 0;
}

static int keep_asking(struct crowd *crowd, int64_t run_ms, double *tiles_s) {
    int64_t started = clock_steady_us(), until = started + run_ms * 1000;
    int code = 0, running;
    for (int i = 0; i < BENCH_CLIENTS; i++) {
        curl_multi_add_handle(crowd->multi, crowd->clients[i]);
    }
    while (code == 0 && clock_steady_us() < until) {
        curl_multi_perform(crowd->multi, &running);
        code = take(crowd);
        curl_multi_poll(crowd->multi, NULL, 0, POLL_MS, NULL);
    }
    *tiles_s = (double)crowd->answered * 1e6 / (double)(clock_steady_us() - started);
    for (int i = 0; i < BENCH_CLIENTS; i++) {
        curl_multi_remove_handle(crowd->multi, crowd->clients[i]);
    }
    return code;
}

int bench_tiles_run(const struct config *config, PGconn *connection, double lon, double lat, int64_t run_ms,
                    double *tiles_s) {
    struct crowd crowd = {0};
    char token[TOKEN_TEXT], name[40];
    snprintf(name, sizeof name, "bench-%lld", (long long)clock_now_us());
    if (secret_token(token) != 0) {
        command_fail("there are no random numbers");
        return CH_EIO;
    }
    cJSON *request = token_request(name, token);
    int code = ask(connection, "onemap.token_add", request);
    if (code == 0) {
        code = crowd_open(&crowd, config, lon, lat, token);
        code = code != 0 ? code : wait_shown(&crowd);
        code = code != 0 ? code : keep_asking(&crowd, run_ms, tiles_s);
        crowd_close(&crowd);
        if (code != 0) {
            command_fail("the hub gives no tiles: %s", crowd.problem[0] == '\0' ? "memory is out" : crowd.problem);
        }
        int ended = ask(connection, "onemap.token_revoke", request);
        code = code != 0 ? code : ended;
    }
    secret_wipe(token, sizeof token);
    cJSON_Delete(request);
    return code;
}
