/* outside.c: see outside.h. Must never open a socket to an address that was not checked: names are looked up by curl,
 * and what they lead to is known here alone. */
#include "hub/base/outside.h"

#include "hub/base/address_range.h"

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const struct outside *outside = user;
    (void)a, (void)b, (void)c, (void)d;
    return outside->stop != NULL && outside->stop(outside->user);
}

static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    struct outside *outside = user;
    if (purpose != CURLSOCKTYPE_IPCXN || !address_range_allowed(&address->addr, outside->private_addresses)) {
        outside->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void outside_set(CURL *curl, const char *url, struct outside *outside) {
    outside->forbidden = false;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, outside->plain_http ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, outside->connect_s);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, outside->whole_s);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, outside);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, outside);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (*outside->ca_file != '\0') {
        curl_easy_setopt(curl, CURLOPT_CAINFO, outside->ca_file);
    }
}
